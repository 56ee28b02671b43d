"""Tensors of zeros and ones as bits: element i is bit i % 8 of byte i // 8."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from neurodsl.native import extension

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8)
PROBE = 4096
"""Elements that PyTorch looks at first: most tensors that are no spikes are given up there."""
_WEIGHTS = tuple(1 << place for place in range(8))


def pack_bits(values: Tensor) -> Tensor | None:
    """Bytes `[ceil(n / 8)]` of a contiguous tensor of n elements; None if one is neither 0 nor 1 (-0.0 is neither)."""
    native = extension() if values.is_cpu else None
    if native is not None:
        bits: Tensor | None = native.pack_bits(values)
        return bits
    flat = values.reshape(-1)
    if not _are_binary(flat[:PROBE]) or not _are_binary(flat[PROBE:]):
        return None
    ones = flat == 1
    size = (flat.numel() + 7) // 8
    padded = ones.new_zeros(8 * size)
    padded[: flat.numel()] = ones
    weights = torch.tensor(_WEIGHTS, dtype=torch.uint8, device=values.device)
    return (padded.view(size, 8) * weights).sum(1, dtype=torch.uint8)


def _are_binary(flat: Tensor) -> bool:
    return bool(((flat == 1) | ((flat == 0) & ~torch.signbit(flat))).all())


def unpack_bits(bits: Tensor, first: int, count: int, dtype: torch.dtype) -> Tensor:
    """`[count]` zeros and ones: the elements from `first` on."""
    native = extension() if bits.is_cpu else None
    if native is not None:
        made: Tensor = native.unpack_bits(bits, first, count, dtype)
        return made
    begin, end = first // 8, (first + count + 7) // 8
    places = torch.arange(8, dtype=torch.uint8, device=bits.device)
    every = (bits[begin:end].unsqueeze(1) >> places) & 1
    return every.reshape(-1)[first - 8 * begin :][:count].to(dtype)


def spikes_as_bits(values: Tensor, otherwise: str) -> Tensor:
    """As `pack_bits`, also where `torch.compile` traces it.

    Raises:
        ValueError: with the text `otherwise`: one element is neither 0 nor 1.
    """
    if torch.compiler.is_compiling():
        bits: Tensor = _pack(values, otherwise)
        return bits
    return _packed(values, otherwise)


def _packed(values: Tensor, otherwise: str) -> Tensor:
    bits = pack_bits(values.contiguous())
    if bits is None:
        raise ValueError(otherwise)
    return bits


@torch.library.custom_op("neurodsl::pack_spikes", mutates_args=())
def _pack(values: Tensor, otherwise: str) -> Tensor:
    return _packed(values, otherwise)


@_pack.register_fake
def _(values: Tensor, otherwise: str) -> Tensor:
    return values.new_empty((values.numel() + 7) // 8, dtype=torch.uint8)


@torch.library.custom_op("neurodsl::unpack_spikes", mutates_args=())
def _unpack(bits: Tensor, count: int, dtype: torch.dtype) -> Tensor:
    return unpack_bits(bits, 0, count, dtype)


@_unpack.register_fake
def _(bits: Tensor, count: int, dtype: torch.dtype) -> Tensor:
    return bits.new_empty(count, dtype=dtype)


class PackedSpikes:
    """Spikes of any shape at one bit each. Made by `PackedSpikes.pack` or by a neuron with `spikes="bits"`."""

    def __init__(self, bits: Tensor, shape: Sequence[int], dtype: torch.dtype) -> None:
        """`bits` as `pack_bits` makes them; `dtype` that of the tensor they stand for.

        Raises:
            ValueError: they are not as many as the shape wants.
        """
        size = (torch.Size(shape).numel() + 7) // 8
        if bits.dtype is not torch.uint8 or bits.shape != (size,):
            found = f"{str(bits.dtype).removeprefix('torch.')} {tuple(bits.shape)}"
            raise ValueError(
                f"bits are {found}; spikes of shape {tuple(shape)} want uint8 ({size},)"
            )
        self.bits, self.shape, self.dtype = bits, torch.Size(shape), dtype

    @classmethod
    def pack(cls, spikes: Tensor) -> PackedSpikes:
        """The bits of a tensor of zeros (-0.0 is one) and ones, of any dtype but complex ones.

        Raises:
            TypeError: it is no tensor, or a complex one.
            ValueError: it holds something else.
        """
        if not isinstance(spikes, Tensor):
            raise TypeError(f"spikes must be a tensor, not {type(spikes).__name__}")
        if spikes.is_complex():
            raise TypeError(
                f"spikes are {spikes.dtype}; real numbers or truth values can be packed"
            )
        values = spikes.detach()
        if values.dtype not in DTYPES:
            values = values.to(torch.float64)
        bits = None if torch.compiler.is_compiling() else pack_bits(values.contiguous())
        if bits is None:
            otherwise = "the tensor holds values other than 0 and 1, so it cannot be packed"
            bits = spikes_as_bits(values + 0.0, otherwise)  # of -0.0, 0.0
        return cls(bits, spikes.shape, spikes.dtype)

    def unpack(self, dtype: torch.dtype | None = None) -> Tensor:
        """The tensor `shape`, of its own type or of `dtype`, whatever type of numbers or truth values that is."""
        wanted = dtype or self.dtype
        made, count = wanted if wanted in DTYPES else torch.uint8, self.shape.numel()
        if torch.compiler.is_compiling():
            flat: Tensor = _unpack(self.bits, count, made)
        else:
            flat = unpack_bits(self.bits, 0, count, made)
        return flat.view(self.shape).to(wanted)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self.bits.numel()

    def to(self, to: torch.device | str | torch.dtype) -> PackedSpikes:
        """The same on another device; or the same bits, standing for a tensor of another dtype."""
        if isinstance(to, torch.dtype):
            return PackedSpikes(self.bits, self.shape, to)
        return PackedSpikes(self.bits.to(device=to), self.shape, self.dtype)

    def __repr__(self) -> str:
        return f"PackedSpikes(shape={tuple(self.shape)}, nbytes={self.nbytes})"
