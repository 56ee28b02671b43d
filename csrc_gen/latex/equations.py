"""A neuron's step as LaTeX, printed from the model: the user's order, the user's brackets where they matter."""

from __future__ import annotations

from collections.abc import Callable

from neurodsl.sema import model as m

_GREEK = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "pi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "chi",
    "psi",
    "omega",
]
_LETTERS = dict(zip("αβγδεζηθικλμνξπρστυφχψω", _GREEK, strict=True))
_NAMED = {"exp": r"\exp", "log": r"\log", "sin": r"\sin", "cos": r"\cos", "tan": r"\tan"} | {
    "atan": r"\arctan",
    "tanh": r"\tanh",
    "min": r"\min",
    "max": r"\max",
    "sigmoid": r"\sigma",
}
_COMPARE = {"<": "<", "<=": r"\le", ">": ">", ">=": r"\ge", "==": "=", "!=": r"\ne"}

_SELECT, _LOGIC, _COMPARISON, _SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(8)


def latex(neuron: m.NeuronModel) -> str:
    """The neuron's step as one `aligned` block: an equation a statement, a heading a phase."""
    lines = [rf"% {neuron.name}", r"\begin{aligned}"]
    for phase in m.PhaseName:
        shown = _lines(neuron, phase)
        if shown:
            lines.append(rf"&\textbf{{{phase.value}}} \\")
            lines += [rf"{line} \\" for line in shown]
    lines.append(r"\end{aligned}")
    lines += [
        rf"% \Theta_{{\mathrm{{{escape(s.name)}}}}}: {definition}"
        for s in neuron.surrogates
        for definition in _definitions(s)
    ]
    return "\n".join(lines)


def _lines(neuron: m.NeuronModel, phase: m.PhaseName) -> list[str]:
    """An equation a statement; a system of differential equations as it was written, not as it was solved."""
    lines: list[str] = []
    shown: set[int] = set()
    for statement in (s for s in neuron.statements if s.phase is phase):
        if statement.system is None:
            lines.append(rf"{name(statement.target)} &\leftarrow {expression(statement.value)}")
        elif statement.system not in shown:
            shown.add(statement.system)
            lines += _system(neuron, statement.system)
    return lines


def _system(neuron: m.NeuronModel, place: int) -> list[str]:
    """The derivatives of one system, after what the compiler worked out for them once."""
    system = neuron.systems[place]
    own = [s for s in neuron.statements if s.system == place and s.hidden]
    states = {state.name for state in neuron.states}
    hidden = {s.target: s.value for s in own if s.target not in states}
    read = [node for _, f in system.derivatives for node in m.walk(f) if isinstance(node, m.Ref)]
    wanted: list[str] = []
    while read:
        ref = read.pop()
        if ref.name in hidden and ref.name not in wanted:
            wanted.append(ref.name)
            read += [e for e in m.walk(hidden[ref.name]) if isinstance(e, m.Ref)]
    lines = [rf"{name(n)} &= {expression(e)}" for n, e in hidden.items() if n in wanted]
    for state, f in system.derivatives:
        lines.append(rf"\frac{{\mathrm{{d}} {name(state)}}}{{\mathrm{{d}}t}} &= {expression(f)}")
    lines[-1] += rf" \quad \text{{(by {escape(system.solver)})}}"
    return lines


def _definitions(surrogate: m.SurrogateModel) -> list[str]:
    made = []
    if surrogate.primitive is not None:
        made.append(rf"\tilde\Theta(u) = {expression(surrogate.primitive)}")
    if surrogate.value is not None:
        made.append(rf"\Theta(u) = {expression(surrogate.value)}")
    if surrogate.gradient is not None:
        made.append(rf"\tilde\Theta'(u) = {expression(surrogate.gradient)}")
    return made


def escape(text: str) -> str:
    r"""A name inside `\\mathrm`."""
    return text.replace("_", r"\_")


def name(text: str) -> str:
    r"""`v_threshold` as `v_{\\mathrm{threshold}}`, `tau` as `\\tau`."""
    head, _, tail = text.partition("_")
    if not head:
        return rf"\mathrm{{{escape(text)}}}"
    shown = _letter(head)
    return rf"{shown}_{{\mathrm{{{escape(tail)}}}}}" if tail else shown


def _letter(text: str) -> str:
    if text in _GREEK:
        return "\\" + text
    if text in _LETTERS:
        return "\\" + _LETTERS[text]
    return text if len(text) == 1 else rf"\mathrm{{{text}}}"


def number(value: float, type: m.Type = m.Type.REAL) -> str:
    """A number as it is read, never in Python's `1e-05` form."""
    if type is m.Type.BOOLEAN:
        return r"\text{true}" if value else r"\text{false}"
    if value in (float("inf"), float("-inf")):
        return r"\infty" if value > 0 else r"-\infty"
    text = repr(int(value)) if value == int(value) and abs(value) < 1e16 else repr(value)
    mantissa, exponent, power = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(power)}}}" if exponent else text


