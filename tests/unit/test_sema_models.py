"""What the analysis makes of right programs: types, levels, inlined functions, systems, parents, imports."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from unit.analysing import analysed, codes, neuron, program

from neurodsl.sema import model as m
from neurodsl.sema.evaluate import evaluate
from neurodsl.sema.model import walk

REAL, BOOLEAN, SPIKE = m.Type.REAL, m.Type.BOOLEAN, m.Type.SPIKE
NUMBER, PARAM, STEP = m.Level.NUMBER, m.Level.PARAM, m.Level.STEP


def values(model: m.NeuronModel, target: str) -> list[m.Expr]:
    return [s.value for s in model.statements if s.target == target]


def run(model: m.NeuronModel, inputs: dict[str, float], steps: int) -> Iterator[dict[str, float]]:
    """The neuron, step by step, in float64."""
    params = {p.name: p.value for p in model.params if p.value is not None}
    names: dict[str, float | bool] = {**params, "dt": 1.0}
    for state in model.states:
        value = evaluate(state.initial, names)
        assert value is not None
        names[state.name] = value
    for t in range(steps):
        names |= {**inputs, "t": float(t)}
        for statement in model.statements:
            value = evaluate(statement.value, names)
            assert value is not None
            names[statement.target] = value
        yield {name: float(value) for name, value in names.items()}


# --- euler


def test_one_line_is_one_statement() -> None:
    model = neuron(program(charge="dv/dt = x - v"))
    (value, _) = values(model, "v")
    assert isinstance(value, m.Chain)
    assert value.operators == ("+",)
    step = value.operands[1]
    assert isinstance(step, m.Chain)
    assert step.operators == ("*",)
    assert step.operands[0] == m.Ref("dt", m.SymbolKind.DT, type=REAL, level=PARAM)
    assert model.uses_dt
    assert model.statements[0].text == "dv/dt = x - v"
    assert not model.statements[0].hidden


def test_a_system_reads_the_old_values() -> None:
    text = program(
        declarations="state v = 1.0\nstate w = 2.0", charge="dv/dt = w\ndw/dt = v", reset=""
    )
    (first,) = run(neuron(text), {"x": 0.0}, 1)
    assert (first["v"], first["w"]) == (3.0, 3.0)


def test_an_assignment_ends_a_system() -> None:
    text = program(
        declarations="state v = 1.0\nstate w = 2.0", charge="dv/dt = w\nh = x\ndw/dt = v", reset=""
    )
    (first,) = run(neuron(text), {"x": 0.0}, 1)
    assert (first["v"], first["w"]) == (3.0, 5.0)


# --- levels and types


@pytest.mark.parametrize(
    ("expression", "type", "level"),
    [
        ("1 - 1 / 4", REAL, NUMBER),
        ("pi", REAL, NUMBER),
        ("1 - 1 / tau", REAL, PARAM),
        ("dt * 2", REAL, PARAM),
        ("t", REAL, STEP),
        ("x * tau", REAL, STEP),
        ("0 <= x < tau", BOOLEAN, STEP),
        ("tau > 2", BOOLEAN, PARAM),
        ("not (x > 1)", BOOLEAN, STEP),
        ("spike(x)", SPIKE, STEP),
        ("spike(1)", SPIKE, STEP),
        ("not spike(x)", SPIKE, STEP),
        ("detach(spike(x))", SPIKE, STEP),
        ("spike(x) if x > 2 else spike(-x)", SPIKE, STEP),
        ("spike(x) if x > 2 else 0", REAL, STEP),
        ("where(tau > 2, tau, 1)", REAL, PARAM),
        ("spike(x) * spike(v)", REAL, STEP),
        ("max(1, 2, 3)", REAL, NUMBER),
    ],
)
def test_type_and_level(expression: str, type: m.Type, level: m.Level) -> None:
    model = neuron(
        program(declarations="param tau = 2.0\nstate v = 0.0", charge=f"h = {expression}\nv = x")
    )
    (value,) = values(model, "h")
    assert (value.type, value.level) == (type, level)
    assert dict(model.local_types)["h"] is type


def test_a_local_has_the_level_of_its_value() -> None:
    model = neuron(
        program(
            declarations="param tau = 2.0\nstate v = 0.0",
            charge="k = 1 / tau\nj = k * 2\nv = j * x",
        )
    )
    assert values(model, "j")[0].level is PARAM


def test_consts_are_folded_in_float64() -> None:
    model = neuron(
        program(declarations="const a = 1 / 3\nconst b = a * 3 + pi\nstate v = b", charge="v = b")
    )
    assert isinstance(model.states[0].initial, m.Literal)
    assert model.states[0].initial.value == (1 / 3) * 3 + 3.141592653589793


def test_defaults_follow_from_earlier_ones() -> None:
    model = neuron(
        program(
            declarations="param tau = 4.0\nparam decay = 1 - 1 / tau\nparam on = true\nparam free\n"
            "state v = decay",
            charge="v = v * decay + x + free if on else x + tau",
        )
    )
    assert [(p.name, p.value) for p in model.params] == [
        ("tau", 4.0),
        ("decay", 0.75),
        ("on", True),
        ("free", None),
    ]


def test_arguments_go_by_name() -> None:
    text = program(charge="v = clip(high=2, x=x, low=-1) + pow(exponent=2, base=v)")
    (first,) = run(neuron(text), {"x": 5.0}, 1)
    assert first["s"] == 1.0
    (clip,) = [e for e in walk(values(neuron(text), "v")[0]) if isinstance(e, m.Call)]
    assert [e.value for e in clip.arguments[1:] if isinstance(e, m.Literal)] == [-1.0, 2.0]


# --- spikes


def test_the_default_surrogate_is_atan() -> None:
    (spike,) = values(neuron(program()), "s")
    assert isinstance(spike, m.Spike)
    assert not spike.strict
    assert spike.surrogate.surrogate.name == "atan"
    assert [e.value for e in spike.surrogate.arguments if isinstance(e, m.Literal)] == [2.0]


@pytest.mark.parametrize(("sign", "strict"), [(">", True), (">=", False)])
def test_a_comparison_fires_as_it_says(sign: str, strict: bool) -> None:
    (spike,) = values(neuron(program(fire=f"s = spike(v {sign} 1, sigmoid(4))")), "s")
    assert isinstance(spike, m.Spike)
    assert spike.strict is strict
    assert spike.compared is not None
    assert isinstance(spike.argument, m.Chain)


def test_an_option_replaces_every_surrogate() -> None:
    model = neuron(program(fire="s = spike(v - 1, rect(width=2))"), surrogate="erf(alpha=3.0)")
    assert [s.name for s in model.surrogates] == ["erf"]


def test_a_surrogate_takes_params() -> None:
    (spike,) = values(
        neuron(
            program(
                declarations="param k = 3.0\nstate v = 0.0",
                fire="s = spike(v - 1, atan(alpha=2 * k))",
            )
        ),
        "s",
    )
    assert isinstance(spike, m.Spike)
    assert spike.surrogate.arguments[0].level is PARAM


# --- functions


def test_an_argument_is_computed_once() -> None:
    model = neuron(program(top="function square(z) = z * z", charge="v = v + square(x + 1)"))
    hidden = [s for s in model.statements if s.hidden]
    assert len(hidden) == 1
    (first,) = run(model, {"x": 0.5}, 1)
    assert first["s"] == 1.0


def test_hidden_names_are_free_ones() -> None:
    model = neuron(
        program(
            top="function square(z) = z * z",
            declarations="state v = 0.0\nstate z = 0.0",
            charge="z = x\nv = v + square(x + z) + square(x - z)",
        )
    )
    names = [s.target for s in model.statements if s.hidden]
    assert len({*names, "z", "v", "x", "s"}) == len(names) + 4


def test_nothing_is_computed_before_a_selection() -> None:
    model = neuron(
        program(
            top="function square(z) = z * z",
            charge="v = v + (square(log(x)) if x > 0 else where(x < -1, square(log(-x)), 0))",
        )
    )
    assert not [s for s in model.statements if s.hidden]


def test_a_function_sees_its_own_file() -> None:
    library = "function twice(z) = 2 * z\nfunction gate(z, k=1.0) = twice(z) * k\n"
    model = neuron(
        program(
            top='from "gates.neuron" import gate\nfunction twice(z) = 100 * z',
            charge="v = gate(x, k=3)",
            fire="s = spike(v - 1000)",
        ),
        files={"gates.neuron": library},
    )
    (first,) = run(model, {"x": 1.0}, 1)
    assert first["v"] == 6.0


def test_a_neuron_s_function_sees_its_declarations() -> None:
    model = neuron(
        program(
            declarations="param gain = 2.0\nstate v = 0.0\nfunction drive(z) = gain * z - v",
            charge="v = v + drive(x)",
        )
    )
    (first,) = run(model, {"x": 0.25}, 1)
    assert first["v"] == 0.5


# --- parents and imports

BASE = program(
    declarations="param a = 1.0\nparam b = 2.0\nstate v = a\nfunction act(z) = z + b",
    charge="v = act(x)",
)


def test_a_child_replaces_what_it_names() -> None:
    child = (
        'from "base.neuron" import A\n'
        "neuron B(A):\n    output v, s\n    param c = 3.0\n    param a = 9.0\n"
        "    function act(z) = z * c\n"
    )
    model = neuron(child, files={"base.neuron": BASE})
    assert [(p.name, p.value) for p in model.params] == [("a", 9.0), ("b", 2.0), ("c", 3.0)]
    assert model.outputs == ("v", "s")
    assert codes(child, files={"base.neuron": BASE}) == []  # the parent's `b` is unused by now
    (first,) = run(model, {"x": 0.25}, 1)
    assert first["v"] == 0.75


def test_sources_are_all_that_was_read() -> None:
    child = 'from "base.neuron" import A\nneuron B(A):\n    output v\n'
    model = analysed(child, files={"base.neuron": BASE}).model
    assert [name for name, _ in model.sources] == ["main.neuron", "base.neuron"]
    assert [n.name for n in model.neurons] == ["B"]


def test_library_neurons_are_parents() -> None:
    text = "from library import LIF\nneuron B(LIF):\n    reset:\n        v = v - v_threshold * s\n"
    result = analysed(text)
    assert [name for name, _ in result.model.sources] == ["main.neuron", "<library>/lif.neuron"]
    assert [p.name for p in result.model.neurons[0].params][:2] == ["tau", "decay_input"]


def test_equations_are_printed_flat() -> None:
    child = 'from "base.neuron" import A\nneuron B(A):\n    reset:\n        v = 0.5\n'
    lines = neuron(child, files={"base.neuron": BASE}).equations
    assert lines[0] == "neuron B:"
    assert "        v = act(x)" in lines
    assert lines[-1] == "        v = 0.5"


# --- size


@pytest.mark.parametrize(
    "charge",
    [
        "v = v + " + " + ".join(["x"] * 20_000),
        "\n".join(["v = v + x"] * 3_000),
        "\n".join(f"h{i} = v + x * {i}" for i in range(3_000)) + "\nv = h2999",
        "v = " + "(x + " * 199 + "v" + ")" * 199,
        "v = " + "sin(" * 199 + "x" + ")" * 199,
    ],
    ids=["sum", "assignments", "locals", "brackets", "calls"],
)
def test_large_programs_are_quick(charge: str) -> None:
    start = time.perf_counter()
    assert neuron(program(charge=charge)).statements
    assert time.perf_counter() - start < 10


def test_a_child_s_function_is_what_its_parent_s_phases_call() -> None:
    """LIAF's activation is a function that a child overrides."""
    import torch

    import neurodsl

    child = "from library import LIAF\n\nneuron Squared(LIAF):\n    function act(u) = u * u\n"
    x = torch.tensor([[[0.5, 3.0, -2.0]]])
    squared = neurodsl.load(child).Squared()(x)
    assert torch.equal(squared, (x / 2 - 1) ** 2)
    assert torch.equal(neurodsl.library.LIAF()(x), torch.relu(x / 2 - 1))


def test_a_state_may_be_made_of_a_param_that_stands_further_down() -> None:
    import torch

    import neurodsl

    text = (
        "neuron N:\n    input x\n    output v\n    state v = start\n    param start = 0.5\n"
        "    charge:\n        v = v + x\n"
    )
    assert neurodsl.load(text).N()(torch.ones(1, 1, 1)).item() == 1.5
