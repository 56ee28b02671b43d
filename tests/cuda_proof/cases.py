"""What is executed: neuron, pass, dtype, architecture, sizes, grid, alignment, data; a selection of all products."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from functools import lru_cache, partial
from itertools import combinations, product

from cuda_proof.compiling import ARCHITECTURES
from cuda_proof.neurons import SUFFIXES, subject
from cuda_proof.pairwise import Row, covering
from neurodsl.library import names

PASSES = ("forward", "forward_train", "forward_bits", "plain", "full", "detached")
"""`plain` is the backward kernel without the gradients of params and recordings; `full` and `detached` with them."""

FACTORS = {
    "neuron": names(),
    "which": PASSES,
    "dtype": tuple(SUFFIXES),
    "architecture": ARCHITECTURES,
    "steps": (0, 1, 3, 4, 6, 8, 9, 19),
    "neurons": (1, 33, 256, 258, 640, 641),
    "grid": (None, 1, 2),
    "aligned": (True, False, "one not"),
    "data": ("random", "threshold", "nonfinite", "other params", "other arms"),
    "optional": ("usual", "given", "some"),
    "kept": (True, False),
    "noise": (False, True),
}


ALIGNMENTS = {True: "", False: "misaligned"}
"""What a case's name says of them."""


@dataclass(frozen=True)
class Case:
    """One launch.

    grid: blocks; None: what the manifest says.
    aligned: whether arrays begin where vectors may, or an element after that; a name: all but this array;
        `one not`: all but one, chosen at random.
    optional: which pointers that may be null are given: all but recordings (usual), all, some, chosen at
        random, or all but recordings and the one named (`without grad_x`).
    kept: whether a backward pass has the states that forward_train kept.
    noise: whether approximate instructions err as much as they may.
    """

    neuron: str
    which: str
    dtype: str
    architecture: int
    steps: int
    neurons: int
    grid: int | None
    aligned: bool | str
    data: str
    optional: str
    kept: bool
    noise: bool

    def __str__(self) -> str:
        grid = "manifest" if self.grid is None else self.grid
        words = [self.neuron, self.which, SUFFIXES[self.dtype], f"sm{self.architecture}"]
        words += [f"T{self.steps}", f"N{self.neurons}", f"grid-{grid}"]
        words += [self.data.replace(" ", "-"), ALIGNMENTS.get(self.aligned, "one-misaligned")]
        words += ["" if self.optional == "usual" else self.optional, "" if self.kept else "unkept"]
        return "-".join(word for word in [*words, "noise" if self.noise else ""] if word)

    @property
    def seed(self) -> int:
        """The same for the same case."""
        return zlib.crc32(repr(astuple(self)).encode())

    @property
    def kernel(self) -> str:
        """The kernel's name in its symbol."""
        return {"plain": "backward", "full": "backward", "detached": "backward_detached"}.get(
            self.which, self.which
        )

    @property
    def part(self) -> str:
        """Of the CUDA text: what NEURODSL_PART calls the kernels of this kind."""
        return {"detached": "detached", "forward_bits": "bits"}.get(self.which, "main")


def possible(row: Row) -> bool:
    """Whether there is such a kernel."""
    special = {"detached": "backward_detached", "forward_bits": "forward_bits"}
    if row.get("which") in special and "neuron" in row:
        return subject(row["neuron"]).entry(special[row["which"]], "float32") is not None
    return True


def compiled_for(neuron: str, dtype: str) -> int:
    """The architecture for which the selection takes a neuron and dtype: four of five for a neuron, all for a dtype."""
    place = FACTORS["neuron"].index(neuron) + list(SUFFIXES).index(dtype)
    return ARCHITECTURES[place % len(ARCHITECTURES)]


def dtypes_of(neuron: str, *, all_of_them: bool) -> tuple[str, ...]:
    """The dtypes in which a neuron is selected: all, or two of the four."""
    pairs = tuple(combinations(SUFFIXES, 2))
    place = FACTORS["neuron"].index(neuron)
    return tuple(SUFFIXES) if all_of_them else pairs[place % len(pairs)]


def _selected(row: Row, *, all_of_them: bool) -> bool:
    if not possible(row):
        return False
    if "neuron" not in row:
        return True
    kinds = [
        kind
        for kind in dtypes_of(row["neuron"], all_of_them=all_of_them)
        if row.get("dtype", kind) == kind
    ]
    if "architecture" not in row:
        return bool(kinds)
    return any(compiled_for(row["neuron"], kind) == row["architecture"] for kind in kinds)


def _packed() -> Iterator[Case]:
    """For every neuron and dtype a case in which a thread takes several neurons: what needs many values at once."""
    turns: tuple[tuple[str, int, str, bool], ...] = (
        ("forward", 19, "random", False),
        ("forward_train", 19, "threshold", True),
        ("plain", 19, "random", True),
        ("forward", 9, "other params", True),
        ("plain", 9, "threshold", False),
        ("forward_train", 17, "other arms", False),
        ("plain", 19, "other arms", True),
        ("plain", 6, "other params", False),
    )
    for place, (neuron, dtype) in enumerate(product(FACTORS["neuron"], SUFFIXES)):
        which, steps, data, noise = turns[(place + place // 4) % len(turns)]
        at = (compiled_for(neuron, dtype), steps, 640, 1, True)
        yield Case(neuron, which, dtype, *at, data, "usual", True, noise)


@lru_cache(maxsize=2)
def selection(*, all_of_them: bool = False) -> list[Case]:
    """The covering selection, in an order in which what was compiled is used at once.

    all_of_them: whether every neuron is taken in every dtype, not in two of them.
    """
    allowed = partial(_selected, all_of_them=all_of_them)
    cases = [Case(**row) for row in covering(FACTORS, allowed)]
    places = {name: place for place, name in enumerate(FACTORS["neuron"])}
    cases += [c for c in _packed() if c.dtype in dtypes_of(c.neuron, all_of_them=all_of_them)]
    return sorted(cases, key=lambda c: (places[c.neuron], c.dtype, c.architecture, c.part, c.seed))


def everything(neuron: str, dtype: str, architecture: int) -> Iterator[Case]:
    """The product of passes and sizes; the other factors take turns."""
    fields = ("which", "steps", "neurons")
    others = ("grid", "aligned", "data", "optional", "kept", "noise")
    for values in product(*(FACTORS[field] for field in fields)):
        row = dict(zip(fields, values, strict=True))
        row |= {"neuron": neuron, "dtype": dtype, "architecture": architecture}
        turn = zlib.crc32(repr(row).encode())
        for field in others:
            turn, place = divmod(turn, len(FACTORS[field]))
            row[field] = FACTORS[field][place]
        if possible(row):
            yield Case(**row)
