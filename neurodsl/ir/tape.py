"""What of a forward step the reverse step keeps (the tape), and what it works out again: a minimum cut.

Each value that the reverse step needs is kept, or worked out again from others. Keeping costs a write and a read,
reading an input again costs a read, an operation costs by its kind. The cheapest choice is a minimum cut between what
a step begins with and what the reverse step reads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from neurodsl.ir.nodes import IRType, Op, Program, Var
from neurodsl.ir.trees import variables

KEEP, READ_AGAIN = 100, 60
_COSTS = {"div": 12, "sqrt": 20, "rsqrt": 30}
_CHEAP, _FUNCTION = 3, 150
_PLAIN = frozenset(
    """add sub mul neg square cube lt le gt ge eq ne and or not select to_real
    abs sign floor ceil round min max clip relu heaviside""".split()  # noqa: SIM905
)
LARGEST = 1500
"""Programs of more operations than this keep what the reverse step reads, as it stands."""


def choose_tape(
    forward: Program, needed: Iterable[str], incoming: Iterable[Var], inputs: Iterable[Var]
) -> tuple[Var, ...]:
    """The variables of a flat forward program, and incoming states, to keep for each step; in the program's order.

    Args:
        forward: flat: one operation an assignment.
        needed: names of forward variables, states and inputs that the reverse step reads.
        incoming: states as a step begins.
        inputs: may be read again.
    """
    states, sources = list(incoming), list(inputs)
    needed = list(needed)
    if len(forward) > LARGEST:
        kept = reals_behind(forward, needed)
    else:
        kept = _Cut(forward, needed, states, sources).kept()
    order = [*states, *(assign.target for assign in forward)]
    return tuple(var for var in order if var.name in kept)


def reals_behind(forward: Program, needed: list[str]) -> set[str]:
    """Names of what is needed, booleans replaced by the reals that they are worked out from."""
    definitions = {assign.target.name: assign for assign in forward}
    kept: set[str] = set()
    waiting = list(needed)
    while waiting:
        name = waiting.pop()
        assign = definitions.get(name)
        if assign is None or assign.target.type is IRType.REAL:
            kept.add(name)
        else:
            waiting.extend(var.name for var in variables(assign.value))
    return kept


def _cost(assign_value: object) -> int:
    if not isinstance(assign_value, Op):
        return 0
    name = assign_value.name
    return _COSTS.get(name, _CHEAP if name in _PLAIN else _FUNCTION)


class _Cut:
    """Maximum flow by shortest augmenting paths. A value is two nodes, before and after it may be kept."""

    def __init__(
        self, forward: Program, needed: list[str], states: list[Var], inputs: list[Var]
    ) -> None:
        self.capacity: dict[int, dict[int, int]] = {0: {}, 1: {}}
        self.place: dict[str, int] = {}
        infinite = 10**9
        for var in states:
            self._value(var.name, KEEP)
            self._edge(0, self._before(var.name), infinite)
        for var in inputs:
            self._value(var.name, READ_AGAIN)
            self._edge(0, self._before(var.name), infinite)
        for assign in forward:
            name = assign.target.name
            self._value(name, KEEP if assign.target.type is IRType.REAL else infinite)
            self._edge(0, self._before(name), _cost(assign.value))
            for var in variables(assign.value):
                if var.name in self.place:
                    self._edge(self._before(var.name) + 1, self._before(name), infinite)
        for name in needed:
            if name in self.place:
                self._edge(self._before(name) + 1, 1, infinite)

    def _value(self, name: str, keep: int) -> None:
        self.place[name] = 2 + 2 * len(self.place)
        self.capacity[self._before(name)] = {}
        self.capacity[self._before(name) + 1] = {}
        self._edge(self._before(name), self._before(name) + 1, keep)

    def _before(self, name: str) -> int:
        return self.place[name]

    def _edge(self, a: int, b: int, capacity: int) -> None:
        self.capacity[a][b] = self.capacity[a].get(b, 0) + capacity
        self.capacity[b].setdefault(a, 0)

    def kept(self) -> set[str]:
        """Names whose keeping the cut goes through, inputs included."""
        while (path := self._path()) is not None:
            flow = min(self.capacity[a][b] for a, b in path)
            for a, b in path:
                self.capacity[a][b] -= flow
                self.capacity[b][a] += flow
        reached = self._reached()
        return {
            name
            for name, before in self.place.items()
            if before in reached and before + 1 not in reached
        }

    def _path(self) -> list[tuple[int, int]] | None:
        parents = self._search()
        if 1 not in parents:
            return None
        path, node = [], 1
        while node != 0:
            path.append((parents[node], node))
            node = parents[node]
        return path

    def _reached(self) -> set[int]:
        return set(self._search())

    def _search(self) -> dict[int, int]:
        parents = {0: 0}
        waiting = deque([0])
        while waiting and 1 not in parents:
            node = waiting.popleft()
            for other, capacity in self.capacity[node].items():
                if capacity > 0 and other not in parents:
                    parents[other] = node
                    waiting.append(other)
        return parents
