"""Names in C++ and CUDA: checked, made ASCII, never a keyword, each once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from neurodsl.ir.kernel_plan import BackwardPlan, ForwardPlan

KEYWORDS = frozenset(
    """alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t class
    compl concept const const_cast consteval constexpr constinit continue co_await co_return
    co_yield decltype default delete do double
    dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace new
    noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires return
    short signed sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef
    typeid typename typeof union unsigned using virtual void volatile wchar_t while xor xor_eq restrict linux unix
    real std fn B C T N n0 inner seed parts n j t k a i64 row FULL WHOLE main NAN INFINITY NULL EOF errno assert
    signbit isnan isinf
    threadIdx blockIdx blockDim gridDim warpSize int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t
    size_t ptrdiff_t M_PI __global__ __device__ __host__ __shared__ __constant__""".split()  # noqa: SIM905
)
"""Words of the languages and of their libraries, and the shortest of our own."""

OURS = frozenset(
    """add_to add_up all allocate args at atomicAdd b back before begin bf16 bits blocks border buffer c call
    carried channels CHECKED choice choose count detached divisor double_type down end end_of_streams f16 f32
    f64 failed fed fetch_ahead first flipped free from from_bits give given H in_parallel io is_aligned is_float
    is_power_of_two KH KW LANES large last learnt left length load_apart load_states_apart member moved
    neurons next next_begin note_failure now of_bfloat16 p pad pad_plane padded params pays plane planes
    POWERS q RECORD RECORDED run scratch slot soon spare start states stencil steps_of store_bits
    store_states_apart stream STREAM stream_out sum sums take team there to_bfloat16 total up V V_FULL values W
    warp width zeros""".split()  # noqa: SIM905
)
"""What the kernels' own text calls things where variables of a neuron are in sight: a test reads it off the texts."""


def ascii_name(name: str) -> str:
    """The name with each letter that is not ASCII spelt out: `τ` is `tau`, others are `u` and their number."""
    parts = []
    for character in unicodedata.normalize("NFKC", name):
        if character.isascii():
            parts.append(character)
        else:
            words = unicodedata.name(character, "").lower().split()
            greek = words[:2] == ["greek", "small"] and len(words) == 4
            parts.append(words[3] if greek else f"u{ord(character):04x}")
    return "".join(parts)


OF_KERNELS = r"^(forward|backward|reduce|stencil)_"
"""What the kernels' structs and functions are called."""


class CNames:
    """Hands out identifiers, each once."""

    def __init__(self, reserved: Iterable[str] = (), derived: str = OF_KERNELS) -> None:
        """`reserved`: more that is not handed out; `derived`: a pattern of what is made of other names."""
        self._taken = {*KEYWORDS, *OURS, *reserved}
        self._derived = re.compile(derived)

    def fresh(self, name: str) -> str:
        """`name`, made an identifier; with underscores, then a number, where that is taken."""
        base = ascii_name(name)
        if base.startswith(("_", "fn_", "NEURODSL_")) or self._derived.match(base):
            base = "n" + base
        base = base.replace("__", "_u_")
        found, number = base, 0
        while found in self._taken or self._derived.search(found):
            number += 1
            found = f"{base}_" if number == 1 else f"{base}_{number}"
        self._taken.add(found)
        return found


def forward_names(plan: ForwardPlan, names: CNames, given: list[str]) -> dict[str, str]:
    """The spelling of each variable of a forward step; `given`: names of scalars and the time."""
    order = [b.value for b in plan.inputs] + [c.incoming for c in plan.states]
    order += [assign.target for assign in plan.step]
    return _spelt([*given, *(getattr(v, "name", "") for v in order)], names)


def backward_names(plan: BackwardPlan, names: CNames, given: list[str]) -> dict[str, str]:
    """The spelling of each variable of a backward pass."""
    order = [b.value for b in (*plan.recompute_inputs, *plan.reverse_inputs)]
    order += [c.incoming for c in plan.recompute_states]
    order += [a.target for p in (plan.prologue, plan.recompute, plan.reverse) for a in p]
    order += [*plan.tape, *(b.value for b in (*plan.grad_outputs, *plan.grad_recorded))]
    order += [c.incoming for c in plan.adjoints]
    return _spelt([*given, *(getattr(v, "name", "") for v in order)], names)


def _spelt(order: list[str], names: CNames) -> dict[str, str]:
    spelt: dict[str, str] = {}
    for name in order:
        if name and name not in spelt:
            spelt[name] = names.fresh(name)
    return spelt
