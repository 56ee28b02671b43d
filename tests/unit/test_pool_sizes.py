"""The pool of outputs under tensors of many sizes: what is free serves, or gives way."""

from __future__ import annotations

import pytest
import torch

import neurodsl
from neurodsl.memory.bits import unpack_bits
from neurodsl.native import extension

MEBIBYTE = 1 << 20


def test_free_blocks_are_cut_or_give_way() -> None:
    native = extension()
    if native is None:
        pytest.skip("the call path in C++ is not there")
    bits = torch.full((8 * MEBIBYTE,), 0b10100101, dtype=torch.uint8)

    def made(mebibytes: int) -> torch.Tensor:
        return unpack_bits(bits, 0, mebibytes * MEBIBYTE // 4, torch.float32)

    neurodsl.empty_cache()
    small = native.pool_bytes()  # pieces of what is smaller than a mebibyte
    x = made(32)
    del x
    assert native.pool_bytes() - small == 32 * MEBIBYTE
    y = made(16)  # the block of 32, cut
    assert native.pool_bytes() == small
    expected = torch.tensor([1.0, 0, 1, 0, 0, 1, 0, 1]).repeat(16 * MEBIBYTE // 32)
    assert torch.equal(y, expected)
    z = made(64)
    w = made(8)
    del y, w
    assert native.pool_bytes() - small == 24 * MEBIBYTE
    x = made(20)  # both are too small: they go
    assert native.pool_bytes() == small
    del z
    assert native.pool_bytes() - small == 64 * MEBIBYTE
    y = made(60)  # nearly as large: as it is
    assert native.pool_bytes() == small
    assert torch.equal(x, expected.repeat(2)[: len(x)])
    assert torch.equal(y[: len(expected)], expected)
    del y
    assert native.pool_bytes() - small == 64 * MEBIBYTE
