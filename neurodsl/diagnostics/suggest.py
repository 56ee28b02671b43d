"""The nearest name: what the user probably meant to type."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate nearest to `word`, or None if none is near.

    Near is: equal but for case, or at most a third of its letters (one at least) changed, added, dropped or swapped
    with a neighbour. Ties go to the candidate that comes first.
    """
    best: str | None = None
    limit = max(1, len(word) // 3) + 1
    for candidate in candidates:
        if candidate == word:
            continue
        distance = 0 if candidate.lower() == word.lower() else _distance(word, candidate, limit)
        if distance < limit and distance < len(candidate):
            best, limit = candidate, distance
    return best


def did_you_mean(
    word: str, names: Iterable[str], otherwise: str | tuple[str, ...] = ()
) -> str | tuple[str, ...]:
    """The hint that names the nearest of `names`, or `otherwise` if none is near."""
    close = nearest(word, names)
    return f"did you mean `{close}`?" if close else otherwise


def _distance(a: str, b: str, limit: int) -> int:
    """Optimal string alignment distance of `a` and `b`, or `limit` if it is that or more."""
    if abs(len(a) - len(b)) >= limit:
        return limit
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) >= limit:
            return limit
        before, last = last, row
    return min(last[-1], limit)
