"""What the analysis says about wrong programs, and that it says something about every wrong program."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from unit.analysing import codes, found, program

from neurodsl.diagnostics import Severity, Span
from neurodsl.diagnostics.catalogue import all_codes, lookup
from neurodsl.library import names, sources


def test_all_mistakes_are_told_at_once_in_order() -> None:
    text = program(
        declarations="param tau = 2.0\nstate v = 0.0\nstate w = 0.0",
        charge="v = v + taw\nu = expp(x)\nv = u + 1\nx = 2",
        fire="s = spike(v < 1)",
    )
    diagnostics = found(text)
    assert [d.code for d in diagnostics] == ["E0402", "E0201", "E0205", "E0401", "E0306"]
    assert [d.span.line for d in diagnostics] == sorted(d.span.line for d in diagnostics)


def test_one_mistake_is_told_once() -> None:
    text = program(charge="u = taw\nw = u + 1\nv = exp(w) if w > u else v + w")
    assert codes(text) == ["E0201"]
    assert codes(text + "neuron B(A):\n    output v\n") == ["E0201"]


@pytest.mark.parametrize(
    ("meant", "text"),
    [
        ("tau", program(declarations="param tau = 1.0\nstate v = 0.0", charge="v = v * tua + x")),
        ("exp", program(charge="v = exq(x)")),
        ("sigmoid", program(fire="s = spike(v, sigmod(alpha=2))")),
        ("alpha", program(fire="s = spike(v, sigmoid(alhpa=2))")),
        ("euler", program(charge="dv/dt = x by Euler")),
        ("LIF", "from library import lif\nneuron B(lif):\n    output v\n"),
        ("volt", program(declarations="state v = 0.0\nstate volt = 0.0", charge="dvolts/dt = x")),
        ("A", program() + "neuron B(a):\n    output v\n"),
        ("s", program().replace("output s", "output S")),
    ],
)
def test_the_nearest_name_is_named(meant: str, text: str) -> None:
    help = [hint for diagnostic in found(text) for hint in diagnostic.help]
    assert any(f"`{meant}`" in hint for hint in help), help


@pytest.mark.parametrize(
    ("surrogate", "code"),
    [
        ("sigmod(alpha=4.0)", "E0206"),
        ("atan", "E0206"),
        ("2.0", "E0206"),
        ("atan(beta=1)", "E0305"),
        ("atan(1, 2)", "E0304"),
        ("atan(alpha=v)", "E0407"),
        ("atan(alpha=taw)", "E0201"),
        ("atan(", "E0104"),
        ("", "E0206"),
        ("  ", "E0206"),
    ],
)
def test_a_wrong_surrogate_option(surrogate: str, code: str) -> None:
    (diagnostic,) = found(program(), surrogate=surrogate)
    assert diagnostic.code == code
    assert diagnostic.span.source == "<surrogate>"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (program(charge="dv/dt = x by rk5"), "E0210"),
        (program(charge="dv/dt = x by rk4(0)"), "E0418"),
        (program(charge="dv/dt = x by rk4(steps=2.5)"), "E0418"),
        (program(charge="dv/dt = x by rk4(step=2)"), "E0418"),
        (program(charge="dv/dt = -v by exact(steps=2)"), "E0418"),
        (program(charge="dv/dt = x - v ^ 2 by exact"), "E0419"),
        (program(charge="dv/dt = x / v by exponential_euler"), "E0419"),
        (program(declarations="state v = 0\nnoise e ~ normal(0, 1, 2)"), "E0304"),
        (program(declarations="state v = 0\nnoise e ~ normal(0, sd=1)"), "E0305"),
        (program(declarations="state v = 0\nnoise e ~ cauchy(0, 1)"), "E0424"),
        (program(declarations="state v = 0\nparam a[time, neuron] = 1"), "E0422"),
        (program(declarations="param a[time] = 1\nstate v = a"), "E0423"),
        (program(declarations="state v = 0\nfeedback y from z"), "E0421"),
        (program(declarations="state v = 0\nnoise e ~ normal(0, 1)", charge="e = x"), "E0401"),
    ],
)
def test_solvers_shapes_noise_and_feedback(text: str, code: str) -> None:
    assert code in codes(text)


@pytest.mark.parametrize(
    "text",
    [
        program(charge="dv/dt = x by rk4(steps=4)"),
        program(charge="dv/dt = x by euler(2)"),
        program(declarations="param a[channel] = 1\nstate v = a", charge="v = v + a * x"),
        program(declarations="state v = 0\nnoise e ~ normal(0, 1)", charge="v = v + x + e"),
        program(declarations="state v = 0\nfeedback y from s", charge="v = v + x + y"),
        program(charge="dv/dt = (x - v) / (1 + x ^ 2) by exact"),
    ],
)
def test_solvers_shapes_noise_and_feedback_as_they_should_be(text: str) -> None:
    assert not [code for code in codes(text) if code.startswith("E")]


def test_imports_in_a_circle() -> None:
    files = {"b.neuron": 'from "main.neuron" import A\n' + program()}
    files["main.neuron"] = 'from "b.neuron" import A\n'
    assert codes(files["main.neuron"], files=files)[0] == "E0503"


def test_a_path_is_relative() -> None:
    assert "E0501" in codes('from "/etc/passwd" import A\n' + program())
    assert "E0501" in codes('from "nowhere.neuron" import A\n' + program())


def test_an_imported_file_that_is_no_text_is_shown_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "binary.neuron").write_bytes("# première\n# é".encode() + b"\xe9\n")
    (diagnostic,) = found('from "binary.neuron" import A, B\n' + program())
    assert diagnostic.code == "E0102"
    assert diagnostic.span == Span("binary.neuron", 2, 4, 2, 5)
    assert "byte 0xe9" in diagnostic.message
    assert [label.span.source for label in diagnostic.secondary] == ["main.neuron"]


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing yet\n"])
def test_an_empty_file_is_named(text: str) -> None:
    (diagnostic,) = found(text)
    assert (diagnostic.code, diagnostic.span.source) == ("E0411", "main.neuron")
    assert any("`neuron LIF:`" in hint for hint in diagnostic.help)


def test_an_imported_file_s_warnings_are_its_own() -> None:
    base = program(declarations="param spare = 1.0\nstate v = 0.0")
    assert codes(base) == ["W0601"]
    child = 'from "base.neuron" import A\nneuron B(A):\n    output v\n'
    assert codes(child, files={"base.neuron": base}) == []


def test_a_syntax_error_of_an_imported_file_is_shown_there() -> None:
    child = 'from "base.neuron" import A\nneuron B(A):\n    output v\n'
    first = found(child, files={"base.neuron": "neuron A:\n    input (\n"})[0]
    assert first.code.startswith("E01")
    assert first.span.source == "base.neuron"


# --- gradients


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (program(charge="v = v + floor(x)"), ["W0604"]),
        (program(charge="v = v + floor(x) + x"), []),
        (program(charge="v = v + 1 if x > 0 else v"), ["W0604"]),
        (program(charge="h = detach(x)\nv = v + h"), ["W0604"]),
        (program(charge="v = v + (x if spike(x) else 0)"), []),
        (program(fire="s = spike(x - 1)"), ["W0603"]),
        (program(charge="v = x", reset=""), ["W0603"]),
        (program(charge="v = v + x", reset="v = 0 if s else v\ns = s * 2"), ["W0605"]),
        (
            program(declarations="state v = 0.0\nparam k = 1.0 learnable", charge="v = v + k * x"),
            [],
        ),
        (
            program(declarations="param k = 1.0 learnable\nstate v = k", charge="v = v / 2 + x"),
            [],
        ),
        (
            program(declarations="state v = 0.0\nparam k = 1.0 learnable", charge="v = v + x"),
            ["E0415"],
        ),
        (
            program(
                declarations="state v = 0.0\nparam k = 1.0 learnable",
                fire="s = spike(v - 1, atan(alpha=k))",
            ),
            [],
        ),
        (
            program(
                top="surrogate box(u, a=1):\n    gradient = a if abs(u) < a else 0",
                declarations="state v = 0.0\nparam k = 1.0 learnable",
                fire="s = spike(v - 1, box(a=k))",
            ),
            ["E0415"],
        ),
    ],
)
def test_where_gradients_end(text: str, expected: list[str]) -> None:
    assert [code for code in codes(text) if code != "W0601"] == expected


@pytest.mark.parametrize(
    ("primitive", "gradient", "agree"),
    [
        ("sigmoid(u)", "sigmoid(u) * (1 - sigmoid(u))", True),
        ("sigmoid(2 * u)", "sigmoid(u) * (1 - sigmoid(u))", False),
        ("clip(u + 1 / 2, 0, 1)", "1 if abs(u) < 1 / 2 else 0", True),
        ("clip(u + 1 / 2, 0, 1)", "2 if abs(u) < 1 / 2 else 0", False),
        ("erf(u)", "2 / sqrt(pi) * exp(-u^2)", True),
    ],
)
def test_a_gradient_is_the_primitive_s(primitive: str, gradient: str, agree: bool) -> None:
    text = program(
        top=f"surrogate q(u):\n    primitive = {primitive}\n    gradient = {gradient}",
        fire="s = spike(v - 1, q())",
    )
    assert ("E0416" not in codes(text)) is agree


def test_the_library_is_without_fault() -> None:
    for name in names():
        found = codes(sources()[f"<library>/{name.lower()}.neuron"])
        assert found == (["W0604"] if name == "STBIF" else [])  # which is for inference


# --- functions without end


def test_functions_of_functions_are_bounded() -> None:
    doubling = "".join(f"function f{i}(z) = f{i + 1}(z) + f{i + 1}(z)\n" for i in range(40))
    deep = "".join(f"function f{i}(z) = f{i + 1}(z) + 1\n" for i in range(400))
    for top, last in ((doubling, 40), (deep, 400)):
        text = program(top=f"{top}function f{last}(z) = z", charge="v = f0(x)")
        assert codes(text) == ["E0414"]


# --- any program


def programs() -> list[str]:
    entries = [lookup(code) for code in all_codes()]
    texts = {entry.right for entry in entries if entry is not None}
    return sorted({*texts, *sources().values(), program()})


PIECES = (
    *"vxst01+-*/^<>=,()",
    *("tau", "w", "2.5", "inf", "pi", "dt", "true", "not", "and", "or", "if", "else", "=="),
    *("spike", "atan", "detach", "max", "where", "exp", "floor", "gate", "u"),
    *("input", "output", "param", "state", "const", "learnable"),
    "via exp",
    "in (0, 1)",
    "dv/dt",
    "spike(v > 1)",
    "state w = v\n    ",
    "param q = tau\n    ",
    "function g(z) = g(z)\n    ",
)


@pytest.mark.parametrize("seed", range(8))
def test_mutated_programs_are_right_or_explained(seed: int) -> None:
    """Nothing but a CompileError comes out, whatever is put in place of a word."""
    generator = random.Random(seed)
    texts = programs()
    for _ in range(120):
        words = generator.choice(texts).split(" ")
        for _ in range(generator.randint(1, 3)):
            words[generator.randrange(len(words))] = generator.choice(PIECES)
        for diagnostic in found(" ".join(words)):
            assert diagnostic.message
            assert diagnostic.severity in Severity
            assert diagnostic.span.line > 0
