"""Random numbers in C++ and CUDA: Philox 4x32-10, keyed by the call's seed, counted by neuron, step and stream.

J. K. Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011. A seed below 0 draws nothing: every number
is its distribution's middle. The uniform numbers are multiples of 2^-24 in [0, 1), the normal ones come of two words
by Box and Muller's formula in double precision, so that every target and dtype draws the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from neurodsl.ir.kernel_plan import Binding, Draw
from neurodsl.ir.nodes import Var

_PHILOX = """{prefix} void fn_philox(int64_t seed, int64_t t, int64_t n, int64_t stream, uint32_t* word) {
    uint32_t c0 = uint32_t(n), c1 = uint32_t(uint64_t(n) >> 32), c2 = uint32_t(t), c3 = uint32_t(stream);
    uint32_t k0 = uint32_t(seed), k1 = uint32_t(uint64_t(seed) >> 32);
    for (int round = 0; round < 10; ++round) {
        const uint64_t p0 = uint64_t(0xD2511F53u) * c0, p1 = uint64_t(0xCD9E8D57u) * c2;
        const uint32_t x0 = uint32_t(p1 >> 32) ^ c1 ^ k0, x2 = uint32_t(p0 >> 32) ^ c3 ^ k1;
        c1 = uint32_t(p1);
        c3 = uint32_t(p0);
        c0 = x0;
        c2 = x2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    word[0] = c0;
    word[1] = c1;
}"""

_KINDS = {
    "uniform": """template <typename real> {prefix}
real fn_draw_uniform(int64_t seed, int64_t t, int64_t n, int64_t stream) {
    if (seed < 0) return real(0.5);
    uint32_t word[2];
    fn_philox(seed, t, n, stream, word);
    return real(word[0] >> 8) * real(1.0 / 16777216.0);
}""",
    "normal": """template <typename real> {prefix}
real fn_draw_normal(int64_t seed, int64_t t, int64_t n, int64_t stream) {
    if (seed < 0) return real(0);
    uint32_t word[2];
    fn_philox(seed, t, n, stream, word);
    const double u = (double(word[0]) + 1.0) * (1.0 / 4294967296.0);
    const double angle = double(word[1]) * (6.283185307179586 / 4294967296.0);
    return real({std}sqrt(-2.0 * {std}log(u)) * {std}cos(angle));
}""",
}


def draw_texts(draws: Iterable[Draw], *, prefix: str, std: str) -> list[str]:
    """Definitions of what the draws call; nothing where nothing is drawn."""
    kinds = {draw.kind for draw in draws}
    texts = [_PHILOX, *(text for kind, text in _KINDS.items() if kind in kinds)] if kinds else []
    return [text.replace("{prefix}", prefix).replace("{std}", std) for text in texts]


def draw_line(binding: Binding, draws: Iterable[Draw], names: Mapping[str, str], n: str) -> str:
    """The statement that draws one number for neuron `n` at step `t`."""
    draw = next(d for d in draws if d.name == binding.name)
    assert isinstance(binding.value, Var)
    name = names[binding.value.name]
    return f"const real {name} = fn_draw_{draw.kind}<real>(a.seed, t, {n}, {draw.stream});"
