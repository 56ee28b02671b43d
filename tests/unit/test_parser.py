"""The parser: every form of the language, its places, its limits."""

from __future__ import annotations

import re

import pytest

from neurodsl.diagnostics import CompileError, Report, Span
from neurodsl.frontend import ast, parse, parse_expression

HEAD = "neuron A:\n    input x\n    output v\n    state v = 0\n"


def expression(text: str) -> ast.Expression:
    return parse_expression(text, "<text>", Report())


def neuron(text: str) -> ast.Neuron:
    (item,) = parse(text, "<text>", Report()).items
    assert isinstance(item, ast.Neuron)
    return item


def declaration(line: str) -> ast.Declaration:
    (found,) = neuron(f"neuron A:\n    {line}\n").declarations
    return found


def statement(line: str) -> ast.Statement:
    (phase,) = neuron(f"neuron A:\n    charge:\n        {line}\n").phases
    (found,) = phase.statements
    return found


def code(text: str) -> str:
    with pytest.raises(CompileError) as error:
        parse(text, "<text>", Report())
    (found,) = error.value.diagnostics
    return found.code


def name(text: str) -> ast.Name:
    return ast.Name(text)


def number(text: str) -> ast.Number:
    return ast.Number(float(text), text)


def identifiers(*names: str) -> tuple[ast.Identifier, ...]:
    return tuple(ast.Identifier(each) for each in names)


A, B, C = name("a"), name("b"), name("c")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b - c", ast.Chain(("+", "-"), (A, B, C))),
        ("a * b / c", ast.Chain(("*", "/"), (A, B, C))),
        ("a + b * c", ast.Chain(("+",), (A, ast.Chain(("*",), (B, C))))),
        ("(a + b) + c", ast.Chain(("+",), (ast.Chain(("+",), (A, B)), C))),
        ("-a^b", ast.Unary("-", ast.Power(A, B))),
        ("a^-b", ast.Power(A, ast.Unary("-", B))),
        ("a^b^c", ast.Power(A, ast.Power(B, C))),
        ("a**b", ast.Power(A, B)),
        ("-a * b", ast.Chain(("*",), (ast.Unary("-", A), B))),
        ("a * -b", ast.Chain(("*",), (A, ast.Unary("-", B)))),
        ("a < b <= c", ast.Comparison(("<", "<="), (A, B, C))),
        ("a != b", ast.Comparison(("!=",), (A, B))),
        ("not a == b", ast.Unary("not", ast.Comparison(("==",), (A, B)))),
        ("a or b and c", ast.Logic("or", (A, ast.Logic("and", (B, C))))),
        ("a and b and c", ast.Logic("and", (A, B, C))),
        ("a if b else c", ast.Conditional(A, B, C)),
        ("a if b else a if b else c", ast.Conditional(A, B, ast.Conditional(A, B, C))),
        ("(a if b else c) if b else c", ast.Conditional(ast.Conditional(A, B, C), B, C)),
        ("true or false", ast.Logic("or", (ast.Boolean(True), ast.Boolean(False)))),
        ("((a))", A),
        ("inf + pi + dt + t", ast.Chain(("+",) * 3, (*map(name, ("inf", "pi", "dt", "t")),))),
    ],
)
def test_expressions(text: str, tree: ast.Expression) -> None:
    assert expression(text) == tree


@pytest.mark.parametrize("text", ["0", "1", "1.", ".5", "0.5", "1e-3", "1.5E+10", "00", "0e5"])
def test_numbers_keep_their_spelling(text: str) -> None:
    assert expression(text) == ast.Number(float(text), text)


def test_calls() -> None:
    tree = expression("f(a, k=b, )")
    arguments = (ast.Argument(None, A), ast.Argument(ast.Identifier("k"), B))
    assert tree == ast.Call(ast.Identifier("f"), arguments)
    assert expression("f()") == ast.Call(ast.Identifier("f"), ())


def test_a_list_of_options_in_any_order() -> None:
    interval = ast.Interval(number("1"), name("inf"), low_open=True, high_open=False)
    options = ("in (1, inf]", "learnable", "via exp")
    orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    for order in orders:
        line = "param p = 2.0 " + " ".join(options[index] for index in order)
        assert declaration(line) == ast.Param(
            ast.Identifier("p"),
            (),
            number("2.0"),
            interval,
            ast.Identifier("learnable"),
            ast.Identifier("exp"),
        )


