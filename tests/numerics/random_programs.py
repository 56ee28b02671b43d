"""Random neurons for property tests: expressions of what language.md promises bit for bit, and any values to run on."""

from __future__ import annotations

from hypothesis import strategies as st

NUMBERS = ("0.5", "2", "1.0", "0.1", "3", "1e-3", "7.25")
VARIABLES = ("x", "y", "v", "w", "p", "q")
"""Two inputs, two states, two params."""

leaves = st.sampled_from((*VARIABLES, "x", "y", "v", "w"))
numbers = st.sampled_from(NUMBERS)


def _binary(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda a, operator, b: f"({a} {operator} {b})",
        children,
        st.sampled_from(["+", "-", "*", "/"]),
        children,
    )


def _chain(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A sum or product without brackets: evaluated from the left."""
    return st.builds(
        lambda first, rest, number: (
            first + "".join(f" {operator} {operand}" for operator, operand in rest) + number
        ),
        children,
        st.lists(
            st.tuples(st.sampled_from(["+", "-", "*", "/"]), children), min_size=1, max_size=3
        ),
        st.builds(lambda o, n: f" {o} {n}", st.sampled_from(["+", "*", "-", "/"]), numbers),
    ).map(lambda text: f"({text})")


def _unary(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    forms = [
        "(-{})",
        "({})^2",
        "({})^3",
        "abs({})",
        "relu({})",
        "floor({})",
        "ceil({})",
        "round({})",
    ]
    forms += [
        "sign({})",
        "heaviside({})",
        "rsqrt(abs({}))",
        "(1 / {})",
        "(2.5 / {} - 1)",
        "(0.1 * {})",
    ]
    return st.builds(lambda form, a: form.format(a), st.sampled_from(forms), children)


def _selection(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    comparison = st.builds(
        lambda a, operator, b: f"{a} {operator} {b}",
        children,
        st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
        children,
    )
    condition = st.one_of(
        comparison,
        st.builds(lambda c: f"not ({c})", comparison),
        st.builds(lambda c, d: f"({c} and {d})", comparison, comparison),
        st.builds(lambda c, d: f"({c} or {d})", comparison, comparison),
    )
    return st.builds(lambda a, c, b: f"({a} if {c} else {b})", children, condition, children)


def _spike(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda u, form, a, b: form.format(u=u, a=a, b=b),
        children,
        st.sampled_from(["spike({u})", "({a} if spike({u}) else {b})", "(not spike({a} > {b}))"]),
        children,
        children,
    )


expressions = st.recursive(
    leaves,
    lambda children: st.one_of(
        _binary(children),
        _chain(children),
        _unary(children),
        _selection(children),
        _spike(children),
    ),
    max_leaves=10,
)


@st.composite
def programs(draw: st.DrawFn, outputs: int = 10) -> str:
    """A neuron `Random` with inputs x y, params p q, states v w, and outputs o0, o1, …, each a random expression."""
    lines = [draw(expressions) for _ in range(outputs)]
    next_v, next_w = draw(expressions), draw(expressions)
    names = ", ".join(f"o{place}" for place in range(outputs))
    body = "".join(f"        o{place} = {line}\n" for place, line in enumerate(lines))
    return (
        f"neuron Random:\n    input x, y\n    output {names}\n"
        "    param p = 0.7\n    param q = -1.3\n    state v = 0.2\n    state w = p\n"
        f"    charge:\n{body}"
        f"        v = {next_v}\n        w = {next_w}\n"
    )
