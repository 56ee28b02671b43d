"""`memory_report`: what each layer of a model keeps for backward, as it is and with spikes as bits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from neurodsl.memory.compress import Packer, Saved


@dataclass(slots=True)
class Row:
    """A layer: its name in the model, its class, bytes kept as it is, and with `compress_spikes`."""

    layer: str
    kind: str
    plain: int = 0
    compressed: int = 0


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """The rows in the order in which layers ran; printed, it is a table."""

    rows: tuple[Row, ...]
    elements: int
    """Elements of the first input: bytes are shown for each of them, too."""

    @property
    def plain(self) -> int:
        """All bytes, kept as they are."""
        return sum(row.plain for row in self.rows)

    @property
    def compressed(self) -> int:
        """All bytes with spikes as bits."""
        return sum(row.compressed for row in self.rows)

    def __str__(self) -> str:
        table = [("layer", "", "kept", "with compress_spikes()")]
        table += [
            (r.layer, r.kind, _bytes(r.plain), _bytes(r.compressed)) for r in self.rows if r.plain
        ]
        share = f" ({self.compressed / self.plain:.0%})" if self.plain else ""
        table.append(("all", "", _bytes(self.plain), _bytes(self.compressed) + share))
        width = [max(len(line[place]) for line in table) for place in range(4)]
        lines = []
        for layer, kind, plain, compressed in table:
            names = f"{layer:<{width[0]}}  {kind:<{width[1]}}"
            lines.append(f"{names}  {plain:>{width[2]}}  {compressed:>{width[3]}}".rstrip())
        return "\n".join(lines)


@dataclass(slots=True)
class _Count:
    """Hooks that count, and the layer that runs."""

    rows: list[Row] = field(default_factory=list)
    running: list[Row] = field(default_factory=list)
    storages: dict[int, Any] = field(default_factory=dict)
    packed: dict[int, Any] = field(default_factory=dict)
    known: set[int] = field(default_factory=set)
    packer: Packer = field(default_factory=Packer)

    def pack(self, tensor: Tensor) -> Any:
        """Count a saved tensor for the layer that runs; what two layers keep counts for the first."""
        storage = tensor.untyped_storage()
        kept = self.packer.pack(tensor)
        if storage._cdata in self.known or not self.running:
            return tensor
        row = self.running[-1]
        if storage._cdata not in self.storages:
            self.storages[storage._cdata] = storage
            row.plain += storage.nbytes()
        if isinstance(kept, Saved):
            if id(kept.bits) not in self.packed:
                self.packed[id(kept.bits)] = kept
                row.compressed += kept.bits.bits.numel()
        elif storage._cdata not in self.packed:
            self.packed[storage._cdata] = storage
            row.compressed += storage.nbytes()
        return tensor


def memory_report(model: nn.Module, *inputs: Any) -> MemoryReport:
    """Run a model forward once and count what its layers keep for backward.

    Every storage is counted once, for the layer that kept it first; parameters and buffers are not counted, they are
    there anyway; the inputs are, for after a normalisation nobody else holds them. States of neurons are reset before
    and after.

    Args:
        model: any module.
        inputs: what it is called with, on its device.
    """
    count = _Count()
    held = [*model.parameters(), *model.buffers()]
    count.known = {t.untyped_storage()._cdata for t in held}
    _reset(model)
    handles = []
    for name, module in model.named_modules():
        if next(module.children(), None) is None or hasattr(module, "detach_states"):
            handles += _watch(count, name or "(model)", module)
    if not handles:
        handles += _watch(count, "(model)", model)
    try:
        everything = Row("(between)", "")
        count.running.append(everything)
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(count.pack, _same):
            given = [_with_gradient(value, model) for value in inputs]
            output = model(*given)
    finally:
        for handle in handles:
            handle.remove()
    del output
    _reset(model)
    rows = [*count.rows, everything] if everything.plain else count.rows
    first = next((value for value in inputs if isinstance(value, Tensor)), None)
    return MemoryReport(tuple(rows), 0 if first is None else first.numel())


def _watch(count: _Count, name: str, module: nn.Module) -> list[Any]:
    row = Row(name, type(module).__name__)

    def before(_module: nn.Module, _inputs: Any) -> None:
        if row not in count.rows:
            count.rows.append(row)
        count.running.append(row)

    def after(_module: nn.Module, _inputs: Any, _output: Any) -> None:
        count.running.pop()

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


def _reset(model: nn.Module) -> None:
    for module in model.modules():
        forget: Any = getattr(module, "reset", None)
        if callable(forget):
            forget()


def _same(kept: Any) -> Any:
    return kept


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count} B"
