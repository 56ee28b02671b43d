"""From the parser's tree to the syntax tree, without recursion."""

from __future__ import annotations

from typing import Any

from lark import Token, Tree

from neurodsl.frontend import ast
from neurodsl.frontend.body import Part, check_body, check_definitions, one_of_each
from neurodsl.frontend.expression_builder import Child, ExpressionBuilder
from neurodsl.frontend.lines import LineTable
from neurodsl.frontend.names import declared
from neurodsl.frontend.problem import SyntaxProblem


def build(tree: Tree[Any], lines: LineTable) -> ast.File | ast.Expression:
    """The syntax tree of a parsed text or expression.

    Raises:
        SyntaxProblem: a mistake that the grammar alone does not tell.
    """
    order: list[Tree[Any]] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        order.append(node)
        waiting.extend(child for child in node.children if isinstance(child, Tree))
    builder = TreeBuilder(lines)
    built: dict[int, Any] = {}
    for node in reversed(order):
        children = [
            built.pop(id(child)) if isinstance(child, Tree) else child for child in node.children
        ]
        built[id(node)] = getattr(builder, str(node.data))(children)
    result: ast.File | ast.Expression = built[id(tree)]
    return result


class TreeBuilder(ExpressionBuilder):
    """One method a rule of the grammar: the children of its tree in, a node out."""

    def start(self, children: list[Child]) -> ast.File:
        """The whole text."""
        if not children:
            return ast.File(())
        return ast.File(tuple(children), span=self.over(children))

    def lone_expression(self, children: list[Child]) -> ast.Expression:
        """An expression that is all of the text."""
        return self.expression(children[0])

    # --- imports, functions, surrogates

    def import_library(self, children: list[Child]) -> ast.Import:
        """`from library import LIF`."""
        if children[1] != "library":
            raise SyntaxProblem(
                "E0123",
                self.span(children[1]),
                f"there is nothing called `{children[1]}` to import from",
                label="neither `library` nor a path",
                help=f'a path stands in quotes: `from "{children[1]}.neuron" import …`',
            )
        return ast.Import(None, children[3], span=self.over(children))

    def import_file(self, children: list[Child]) -> ast.Import:
        """`from "lif.neuron" import LIF`."""
        return ast.Import(str(children[1])[1:-1], children[3], span=self.over(children))

    def function(self, children: list[Child]) -> ast.Function:
        """`function gate(z, k=1.0) = …`."""
        parameters = children[3] if isinstance(children[3], tuple) else ()
        body = self.expression(children[-2])
        return ast.Function(self.declared(children[1]), parameters, body, span=self.over(children))

    def surrogate(self, children: list[Child]) -> ast.Surrogate:
        """`surrogate atan(u, alpha = 2.0):` and its lines."""
        parameters = children[3] if isinstance(children[3], tuple) else ()
        definitions = tuple(child for child in children if isinstance(child, ast.Assignment))
        check_definitions(definitions)
        return ast.Surrogate(
            self.declared(children[1]), parameters, definitions, span=self.over(children)
        )

    def parameters(self, children: list[Child]) -> tuple[ast.Parameter, ...]:
        """What stands between the brackets of a definition."""
        return tuple(children[::2])

    def parameter(self, children: list[Child]) -> ast.Parameter:
        """`alpha` or `alpha = 2.0`."""
        default = self.expression(children[2]) if len(children) > 1 else None
        name = self.declared(children[0])
        return ast.Parameter(name, default, span=self.over(children))

    # --- neurons and their declarations

    def neuron(self, children: list[Child]) -> ast.Neuron:
        """`neuron Name(Parent):` and its body."""
        name = self.declared(children[1])
        parent = children[2] if isinstance(children[2], ast.Identifier) else None
        docstring = next((child.value for child in children if isinstance(child, Part)), None)
        items = [child for child in children if isinstance(child, ast.Node) and child is not parent]
        check_body(items)
        return ast.Neuron(
            name,
            parent,
            docstring,
            tuple(item for item in items if not isinstance(item, ast.Phase)),  # type: ignore[misc]
            tuple(item for item in items if isinstance(item, ast.Phase)),
            span=self.over(children),
        )

    def parent(self, children: list[Child]) -> ast.Identifier:
        """`(Parent)`."""
        return self.identifier(children[1])

    def docstring(self, children: list[Child]) -> Part:
        """A text in three double quotes, which are taken off."""
        return Part('"""', str(children[0])[3:-3], self.span(children[0]))

    def input(self, children: list[Child]) -> ast.Input:
        """`input x, y`."""
        return ast.Input(children[1], span=self.over(children))

    def output(self, children: list[Child]) -> ast.Output:
        """`output s, v`."""
        return ast.Output(children[1], span=self.over(children))

    def names(self, children: list[Child]) -> tuple[ast.Identifier, ...]:
        """`x, y`."""
        return tuple(self.declared(child) for child in children[::2])

    def const(self, children: list[Child]) -> ast.Const:
        """`const c = 0.5`."""
        value = self.expression(children[3])
        return ast.Const(self.declared(children[1]), value, span=self.over(children))

    def state(self, children: list[Child]) -> ast.State:
        """`state v = 0`."""
        initial = self.expression(children[3])
        return ast.State(self.declared(children[1]), initial, span=self.over(children))

    def feedback(self, children: list[Child]) -> ast.Feedback:
        """`feedback y from s`."""
        name, source = self.declared(children[1]), self.identifier(children[3])
        return ast.Feedback(name, source, span=self.over(children))

    def noise(self, children: list[Child]) -> ast.Noise:
        """`noise e ~ normal(0, 1)`."""
        return ast.Noise(self.declared(children[1]), children[3], span=self.over(children))

    def param(self, children: list[Child]) -> ast.Param:
        """`param tau[channel] = 2.0 in (1, inf) learnable via exp`."""
        parts = one_of_each([child for child in children if isinstance(child, Part)])
        return ast.Param(
            self.declared(children[1]),
            parts.get("[", ()),
            parts.get("="),
            parts.get("in"),
            parts.get("learnable"),
            parts.get("via"),
            span=self.over(children),
        )

    def shape(self, children: list[Child]) -> Part:
        """`[time, channel]`."""
        names = tuple(self.identifier(child) for child in children[1::2])
        return Part("[", names, self.over(children))

    def default(self, children: list[Child]) -> Part:
        """`= 2.0`."""
        value = self.expression(children[1])
        if isinstance(value, ast.Call) and value.function.name == "in":
            raise SyntaxProblem(
                "E0101",
                value.function.span,
                "expected a value, found `in`",
                label="unexpected",
                help="the default stands before the interval: `= 2.0 in (1, inf)`",
            )
        return Part("=", value, self.span(children[0]))

    def interval(self, children: list[Child]) -> Part:
        """`in [0, 1)`."""
        low, high = self.expression(children[2]), self.expression(children[4])
        interval = ast.Interval(
            low, high, children[1] == "(", children[5] == ")", span=self.over(children[1:])
        )
        return Part("in", interval, self.over(children))

    def learnable(self, children: list[Child]) -> Part:
        """`learnable`."""
        span = self.span(children[0])
        return Part("learnable", ast.Identifier("learnable", span=span), span)

    def via(self, children: list[Child]) -> Part:
        """`via exp`."""
        return Part("via", self.identifier(children[1]), self.over(children))

    # --- phases and statements

    def phase(self, children: list[Child]) -> ast.Phase:
        """`charge:` and its statements."""
        keyword = ast.Identifier(str(children[0]), span=self.over(children[:2]))
        statements = tuple(child for child in children if isinstance(child, ast.Node))
        return ast.Phase(keyword, statements, span=self.over(children))  # type: ignore[arg-type]

    def assignment(self, children: list[Child]) -> ast.Assignment:
        """`v = x`."""
        value = self.expression(children[2])
        return ast.Assignment(self.declared(children[0]), value, span=self.over(children))

    def derivative(self, children: list[Child]) -> ast.Derivative:
        """`dv/dt = x by euler`."""
        solver = children[3] if isinstance(children[3], ast.Solver) else None
        target = self._differentiated(children[0])
        value = self.expression(children[2])
        return ast.Derivative(target, value, solver, span=self.over(children))

    def _differentiated(self, token: Token) -> ast.Identifier:
        name = str(token).partition("/")[0].rstrip(" ")[1:]
        start = (token.start_pos or 0) + 1
        span = self.place(start, start + len(name))
        return ast.Identifier(declared(name, span), span=span)

    def solver(self, children: list[Child]) -> ast.Solver:
        """`by rk4(steps=4)`."""
        arguments = children[3] if len(children) == 5 else ()
        return ast.Solver(self.identifier(children[1]), arguments, span=self.over(children))
