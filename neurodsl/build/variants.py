"""One library for every x86-64 machine: kernels for several instruction sets, one of which is chosen when it is loaded.

The text of the kernels is compiled once for each level, under symbols that end in the level's suffix. The functions
under the plain names are jumps through a table that a constructor of the library fills.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from neurodsl.build.errors import ToolchainError

VARIABLE = "NEURODSL_CPU"
"""The environment variable that chooses a level by its name."""


@dataclass(frozen=True, slots=True)
class Level:
    """An instruction set: its name as compilers know it, and what a CPU must have for it."""

    name: str
    suffix: str
    features: tuple[str, ...]
    """As `__builtin_cpu_supports` names them."""
    tuning: tuple[str, ...] = ()

    def runs_with(self, features: Collection[str]) -> bool:
        """Whether a CPU with these features, as Linux names them, runs it."""
        spelt = {"bmi": "bmi1"}
        return {spelt.get(feature, feature) for feature in self.features} <= set(features)

    @property
    def flags(self) -> tuple[str, ...]:
        """What the compiler is told."""
        return (f"-march={self.name}", *self.tuning)


_AVX2 = ("avx", "avx2", "bmi", "bmi2", "fma")
_AVX512 = ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")

LEVELS = (
    Level("x86-64-v4", "v4", (*_AVX2, *_AVX512), ("-mprefer-vector-width=512",)),
    Level("x86-64-v3", "v3", _AVX2),
    Level("x86-64", "v1", ()),
)
"""AVX-512, AVX2 and what every x86-64 CPU has; the best first."""

_CHOICE = """namespace {{

typedef int kernel();

struct level {{
    const char* name;
    kernel* kernels[{count}];
}};

const level levels[] = {{
{rows}
}};
constexpr int level_count = {levels};
int chosen_level = level_count - 1;

bool runs(int place) {{
    switch (place) {{
{cases}
    default: return true;
    }}
}}

int best() {{
    int place = 0;
    while (!runs(place)) ++place;
    return place;
}}

}}  // namespace

extern "C" {{
__attribute__((visibility("hidden"))) kernel* neurodsl_chosen_kernels[{count}];
const char* neurodsl_cpu() {{ return levels[chosen_level].name; }}
}}

__attribute__((constructor)) static void choose_kernels() {{
    __builtin_cpu_init();
    chosen_level = best();
    const char* wanted = std::getenv("{variable}");
    if (wanted && *wanted) {{
        int place = 0;
        while (place < level_count && std::strcmp(wanted, levels[place].name)) ++place;
        const bool known = place < level_count;
        if (known && runs(place)) chosen_level = place;
        else std::fprintf(stderr, "neurodsl: {variable}=%s is %s; this library runs its kernels for %s\\n", wanted,
            known ? "more than this CPU has" : "none of {names}", levels[chosen_level].name);
    }}
    for (int i = 0; i < {count}; ++i) neurodsl_chosen_kernels[i] = levels[chosen_level].kernels[i];
}}
"""

_JUMP = """asm(".text\\n.globl {symbol}\\n.type {symbol}, @function\\n.p2align 4\\n"
    "{symbol}:\\n.byte 0xf3, 0x0f, 0x1e, 0xfa\\n"  // endbr64, by its bytes: older assemblers do not know it
    "jmp *neurodsl_chosen_kernels+{offset}(%rip)\\n.size {symbol}, .-{symbol}\\n");"""
"""The jump keeps registers and stack, and so serves a function of any arguments."""


def levels_here() -> tuple[Level, ...]:
    """The levels that a library for other machines is compiled for; none where this machine is no x86-64."""
    return LEVELS if platform.machine().lower() in ("x86_64", "amd64") else ()


def level_named(name: str, features: Collection[str]) -> Level:
    """The level that the environment names, for a CPU with these features.

    Raises:
        ToolchainError: there is none of that name, or the CPU does not have it.
    """
    for level in LEVELS:
        if level.name == name and level.runs_with(features):
            return level
    names = ", ".join(level.name for level in LEVELS)
    known = name in [level.name for level in LEVELS]
    what = "more than this CPU has" if known else f"none of {names}"
    raise ToolchainError(f"{VARIABLE}={name} is {what}", f"unset {VARIABLE}")


def renaming_text(symbols: Sequence[str], level: Level) -> str:
    """A header, included before the kernels: every symbol gets the level's suffix."""
    return "".join(f"#define {symbol} {symbol}_{level.suffix}\n" for symbol in symbols)


def choice_text(symbols: Sequence[str], levels: Sequence[Level]) -> str:
    """The C++ text of the table, of what fills it, and of the functions under the plain names."""
    declared = [f"int {symbol}_{level.suffix}();" for level in levels for symbol in symbols]
    rows = [_row(symbols, level) for level in levels]
    cases = [
        f"    case {place}: return {_condition(level)};"
        for place, level in enumerate(levels)
        if level.features
    ]
    choice = _CHOICE.format(
        count=len(symbols),
        rows="\n".join(rows),
        levels=len(levels),
        cases="\n".join(cases),
        variable=VARIABLE,
        names=", ".join(level.name for level in levels),
    )
    jumps = [_JUMP.format(symbol=s, offset=8 * place) for place, s in enumerate(symbols)]
    includes = ["#include <cstdio>", "#include <cstdlib>", "#include <cstring>"]
    parts = [*includes, 'extern "C" {', *declared, "}", choice, *jumps]
    return "\n".join(parts) + "\n"


def _row(symbols: Sequence[str], level: Level) -> str:
    listed = ", ".join(f"{symbol}_{level.suffix}" for symbol in symbols)
    return f'    {{"{level.name}", {{{listed}}}}},'


def _condition(level: Level) -> str:
    return " && ".join(f'__builtin_cpu_supports("{feature}")' for feature in level.features)
