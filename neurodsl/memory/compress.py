"""`compress_spikes`: what layers keep of spikes for backward takes one bit an element instead of a float.

Whatever a layer saves, Linear, convolution, normalisation, pooling, is looked at when it is saved: a floating-point
tensor whose every element is exactly 0 or 1 is kept as bits and made anew when backward asks for it, so gradients are
the same to the bit. A tensor that is no spikes is given up at its first other value. What several layers keep of one
tensor is packed once: storages are told apart by a weak reference that lives as long as its entry, and by their
version, so an address that was freed and used again, or a tensor written to in between, is never taken for another.
"""

from __future__ import annotations

import threading
import weakref
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from neurodsl.memory.bits import DTYPES, pack_bits, unpack_bits

SMALLEST = 1024
"""Elements from which a tensor is worth looking at."""


class Bits:
    """The bits of a stretch of a storage; the floats too, for as long as somebody else holds them."""

    __slots__ = ("__weakref__", "_made", "bits", "count", "dtype")

    def __init__(self, bits: Tensor, count: int, dtype: torch.dtype) -> None:
        self.bits, self.count, self.dtype = bits, count, dtype
        self._made: weakref.ref[Tensor] | None = None

    def floats(self) -> Tensor:
        """`[count]` zeros and ones."""
        made = self._made() if self._made is not None else None
        if made is None or made._version:
            made = unpack_bits(self.bits, 0, self.count, self.dtype)
            self._made = weakref.ref(made)
        return made


class Saved:
    """A saved tensor as a view of bits."""

    __slots__ = ("bits", "offset", "shape", "strides")

    def __init__(self, bits: Bits, tensor: Tensor, offset: int) -> None:
        self.bits, self.offset = bits, offset
        self.shape, self.strides = tensor.shape, tensor.stride()

    def tensor(self) -> Tensor:
        """The tensor that was saved."""
        return torch.as_strided(self.bits.floats(), self.shape, self.strides, self.offset)


class Packer:
    """The hooks of one `with` block, and what has been packed in it."""

    def __init__(self) -> None:
        self._known: dict[Any, tuple[Any, weakref.ref[Bits] | None]] = {}
        self._lock = threading.Lock()

    def pack(self, tensor: Tensor) -> Any:
        """What is kept instead of a tensor."""
        if not _worth(tensor):
            return tensor
        first, count = _stretch(tensor)
        storage = _weak(tensor)
        key = (storage.cdata, tensor._version, tensor.dtype, first, count)
        with self._lock:
            known = self._known.get(key)
        bits: Bits | None = None
        if known is not None and not known[0].expired():
            if known[1] is None:
                return tensor
            bits = known[1]()
        if bits is None:
            bits = _pack(tensor, first, count)
            with self._lock:
                self._known[key] = (storage, None if bits is None else weakref.ref(bits))
                if len(self._known) > 256:
                    self._forget()
        return tensor if bits is None else Saved(bits, tensor, int(tensor.storage_offset()) - first)

    def unpack(self, kept: Any) -> Tensor:
        """The tensor that was saved."""
        return kept.tensor() if isinstance(kept, Saved) else kept

    def _forget(self) -> None:
        self._known = {k: v for k, v in self._known.items() if not v[0].expired()}


class compress_spikes:  # noqa: N801
    """Keep spikes as bits for backward: `with neurodsl.compress_spikes(): loss = f(model(x))`, or a module wrapped.

    Backward may be inside or outside of the block. Gradients are the same to the bit. Works under autocast, with
    `torch.utils.checkpoint` (what a checkpoint recomputes is not saved in the first place) and DDP. Graphs that
    `torch.compile` has made keep what its own planner chooses: nothing is compressed within them.

        model = neurodsl.compress_spikes(model)    # a module whose every forward pass runs in such a block
    """

    def __new__(cls, module: nn.Module | None = None) -> Any:
        """A block; with a module, a module."""
        return super().__new__(cls) if module is None else CompressedSpikes(module)

    def __init__(self, module: nn.Module | None = None) -> None:
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        packer = Packer()
        hooks = torch.autograd.graph.saved_tensors_hooks(packer.pack, packer.unpack)
        hooks.__enter__()
        self._hooks.append(hooks)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hooks.pop().__exit__(kind, error, trace)


class CompressedSpikes(nn.Module):
    """A module whose forward passes keep spikes as bits."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As the module's."""
        if torch.compiler.is_compiling():
            return self.module(*args, **kwargs)
        with compress_spikes():
            return self.module(*args, **kwargs)


def _worth(tensor: Tensor) -> bool:
    return (
        tensor.numel() >= SMALLEST
        and tensor.dtype in DTYPES
        and tensor.layout is torch.strided
        and tensor.device.type in ("cpu", "cuda")
        and type(tensor) is Tensor
        and not tensor.is_neg()
    )


def _weak(tensor: Tensor) -> Any:
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


def _stretch(tensor: Tensor) -> tuple[int, int]:
    """The first element of the storage that a tensor reaches, and how many there are up to its last."""
    sizes = zip(tensor.shape, tensor.stride(), strict=True)
    return int(tensor.storage_offset()), 1 + sum((size - 1) * stride for size, stride in sizes)


def _pack(tensor: Tensor, first: int, count: int) -> Bits | None:
    if count > 2 * tensor.numel() + 64:
        return None  # a sparse view, such as every tenth column
    with torch.no_grad():
        bits = pack_bits(torch.as_strided(tensor.detach(), (count,), (1,), first))
    return None if bits is None else Bits(bits, count, tensor.dtype)
