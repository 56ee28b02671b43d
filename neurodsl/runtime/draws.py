"""The random numbers of the kernels, by PyTorch: Philox 4x32-10 on int64 tensors; see csrc_gen/draws.py."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

_LOW = 0xFFFFFFFF


def fresh_seed() -> int:
    """A seed from PyTorch's generator, at least 0: `torch.manual_seed` governs it."""
    return int(torch.randint(0, 2**63 - 1, ()).item())


def standard_draw(kind: str, seed: int, t: int, stream: int, like: Tensor) -> Tensor:
    """One number for each neuron, `normal` or `uniform`, as the kernels draw it; the middle if the seed is below 0."""
    if seed < 0:
        return torch.full_like(like, 0.0 if kind == "normal" else 0.5)
    word0, word1 = _philox(seed, t, stream, like)
    if kind == "uniform":
        return ((word0 >> 8).to(torch.float64) / 2.0**24).to(like.dtype)
    u = (word0.to(torch.float64) + 1.0) / 2.0**32
    angle = word1.to(torch.float64) * (2 * math.pi / 2.0**32)
    return (torch.sqrt(-2.0 * torch.log(u)) * torch.cos(angle)).to(like.dtype)


def _philox(seed: int, t: int, stream: int, like: Tensor) -> tuple[Tensor, Tensor]:
    n = torch.arange(like.numel(), device=like.device).reshape(like.shape)
    counter: list[Any] = [n & _LOW, n >> 32, torch.full_like(n, t), torch.full_like(n, stream)]
    key = [seed & _LOW, seed >> 32]
    for _ in range(10):
        # the low 64 bits of a product are right in two's complement, too
        p0, p1 = counter[0] * 0xD2511F53, counter[2] * 0xCD9E8D57
        counter = [
            ((p1 >> 32) & _LOW) ^ counter[1] ^ key[0],
            p1 & _LOW,
            ((p0 >> 32) & _LOW) ^ counter[3] ^ key[1],
            p0 & _LOW,
        ]
        key = [(key[0] + 0x9E3779B9) & _LOW, (key[1] + 0xBB67AE85) & _LOW]
    return counter[0], counter[1]
