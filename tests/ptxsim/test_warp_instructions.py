"""Shuffles and votes, against loops over lanes."""

from __future__ import annotations

import numpy as np
import pytest

from ptxsim.small_kernels import run

LANES = np.arange(64)
LANE, WARP = LANES % 32, LANES // 32


@pytest.mark.parametrize("mode", ["up", "down", "bfly", "idx"])
@pytest.mark.parametrize("width", [32, 8])
def test_shuffle(mode: str, width: int) -> None:
    """As CUDA's __shfl_*_sync with a width; out of range each lane keeps its own value."""
    values = np.random.default_rng(1).integers(0, 2**32, 64).astype("u4")
    amount = np.random.default_rng(2).integers(0, 32, 64).astype("u4")
    clamp = (32 - width) << 8 | (0 if mode == "up" else 31)
    text = f"shfl.sync.{mode}.b32 %d, %a, %b, {clamp}, 0xffffffff;"
    got = run(text, "u32", u32_a=values, u32_b=amount)
    text = f"shfl.sync.{mode}.b32 %d|%p, %a, %b, {clamp}, 0xffffffff;\nselp.u32 %d, 1, 0, %p;"
    inside = run(text, "u32", u32_a=values, u32_b=amount)
    for thread in range(64):
        lane, n = int(LANE[thread]), int(amount[thread])
        segment = lane // width * width
        source = {"up": lane - n, "down": lane + n, "bfly": lane ^ n, "idx": segment + n % width}[
            mode
        ]
        within = source >= segment if mode == "up" else source < segment + width
        assert inside[thread] == within
        assert got[thread] == values[32 * WARP[thread] + (source if within else lane)]


@pytest.mark.parametrize("kind", ["all", "any", "uni", "ballot"])
def test_vote(kind: str) -> None:
    for threshold in (0, 3, 40, 64):
        values = np.where(WARP == 0, LANE, 40).astype("u4")
        yes = values < threshold
        result = "u32" if kind == "ballot" else "pred"
        vote = f"vote.sync.{kind}.{'b32 %d' if kind == 'ballot' else 'pred %q'}, %p, 0xffffffff;"
        text = f"setp.lt.u32 %p, %a, {threshold};\n{vote}\n"
        text += "" if result == "u32" else "selp.u32 %d, 1, 0, %q;"
        got = run(text, "u32", u32=values)
        for warp in range(2):
            votes = yes[warp == WARP]
            want = {
                "all": votes.all(),
                "any": votes.any(),
                "uni": votes.all() or not votes.any(),
                "ballot": sum(1 << n for n in range(32) if votes[n]),
            }[kind]
            assert (got[warp == WARP] == want).all()


def test_reduction_and_active_mask() -> None:
    values = np.random.default_rng(3).integers(0, 1000, 64).astype("u4")
    got = run("redux.sync.add.u32 %d, %a, 0xffffffff;", "u32", u32=values)
    assert (got == np.repeat(values.reshape(2, 32).sum(axis=1), 32)).all()
    text = "setp.lt.u32 %p, %i, 40;\nmov.u32 %d, 0;\n@!%p bra L;\nactivemask.b32 %d;\nL:"
    got = run(text, "u32", u32=values)
    assert (got == np.where(LANES < 32, 0xFFFFFFFF, np.where(LANES < 40, 0xFF, 0))).all()
