"""Params with a shape in C++: which of their values a neuron reads, and how its gradient is added to that."""

from __future__ import annotations

ADD_TO = """// Adds what each neuron gave to the value that it shares, N = rows * C * inner, in a fixed order.
template <typename real>
static void add_to(const real* parts, int64_t N, int64_t C, int64_t inner, real* total) {
    if (N == 0) return;
    const int64_t rows = N / (C * inner);
    for (int64_t c = 0; c < C; ++c) {
        double all = 0;
        for (int64_t b = 0; b < rows; ++b)
            for (int64_t i = 0; i < inner; ++i) all += double(parts[(b * C + c) * inner + i]);
        total[c] += real(all);
    }
}"""


def add_to_call(shape: tuple[str, ...], parts: str, total: str) -> str:
    """The statement that adds the neurons' parts, `[N]` or `[T, N]`, to a gradient of a shape."""
    each = "for (int64_t t = 0; t < a.T; ++t)"
    match shape:
        case ("channel",):
            return f"add_to({parts}, a.N, a.C, a.inner, {total});"
        case ("neuron",):
            return f"add_to({parts}, a.N, a.C * a.inner, int64_t(1), {total});"
        case ("time",):
            return f"{each} add_to({parts} + t * a.N, a.N, int64_t(1), a.N, {total} + t);"
    return f"{each} add_to({parts} + t * a.N, a.N, a.C, a.inner, {total} + t * a.C);"


def place_of(shape: tuple[str, ...], neuron: str) -> str:
    """Which value a neuron reads at step `t`."""
    channel = f"{neuron} / a.inner % a.C"
    places = {
        ("channel",): channel,
        ("neuron",): f"{neuron} % (a.C * a.inner)",
        ("time",): "t",
        ("time", "channel"): f"t * a.C + {channel}",
    }
    return places[shape]
