"""`memory_report`: what each layer of a model keeps for backward, as it is and with spikes as bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from neurodsl.memory.aside import EverythingAside
from neurodsl.memory.compress import CompressedSpikes, Packed, Packer


@dataclass(slots=True)
class Row:
    """A layer: its name in the model, its class, bytes kept as it is and with `compress_spikes`, elements it gave."""

    layer: str
    kind: str
    plain: int = 0
    compressed: int = 0
    elements: int = 0


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """Rows of layers, in the order in which they ran, and of what keeps something between layers, as a table."""

    rows: tuple[Row, ...]

    @property
    def plain(self) -> int:
        """All bytes, kept as they are."""
        return sum(row.plain for row in self.rows)

    @property
    def compressed(self) -> int:
        """All bytes with spikes as bits."""
        return sum(row.compressed for row in self.rows)

    def __str__(self) -> str:
        table = [("layer", "", "kept", "B an output", "with compress_spikes()", "B an output")]
        table += [
            (
                row.layer,
                row.kind,
                _bytes(row.plain),
                _each(row.plain, row.elements),
                _bytes(row.compressed),
                _each(row.compressed, row.elements),
            )
            for row in self.rows
            if row.plain
        ]
        share = f"{self.compressed / self.plain:.1%}" if self.plain else ""
        table.append(("all", "", _bytes(self.plain), "", _bytes(self.compressed), share))
        widths = [max(len(line[place]) for line in table) for place in range(6)]
        return "\n".join(_line(line, widths) for line in table)


def memory_report(model: nn.Module, *inputs: Any, **keywords: Any) -> MemoryReport:
    """Run a model forward once and count what its layers keep for backward.

    Every storage is counted once, for the layer that kept it first, and whole, even where a view of it is kept.
    Parameters and buffers are not counted, they are there anyway; the inputs are, for after a normalisation nobody
    else holds them. What a checkpoint recomputes is not counted. The model begins from reset states, in the mode it is
    in, and is left as it was: states, buffers, gradients, random numbers.

    Args:
        model: any module.
        inputs: what it is called with, on its device.
        keywords: the same, by name.
    """
    count = _Count()
    held = [*model.parameters(), *model.buffers()]
    count.known = {t.untyped_storage()._cdata for t in held}
    with EverythingAside(model), _watched(model, count):
        count.copies = [*model.buffers()]
        count.known |= {t.untyped_storage()._cdata for t in count.copies}
        given = [_with_gradient(value, model) for value in inputs]
        named = {name: _with_gradient(value, model) for name, value in keywords.items()}
        hooks = torch.autograd.graph.saved_tensors_hooks(count.pack, _same)
        with torch.enable_grad(), hooks:
            model(*given, **named)
    return MemoryReport(tuple(count.rows))


@dataclass(slots=True)
class _Count:
    """Hooks that count, and the layers that run, the innermost last."""

    rows: list[Row] = field(default_factory=list)
    running: list[Row] = field(default_factory=list)
    plain: dict[int, Any] = field(default_factory=dict)
    """Storages that were counted; held, so that no other takes their place."""
    compressed: dict[int, Any] = field(default_factory=dict)
    known: set[int] = field(default_factory=set)
    copies: list[Tensor] = field(default_factory=list)
    packer: Packer = field(default_factory=Packer)
    shared: list[Packed] = field(default_factory=list)
    """Held, so that the packer goes on sharing their bits."""

    def note(self, row: Row) -> None:
        """Add a row, if it is not there."""
        if all(row is not other for other in self.rows):
            self.rows.append(row)

    def pack(self, tensor: Tensor) -> Tensor:
        """Count a saved tensor for the layer that runs; what two layers keep counts for the first."""
        storage: Any = tensor.untyped_storage()
        if storage._cdata in self.known or not self.running:
            return tensor
        row, kept = self.running[-1], self.packer.pack(tensor)
        self.note(row)
        if storage._cdata not in self.plain:
            self.plain[storage._cdata] = storage
            row.plain += storage.nbytes()
        if isinstance(kept, Packed):
            self.shared.append(kept)
            storage = kept.bits.bits.untyped_storage()
        if storage._cdata not in self.compressed:
            self.compressed[storage._cdata] = storage
            row.compressed += storage.nbytes()
        return tensor


@contextmanager
def _watched(model: nn.Module, count: _Count) -> Iterator[None]:
    """Tell `count` which layer runs. All neurons begin anew, and nothing is compressed but what it compresses."""
    handles: list[Any] = []
    try:
        for name, module in model.named_modules():
            forget: Any = getattr(module, "reset", None)
            if callable(forget):
                forget()
            if isinstance(module, CompressedSpikes):
                module.compressing = False
            handles += _watch(count, name or "(model)", module)
        yield
    finally:
        for handle in handles:
            handle.remove()


def _watch(count: _Count, name: str, module: nn.Module) -> list[Any]:
    row = Row(name, type(module).__name__)

    is_layer = next(module.children(), None) is None

    def before(_module: nn.Module, _inputs: Any) -> None:
        if is_layer:
            count.note(row)
        count.running.append(row)

    def after(_module: nn.Module, _inputs: Any, output: Any) -> None:
        count.running.pop()
        first = output[0] if isinstance(output, tuple | list) and output else output
        row.elements += first.numel() if isinstance(first, Tensor) else 0

    return [
        module.register_forward_pre_hook(before),
        module.register_forward_hook(after, always_call=True),
    ]


def _with_gradient(value: Any, model: nn.Module) -> Any:
    """A model without parameters keeps something only where its input wants a gradient."""
    plain = isinstance(value, Tensor) and value.is_floating_point() and not value.requires_grad
    if plain and not any(p.requires_grad for p in model.parameters()):
        return value.detach().requires_grad_()
    return value


def _same(kept: Any) -> Any:
    return kept


def _line(line: tuple[str, ...], widths: list[int]) -> str:
    words = [f"{text:<{width}}" for text, width in zip(line[:2], widths[:2], strict=True)]
    words += [f"{text:>{width}}" for text, width in zip(line[2:], widths[2:], strict=True)]
    return "  ".join(words).rstrip()


def _each(count: int, elements: int) -> str:
    return f"{count / elements:.3f}" if elements else ""


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count} B"