def expression(node: m.Expr, outer: int = _SELECT) -> str:
    """A typed expression; `outer` is the precedence of what stands around it."""
    text, own = _RULES[type(node)](node)
    return rf"\left({text}\right)" if own < outer else text


def _literal(node: m.Literal) -> tuple[str, int]:
    return number(node.value, node.type), _ATOM if node.value >= 0 else _SIGN


def _ref(node: m.Ref) -> tuple[str, int]:
    return (r"\Delta t" if node.kind is m.SymbolKind.DT else name(node.name)), _ATOM


def _negate(node: m.Negate) -> tuple[str, int]:
    return f"-{expression(node.operand, _SIGN)}", _SIGN


def _not(node: m.Not) -> tuple[str, int]:
    if node.type is m.Type.SPIKE:
        return f"1 - {expression(node.operand, _PRODUCT)}", _SUM
    return rf"\lnot {expression(node.operand, _POWER)}", _SIGN


def _chain(node: m.Chain) -> tuple[str, int]:
    if node.operators[0] in "+-":
        parts = [expression(node.operands[0], _SUM)]
        for sign, operand in zip(node.operators, node.operands[1:], strict=True):
            parts.append(f"{sign} {expression(operand, _PRODUCT)}")
        return " ".join(parts), _SUM
    return _product(node)


def _product(node: m.Chain) -> tuple[str, int]:
    """Left to right: what is divided goes above the line, factors after it stand behind the fraction."""
    text, own = expression(node.operands[0], _PRODUCT), _PRODUCT
    for sign, operand in zip(node.operators, node.operands[1:], strict=True):
        if sign == "/":
            text, own = rf"\frac{{{text}}}{{{expression(operand)}}}", _ATOM
        else:
            text, own = rf"{text} \cdot {expression(operand, _SIGN)}", _PRODUCT
    return text, own


def _power(node: m.Power) -> tuple[str, int]:
    return f"{expression(node.base, _ATOM)}^{{{expression(node.exponent)}}}", _POWER


def _comparison(node: m.Comparison) -> tuple[str, int]:
    parts = [expression(node.operands[0], _SUM)]
    for sign, operand in zip(node.operators, node.operands[1:], strict=True):
        parts.append(f"{_COMPARE[sign]} {expression(operand, _SUM)}")
    return " ".join(parts), _COMPARISON


def _logic(node: m.Logic) -> tuple[str, int]:
    sign = r" \land " if node.operator == "and" else r" \lor "
    return sign.join(expression(operand, _COMPARISON) for operand in node.operands), _LOGIC


def _select(node: m.Select) -> tuple[str, int]:
    then, condition = expression(node.then), expression(node.condition)
    otherwise = expression(node.otherwise)
    body = rf"{then} & \text{{if }} {condition} \\ {otherwise} & \text{{otherwise}}"
    return rf"\begin{{cases}} {body} \end{{cases}}", _ATOM


def _call(node: m.Call) -> tuple[str, int]:
    arguments = ", ".join(expression(argument) for argument in node.arguments)
    match node.function:
        case "abs":
            return rf"\left|{arguments}\right|", _ATOM
        case "sqrt":
            return rf"\sqrt{{{arguments}}}", _ATOM
        case "floor" | "ceil" as which:
            return rf"\left\l{which} {arguments} \right\r{which}", _ATOM
    shown = _NAMED.get(node.function, rf"\operatorname{{{node.function}}}")
    return rf"{shown}\left({arguments}\right)", _ATOM


def _detach(node: m.Detach) -> tuple[str, int]:
    return rf"\operatorname{{detach}}\left({expression(node.operand)}\right)", _ATOM


def _spike(node: m.Spike) -> tuple[str, int]:
    surrogate = escape(node.surrogate.surrogate.name)
    step = rf"\Theta_{{\mathrm{{{surrogate}}}}}"
    if node.strict:
        step = rf"{step}^{{>}}"
    return rf"{step}\left({expression(node.argument)}\right)", _ATOM


def _phi(node: m.MatrixPhi) -> tuple[str, int]:
    size = node.size
    rows = [
        " & ".join(expression(e) for e in node.entries[k * size : (k + 1) * size])
        for k in range(size)
    ]
    matrix = r"\begin{pmatrix} " + r" \\ ".join(rows) + r" \end{pmatrix}"
    return rf"\varphi\left({matrix}\right)_{{{node.row + 1}{node.column + 1}}}", _ATOM


_RULES: dict[type, Callable[..., tuple[str, int]]] = {
    m.Literal: _literal,
    m.Ref: _ref,
    m.Negate: _negate,
    m.Not: _not,
    m.Chain: _chain,
    m.Power: _power,
    m.Comparison: _comparison,
    m.Logic: _logic,
    m.Select: _select,
    m.Call: _call,
    m.Detach: _detach,
    m.MatrixPhi: _phi,
    m.Spike: _spike,
}
