"""Memory layouts: kernels see `[T, N]`, so any order of the dimensions of one step will do if all tensors share it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Layout = tuple[int, ...] | None
"""Strides, as `common_layout` gives them."""


def common_layout(first: Tensor) -> Layout:
    """The strides of `first` `[T, …]` if its steps are dense and one after the other in memory; None if not.

    None also stands for contiguous tensors, which need no strides to describe them.
    """
    if first.is_contiguous():
        return None
    shape, strides = first.shape[1:], first.stride()
    expected = 1
    for stride, size in sorted(zip(strides[1:], shape, strict=True)):
        if size == 1:
            continue
        if stride != expected:
            return None
        expected *= size
    return strides if first.shape[0] == 1 or strides[0] == expected else None


def in_layout(tensor: Tensor, layout: Layout) -> Tensor:
    """A tensor `[T, …]` or `[…]` (0-dim ones as they are) in a common layout, copied only if it has another."""
    if layout is None:
        return tensor if tensor.is_contiguous() else tensor.contiguous()
    if not tensor.dim():
        return tensor
    wanted = layout[len(layout) - tensor.dim() :]
    if _same(tensor, wanted):
        return tensor
    made = torch.empty_strided(tensor.shape, wanted, dtype=tensor.dtype, device=tensor.device)
    return made.copy_(tensor)


def state_dtype(dtype: torch.dtype) -> torch.dtype:
    """Of states and params where inputs have a dtype: float32 where that has two bytes."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def keepable(state: Tensor) -> Tensor:
    """A state that backward may keep: a copy of what a call under `torch.inference_mode` has left."""
    inside = torch.compiler.is_compiling() or torch.is_inference_mode_enabled()
    return state.clone() if not inside and state.is_inference() else state


def empty_in(
    first: Tensor, layout: Layout, *, step: bool = False, rows: int | None = None
) -> Tensor:
    """A new tensor in a common layout: like `first` `[T, …]`, or a state of it `[…]`, or so many rows of states."""
    shape = first.shape[1:] if step else first.shape
    if rows is not None:
        shape = torch.Size((rows, *first.shape[1:]))
    dtype = state_dtype(first.dtype) if step or rows is not None else first.dtype
    if layout is None:
        return first.new_empty(shape, dtype=dtype)
    strides = layout[1:] if step else layout
    return torch.empty_strided(shape, strides, dtype=dtype, device=first.device)


def _same(tensor: Tensor, strides: Sequence[int]) -> bool:
    return all(
        size == 1 or have == want
        for size, have, want in zip(tensor.shape, tensor.stride(), strides, strict=True)
    )