@pytest.mark.parametrize(
    ("line", "node"),
    [
        ("input x, y", ast.Input(identifiers("x", "y"))),
        ("output s, v", ast.Output(identifiers("s", "v"))),
        ("const c = a", ast.Const(ast.Identifier("c"), A)),
        ("state v = a", ast.State(ast.Identifier("v"), A)),
        ("feedback y from s", ast.Feedback(*identifiers("y", "s"))),
        (
            "noise e ~ normal(a, b)",
            ast.Noise(
                ast.Identifier("e"),
                ast.Call(ast.Identifier("normal"), (ast.Argument(None, A), ast.Argument(None, B))),
            ),
        ),
        (
            "param p[time, channel]",
            ast.Param(ast.Identifier("p"), identifiers("time", "channel"), None, None, None, None),
        ),
        (
            "function f(z, k=a) = b",
            ast.Function(
                ast.Identifier("f"),
                (
                    ast.Parameter(ast.Identifier("z"), None),
                    ast.Parameter(ast.Identifier("k"), A),
                ),
                B,
            ),
        ),
    ],
)
def test_declarations(line: str, node: ast.Declaration) -> None:
    assert declaration(line) == node


def test_intervals_mix_brackets_and_continue_lines() -> None:
    found = declaration("param p = 1 in [0,\n  # half open\n\n 1)")
    assert isinstance(found, ast.Param)
    assert found.interval == ast.Interval(number("0"), number("1"), low_open=False, high_open=True)


def test_statements() -> None:
    v = ast.Identifier("v")
    assert statement("v = a") == ast.Assignment(v, A)
    assert statement("dv/dt = a") == ast.Derivative(v, A, None)
    steps = ast.Argument(ast.Identifier("steps"), number("4"))
    solver = ast.Solver(ast.Identifier("rk4"), (steps,))
    assert statement("dv/dt = a by rk4(steps=4)") == ast.Derivative(v, A, solver)
    assert statement("dv / dt = a by exact") == ast.Derivative(
        v, A, ast.Solver(ast.Identifier("exact"), ())
    )


def test_a_file() -> None:
    file = parse(
        'from library import LIF, IF\nfrom "a/b.neuron" import C\nfunction f(x) = x\n'
        "surrogate g(u, k = 2):\n    primitive = u\n    gradient = 1\n"
        'neuron D(C):\n    """Raw \\n text: "quoted", # not a comment."""\n',
        "<text>",
        Report(),
    )
    library, path, function, surrogate, last = file.items
    assert library == ast.Import(None, identifiers("LIF", "IF"))
    assert path == ast.Import("a/b.neuron", identifiers("C"))
    assert isinstance(function, ast.Function)
    assert isinstance(surrogate, ast.Surrogate)
    assert [each.target.name for each in surrogate.definitions] == ["primitive", "gradient"]
    assert isinstance(last, ast.Neuron)
    assert last.parent == ast.Identifier("C")
    assert last.docstring == 'Raw \\n text: "quoted", # not a comment.'


WORDS = re.findall(
    r"\w+",
    """
    input output const param state feedback noise function neuron surrogate charge fire
    reset in learnable via by from import library spike_ lambda class double for while int
    None True self def return del is pass template this operator torch exp_ atan uniform
    normal euler
    """,
)


def test_every_other_keyword_is_a_name() -> None:
    for word in WORDS:
        found = neuron(
            f"neuron {word}:\n    input {word}\n    output {word}, y\n"
            f"    param {word} = {word} + 1 in (0, {word}) via {word}\n    state {word} = {word}\n"
            f"    feedback {word} from {word}\n    noise {word} ~ {word}({word}, {word}={word})\n"
            f"    charge:\n        {word} = {word} if {word} else {word}({word}={word})\n"
            f"        d{word}/dt = {word} by {word}({word}={word})\n"
        )
        assert found.name.name == word
        assert found.phases[0].statements[0].target.name == word
        assert found.phases[0].statements[1].target.name == word


def test_greek_names_are_normalised_as_in_python() -> None:
    assert expression("τ + σ_1") == ast.Chain(("+",), (name("τ"), name("σ_1")))
    assert expression("\u00b5 + ﬁre") == ast.Chain(("+",), (name("\u03bc"), name("fire")))
    assert expression("v̄") == name("v̄")
    assert statement("dτ_2/dt = a") == ast.Derivative(ast.Identifier("τ_2"), A, None)


