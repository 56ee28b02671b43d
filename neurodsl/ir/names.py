"""Unique names for the variables of a kernel, made from the user's: `v`, then `v_1`, `v_2`, …"""

from __future__ import annotations


class Names:
    """Hands out names, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def reserve(self, name: str) -> str:
        """Take a name as it is; it must be free."""
        assert name not in self._taken, name
        self._taken.add(name)
        return name

    def fresh(self, base: str) -> str:
        """`base` itself if it is free, else with the smallest number behind it."""
        name, number = base, self._next.get(base, 1)
        while name in self._taken:
            name, number = f"{base}_{number}", number + 1
        self._next[base] = number
        self._taken.add(name)
        return name
