"""`compress_spikes`: what layers keep of spikes for backward takes one bit an element instead of a float.

Whatever a layer saves, Linear, convolution, normalisation, pooling, is looked at when it is saved: a floating-point
tensor whose every element is exactly 0 or 1 is kept as bits and made anew when backward asks for it, so gradients are
the same to the bit. A tensor that is no spikes is given up at its first other value. Nothing is concluded from where a
tensor lies or what it held before: what several layers keep of one tensor is shared because its bits are equal.
"""

from __future__ import annotations

import threading
import weakref
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from neurodsl.memory.bits import DTYPES, pack_bits, unpack_bits

SMALLEST = 1024
"""Elements from which a tensor is worth looking at."""


class Bits:
    """The bits of a stretch of a storage; the floats too, for as long as somebody else holds them."""

    __slots__ = ("__weakref__", "_made", "bits", "count", "dtype")

    def __init__(self, bits: Tensor, count: int, dtype: torch.dtype) -> None:
        self.bits, self.count, self.dtype = bits, count, dtype
        self._made: weakref.ref[torch.UntypedStorage] | None = None

    def floats(self) -> Tensor:
        """`[count]` zeros and ones."""
        storage = self._made() if self._made is not None else None
        if storage is not None:
            return torch.empty(0, dtype=self.dtype, device=storage.device).set_(storage)
        made = unpack_bits(self.bits, 0, self.count, self.dtype)
        self._made = weakref.ref(made.untyped_storage())
        return made


class Packed:
    """A saved tensor as a view of bits."""

    __slots__ = ("bits", "shape", "strides")

    def __init__(self, bits: Bits, tensor: Tensor) -> None:
        self.bits, self.shape, self.strides = bits, tensor.shape, tensor.stride()

    def tensor(self) -> Tensor:
        """The tensor that was saved."""
        return torch.as_strided(self.bits.floats(), self.shape, self.strides, 0)


class Unpacked:
    """A saved tensor as it is. PyTorch does not look after those that pass through hooks, so its version is kept."""

    __slots__ = ("_tensor", "_version")

    def __init__(self, tensor: Tensor) -> None:
        self._tensor, self._version = tensor, tensor._version

    def tensor(self) -> Tensor:
        """The tensor that was saved.

        Raises:
            RuntimeError: it has been written to since.
        """
        found = self._tensor._version
        if found != self._version:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"[{self._tensor.type()} {list(self._tensor.shape)}] is at version {found}; expected version "
                f"{self._version} instead. Hint: without neurodsl.compress_spikes(), PyTorch names the operation."
            )
        return self._tensor


class Packer:
    """The hooks of one `with` block, and the bits that were made in it and are still needed."""

    def __init__(self) -> None:
        self._known: weakref.WeakValueDictionary[Any, Bits] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()

    def pack(self, tensor: Tensor) -> Packed | Unpacked:
        """What is kept instead of a tensor."""
        count = _stretch(tensor) if _may_be_spikes(tensor) else 0
        if (
            not SMALLEST <= count <= 2 * tensor.numel()
        ):  # more: a sparse view, such as every tenth column
            return Unpacked(tensor)
        with torch.no_grad():
            flat = torch.as_strided(tensor.detach(), (count,), (1,), tensor.storage_offset())
            bits = pack_bits(flat)
        if bits is None:
            return Unpacked(tensor)
        key = (tensor.device, tensor.data_ptr(), tensor.dtype, count)
        with self._lock:
            known = self._known.get(key)
            if known is None or not torch.equal(known.bits, bits):
                known = self._known[key] = Bits(bits, count, tensor.dtype)
        return Packed(known, tensor)

    def unpack(self, kept: Packed | Unpacked) -> Tensor:
        """The tensor that was saved."""
        return kept.tensor()


class compress_spikes:  # noqa: N801
    """Keep spikes as bits for backward: `with neurodsl.compress_spikes(): loss = f(model(x))`, or a module wrapped.

    Backward may be inside or outside of the block. Gradients are the same to the bit. A tensor that was written to
    after it was saved is an error, as without the block, unless it was kept as bits: they are a copy of what it was.
    Works under autocast, with checkpoints and DDP, and around what `torch.compile` has made: `with` inside of it breaks
    the graph, and a wrapped module is compiled as if it were not wrapped.

        model = neurodsl.compress_spikes(model)    # a module whose every forward pass runs in such a block
    """

    def __new__(cls, module: nn.Module | None = None) -> Any:
        """A block; with a module, a module."""
        if module is None:
            return super().__new__(cls)
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"compress_spikes takes a module, or nothing where it is a `with` block; not {type(module).__name__}"
            )
        return CompressedSpikes(module)

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
    """A module whose forward passes keep spikes as bits while `compressing` is true."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.compressing = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As the module's."""
        if torch.compiler.is_compiling() or not self.compressing:
            return self.module(*args, **kwargs)
        with compress_spikes():
            return self.module(*args, **kwargs)


def _may_be_spikes(tensor: Tensor) -> bool:
    return (
        tensor.numel() >= SMALLEST
        and tensor.dtype in DTYPES
        and tensor.layout is torch.strided
        and tensor.device.type in ("cpu", "cuda")
        and type(tensor) is Tensor
        and not tensor.is_neg()
    )


def _stretch(tensor: Tensor) -> int:
    """Elements of the storage from a tensor's first to its last."""
    sizes = zip(tensor.shape, tensor.stride(), strict=True)
    return 1 + sum((size - 1) * stride for size, stride in sizes)
