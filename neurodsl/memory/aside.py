"""A module's states and buffers put aside while it runs once more, and put back as if it had not."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

Attributes = dict[str, Any]


def states_of(module: nn.Module) -> list[tuple[nn.Module, Attributes]]:
    """The neurons within a module, with their states, steps and recordings."""
    found = []
    for part in module.modules():
        names = getattr(part, "state_attributes", None)
        if isinstance(names, tuple):
            recorded = (f"{name}_seq" for name in part.record)  # type: ignore[union-attr]
            kept = (*names, "_steps", *recorded)
            found.append((part, {name: part.__dict__[name] for name in kept}))
    return found


def put_states(states: list[tuple[nn.Module, Attributes]]) -> None:
    """Give neurons the states that `states_of` found."""
    for part, attributes in states:
        part.__dict__.update(attributes)


class BuffersAside:
    """Within the block, copies stand for a module's buffers: what is written to them is forgotten at its end."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._kept: list[tuple[nn.Module, Attributes]] = []

    def __enter__(self) -> None:
        for part in self._module.modules():
            self._kept.append((part, dict(part._buffers)))
            for name, buffer in part._buffers.items():
                if buffer is not None:
                    part._buffers[name] = buffer.detach().clone()

    def __exit__(self, *_error: object) -> None:
        for part, buffers in self._kept:
            part._buffers.update(buffers)
        self._kept.clear()


class EverythingAside:
    """Within the block, a module may run as it likes; its attributes, those of its parts, and random numbers come back.

    What an attribute holds is put back, and what a dict or a list among them held; deeper changes stay.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module, self._buffers = module, BuffersAside(module)
        self._kept: list[tuple[nn.Module, Attributes, list[tuple[Any, Any]]]] = []
        self._random: Any = None

    def __enter__(self) -> None:
        for part in self._module.modules():
            held = [(v, v.copy()) for v in part.__dict__.values() if isinstance(v, dict | list)]
            self._kept.append((part, dict(part.__dict__), held))
        self._buffers.__enter__()
        initialized = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        devices = range(torch.cuda.device_count()) if initialized else ()
        self._random = torch.random.fork_rng(devices=devices)
        self._random.__enter__()

    def __exit__(self, *_error: object) -> None:
        self._random.__exit__(None, None, None)
        self._buffers.__exit__()
        for part, attributes, held in self._kept:
            for name in part.__dict__.keys() - attributes.keys():
                del part.__dict__[name]
            part.__dict__.update(attributes)
            for value, before in held:
                value.clear()
                value.extend(before) if isinstance(value, list) else value.update(before)
        self._kept.clear()
