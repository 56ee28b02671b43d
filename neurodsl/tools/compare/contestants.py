"""Who is compared: the fused kernels on each device, and a class of another library."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import nn

from neurodsl.tools.making import filled_in

KEYWORDS = ("detach_reset", "spiking", "dt")
"""Keywords of our constructors that are no params and may be given."""


class CannotCompareError(ValueError):
    """What is asked for cannot be compared; the text says why."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A name, the device it runs on, and a way to make its module with given params learnable."""

    name: str
    device: torch.device
    make: Callable[[tuple[str, ...]], nn.Module]


@dataclass(frozen=True, slots=True)
class Subject:
    """One of our neurons as it is compared: its class, its manifest entry, and what was given for its constructor."""

    cls: Any
    manifest: Mapping[str, Any]
    given: Mapping[str, Any]
    surrogate: str | None
    dtype: torch.dtype
    size: tuple[int, int] = (1, 1)
    """Time steps and neurons of the input `[steps, 1, neurons]`."""

    def make(self, backend: str, learnable: tuple[str, ...] = (), device: str = "cpu") -> nn.Module:
        """A module of this neuron.

        Raises:
            CannotCompareError: what was given does not suit it.
        """
        known = (*self.params, *KEYWORDS)
        given = {name: value for name, value in self.given.items() if name in known}
        keywords = given | filled_in(self.manifest, *self.size)
        try:
            node = self.cls(
                **keywords, surrogate=self.surrogate, learnable=learnable, backend=backend
            )
        except (TypeError, ValueError) as error:
            if not given:  # else the fault is ours
                raise
            text, name = str(error), self.cls.__name__
            shown = text if text.startswith(name) else f"{_call(name, given)}: {text}"
            raise CannotCompareError(shown) from error
        made: nn.Module = node.to(device=device, dtype=self.dtype)
        return made

    @property
    def inexact(self) -> bool:
        """Whether the forward step calls functions that are not the same to the bit everywhere."""
        return bool(self.manifest["functions"])

    @property
    def params(self) -> dict[str, Any]:
        """Every param by its name in Python, in order: what was given, else its default."""
        signature = inspect.signature(self.cls).parameters
        names = list(signature)[: len(self.manifest["params"])]
        return {name: self.given.get(name, signature[name].default) for name in names}

    @property
    def real_params(self) -> tuple[str, ...]:
        """Params that can have a gradient."""
        return tuple(name for name, value in self.params.items() if not isinstance(value, bool))


def fused(subject: Subject) -> list[Contestant]:
    """The fused kernels on each device of this machine."""
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    return [
        Contestant(f"fused, {device}", torch.device(device), partial(_fused, subject, device))
        for device in devices
    ]


def _fused(subject: Subject, device: str, learnable: tuple[str, ...]) -> nn.Module:
    return subject.make("fused", learnable, device)


def peer(subject: Subject, path: str) -> Contestant:
    """A class of another library, `MODULE:CLASS`, given those of our params that its constructor knows.

    Raises:
        CannotCompareError: there is no such class, or it cannot be made.
    """
    cls = _find(path)
    known = _keywords(cls)
    takes_all = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())
    wanted = {**subject.params, **subject.given}
    keywords = {name: value for name, value in wanted.items() if name in known}
    if "step_mode" in known or takes_all:
        keywords["step_mode"] = "m"

    def make(_: tuple[str, ...]) -> nn.Module:
        try:
            node = cls(**keywords)
        except Exception as error:  # a class of the user's may raise anything
            raise CannotCompareError(
                f"{_call(path, keywords)} cannot be made: {type(error).__name__}: {error}"
            ) from error
        return node.to(subject.dtype)

    return Contestant(path.rpartition(":")[2], torch.device("cpu"), make)


def refuse_unknown(subject: Subject, path: str | None) -> None:
    """Every name given must be known to our constructor or to the other class's."""
    known = set(subject.params) | set(KEYWORDS)
    if path is not None:
        known |= set(_keywords(_find(path)))
    for name in subject.given:
        if name not in known:
            who = "this neuron" if path is None else f"this neuron or {path}"
            raise CannotCompareError(f"{name!r} is no parameter of {who}")


def _call(name: str, keywords: Mapping[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in keywords.items())})"


def _keywords(cls: type[nn.Module]) -> Mapping[str, inspect.Parameter]:
    """What a class's constructor knows; nothing where it is `nn.Module`'s own, whose `**kwargs` are refused."""
    return {} if cls.__init__ is nn.Module.__init__ else inspect.signature(cls).parameters


def _find(path: str) -> type[nn.Module]:
    module, colon, name = path.partition(":")
    if not colon or not name:
        raise CannotCompareError(f"{path!r}: write MODULE:CLASS, as in torch.nn:ReLU")
    try:
        found = getattr(import_module(module), name)
    except Exception as error:  # a module of the user's may raise anything
        raise CannotCompareError(
            f"cannot import {path}: {type(error).__name__}: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise CannotCompareError(f"{path} is no subclass of torch.nn.Module")
    return found
