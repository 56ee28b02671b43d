"""The leaky integrate-and-fire neuron as a model, built by hand: tests of the middle need no front end."""

from __future__ import annotations

from neurodsl.sema.model import (
    Call,
    Chain,
    IntervalModel,
    Level,
    Literal,
    NeuronModel,
    ParamModel,
    PhaseName,
    Ref,
    Select,
    Spike,
    Statement,
    StateModel,
    SurrogateModel,
    SurrogateUse,
    SymbolKind,
    Type,
)

REAL = Type.REAL
STEP, PARAM, NUMBER = Level.STEP, Level.PARAM, Level.NUMBER


def number(value: float) -> Literal:
    return Literal(value, type=REAL, level=NUMBER)


def ref(name: str, kind: SymbolKind, level: Level = STEP, type: Type = REAL) -> Ref:
    return Ref(name, kind, type=type, level=level)


def chain(operators: str, *operands: object, level: Level = STEP) -> Chain:
    return Chain(tuple(operators), operands, type=REAL, level=level)  # type: ignore[arg-type]


U = ref("u", SymbolKind.ARGUMENT)
ALPHA = ref("alpha", SymbolKind.ARGUMENT, PARAM)
PI = number(3.141592653589793)

ATAN = SurrogateModel(
    "atan",
    (("alpha", number(2.0)),),
    chain(
        "+",
        chain(
            "/", Call("atan", (chain("/**", PI, number(2.0), ALPHA, U),), type=REAL, level=STEP), PI
        ),
        chain("/", number(1.0), number(2.0), level=NUMBER),
    ),
    None,
)

X = ref("x", SymbolKind.INPUT)
V = ref("v", SymbolKind.STATE)
TAU, V_TH, V_RESET = (ref(n, SymbolKind.PARAM, PARAM) for n in ("tau", "v_threshold", "v_reset"))


def lif() -> NeuronModel:
    """`dv/dt = (x - (v - v_reset)) / tau`, hard reset."""
    f = chain("/", chain("-", X, chain("-", V, V_RESET)), TAU)
    dt = ref("dt", SymbolKind.DT, PARAM)
    charge = chain("+", V, chain("*", dt, f))
    spike = Spike(
        chain("-", V, V_TH), False, SurrogateUse(ATAN, (number(2.0),)), type=Type.SPIKE, level=STEP
    )
    s = ref("s", SymbolKind.LOCAL, type=Type.SPIKE)
    reset = Select(s, V_RESET, V, type=REAL, level=STEP)
    return NeuronModel(
        name="LIF",
        docstring="Leaky integrate-and-fire neuron with a hard reset.",
        inputs=("x",),
        outputs=("s",),
        params=(
            ParamModel(
                "tau",
                REAL,
                number(2.0),
                2.0,
                IntervalModel(1.0, float("inf"), True, True, "(1, inf)"),
                False,
                None,
            ),
            ParamModel("v_threshold", REAL, number(1.0), 1.0, None, False, None),
            ParamModel("v_reset", REAL, number(0.0), 0.0, None, False, None),
        ),
        states=(StateModel("v", V_RESET),),
        statements=(
            Statement("v", charge, PhaseName.CHARGE, "dv/dt = (x - (v - v_reset)) / tau"),
            Statement("s", spike, PhaseName.FIRE, "s = spike(v - v_threshold, atan(alpha=2.0))"),
            Statement("v", reset, PhaseName.RESET, "v = v_reset if s else v"),
        ),
        equations=("neuron LIF:",),
        surrogates=(ATAN,),
        local_types=(("s", Type.SPIKE),),
        uses_dt=True,
    )