def test_names_that_look_reserved_after_normalising_are_refused() -> None:
    assert code("neuron A:\n    state ｉｆ = 0\n") == "E0111"
    assert code("neuron A:\n    charge:\n        v = ｉｆ\n") == "E0111"


@pytest.mark.parametrize(
    "word", ["if", "else", "and", "or", "not", "true", "false", "inf", "pi", "dt", "t"]
)
@pytest.mark.parametrize(
    "line",
    [
        "neuron {}:\n    input x\n",
        "neuron A:\n    input {}\n",
        "neuron A:\n    param {} = 1\n",
        "neuron A:\n    const {} = 1\n",
        "neuron A:\n    state {} = 1\n",
        "neuron A:\n    noise {} ~ normal(0, 1)\n",
        "neuron A:\n    feedback {} from s\n",
        "neuron A:\n    charge:\n        {} = 1\n",
        "neuron A:\n    charge:\n        d{}/dt = 1\n",
        "function {}(x) = x\n",
        "function f({}) = 1\n",
        "surrogate {}(u):\n    primitive = u\n",
    ],
)
def test_reserved_names_are_not_declared(line: str, word: str) -> None:
    assert code(line.format(word)) == "E0111"


def test_places_count_characters() -> None:
    found = neuron("neuron A:\n    charge:\n        τ = (α + b) * 2\n").phases[0].statements[0]
    assert isinstance(found, ast.Assignment)
    assert found.span == Span("<text>", 3, 9, 3, 24)
    assert isinstance(found.value, ast.Chain)
    assert found.value.span == Span("<text>", 3, 13, 3, 24)
    assert found.value.operands[0].span == Span("<text>", 3, 13, 3, 20)


def test_places_over_lines() -> None:
    found = neuron("neuron A:\n    charge:\n        v = f(a,\n  b)\n").phases[0].statements[0]
    assert found.span == Span("<text>", 3, 9, 4, 5)


def test_phase_places_are_their_first_lines() -> None:
    (phase,) = neuron("neuron A:\n    charge:\n        v = 1\n").phases
    assert phase.keyword == ast.Identifier("charge")
    assert phase.keyword.span == Span("<text>", 2, 5, 2, 12)
    assert phase.span == Span("<text>", 2, 5, 3, 14)


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment", "\ufeff# mark\r\n"])
def test_an_empty_file(text: str) -> None:
    assert parse(text, "<text>", Report()) == ast.File(())


def test_line_ends_marks_and_comments_do_not_count() -> None:
    text = HEAD + "    charge:\n        v = x\n    # end\n"
    plain = parse(text, "<text>", Report())
    for variant in (
        "\ufeff" + text,
        text.replace("\n", "\r\n"),
        text.replace("\n", "   \n"),
        text.replace("\n", " # τ: ( [ \t\n"),
        text.replace("\n", "\n\n  # a comment, wrongly indented\n"),
        text.rstrip("\n"),
    ):
        assert parse(variant, "<text>", Report()) == plain


def test_a_docstring_keeps_lines_and_loses_carriage_returns() -> None:
    text = 'neuron A:\r\n    """One.\r\n\r\n\tTwo."""\r\n    input x\r\n'
    assert neuron(text).docstring == "One.\n\n\tTwo."


def test_a_long_sum_and_many_statements_are_flat() -> None:
    total = " + ".join(["x"] * 20_000)
    found = statement(f"v = {total}")
    assert isinstance(found.value, ast.Chain)
    assert len(found.value.operands) == 20_000
    lines = "".join(f"        v{index} = x\n" for index in range(3_000))
    assert len(neuron(f"{HEAD}    charge:\n{lines}").phases[0].statements) == 3_000


@pytest.mark.parametrize(
    ("before", "after"),
    [("(", ")"), ("f(", ")"), ("-", ""), ("not ", ""), ("x^", ""), ("x if x else ", "")],
)
def test_nesting_has_a_limit(before: str, after: str) -> None:
    assert expression(before * 200 + "x" + after * 200)
    for depth in (201, 20_000):
        text = before * depth + "x" + after * depth
        assert code(f"{HEAD}    charge:\n        v = {text}\n") == "E0117"


def test_the_report_holds_the_error_and_the_text() -> None:
    report = Report()
    with pytest.raises(CompileError) as error:
        parse("neuron A\n", "a.neuron", report)
    assert report.diagnostics == list(error.value.diagnostics)
    assert report.sources == {"a.neuron": "neuron A\n"}
    assert error.value.__context__ is None
