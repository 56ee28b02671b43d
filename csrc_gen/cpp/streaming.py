"""Rows of large arrays in the C++ kernels: stores past the caches, and what is asked for ahead of its use."""

from __future__ import annotations

from neurodsl.csrc_gen.writer import Writer

HELPERS = """// A row that nobody reads soon goes past the caches. `bytes` of both are multiples of 64.
template <int bytes> static inline void stream_out(void* to, const void* from) {
#if defined(__clang__) || defined(__AVX512F__)
    typedef long long part __attribute__((vector_size(64), may_alias));
#elif defined(__AVX__)
    typedef long long part __attribute__((vector_size(32), may_alias));
#else
    typedef long long part __attribute__((vector_size(16), may_alias));
#endif
    part* target = static_cast<part*>(to);
    const part* source = static_cast<const part*>(from);
    for (int i = 0; i < bytes / int(sizeof(part)); ++i) {
#if defined(__clang__)
        __builtin_nontemporal_store(source[i], target + i);
#elif defined(__AVX512F__)
        __builtin_ia32_movntdq512(target + i, source[i]);
#elif defined(__AVX__)
        __builtin_ia32_movntdq256(target + i, source[i]);
#elif defined(__SSE2__)
        __builtin_ia32_movntdq(target + i, source[i]);
#else
        target[i] = source[i];
#endif
    }
}

static inline void end_of_streams() {
#if defined(__SSE2__)
    __builtin_ia32_sfence();
#endif
}

static inline bool is_aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 64 == 0; }

// Into the second cache: rows of a block often lie a power of two apart, and so in the same few places of the first,
// where what comes early is gone before it is used.
template <int bytes> static inline void fetch_ahead(const void* row) {
    for (int i = 0; i < bytes; i += 64) __builtin_prefetch(static_cast<const char*>(row) + i, 0, 2);
}"""

NEXT_BLOCK = "WHOLE && n0 + 2 * B <= N"
"""Whether there is a whole block after this one."""

STREAM_FROM = 16 << 20
"""Bytes from which stores go past the caches: of one array forwards, since a layer reads the output next; of all that
it goes through backwards.
"""


def condition(pointers: list[str], arrays: int) -> str:
    """Whether these rows are streamed: large, and every row of them begins on a line of the cache."""
    aligned = "".join(f" && is_aligned({pointer})" for pointer in pointers)
    return (
        f"a.T * a.N * i64({arrays} * sizeof(real)) >= {STREAM_FROM} && a.N * i64(sizeof(real)) % 64 == 0"
        f"{aligned}"
    )


def write_fetches(writer: Writer, guard: str, rows: list[str]) -> None:
    """Ask for one row of each, a block wide, where the guard holds."""
    if not rows:
        return
    with writer.block(f"if ({guard}) {{"):
        writer.lines(f"fetch_ahead<int(B * sizeof(real))>({row});" for row in rows)
