"""One table of compiler options: the keywords of `load` and `compile_file`, the flags of the command line, the docs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Options:
    """How to compile. Every field is a keyword of `neurodsl.load` and a flag of `neurodsl compile`."""

    fp: str = field(
        default="strict",
        metadata={
            "choices": ("strict", "fast"),
            "help": "strict: the bits that the equations say; fast: let the C++ and CUDA compilers fuse multiply-adds",
        },
    )
    save: str = field(
        default="auto",
        metadata={
            "choices": ("auto", "inputs", "membrane", "all", "bfloat16"),
            "help": "what forward keeps for backward: the inputs, one cut of each step (bfloat16: in two bytes "
            "a value), or all that backward reads",
        },
    )
    cuda_arch: tuple[str, ...] = field(
        default=("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"),
        metadata={"help": "architectures of the fatbin that --build makes, such as sm_80,sm_90"},
    )
    surrogate: str | None = field(
        default=None,
        metadata={"help": 'the surrogate of every spike, such as "sigmoid(alpha=4.0)"'},
    )
    spiking: bool = field(
        default=True,
        metadata={
            "help": "False: each spike is its surrogate's primitive (for finite differences)"
        },
    )

    shapes: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict,
        metadata={"help": "shapes of params that are declared without one", "command_line": False},
    )

    def __post_init__(self) -> None:
        for option in fields(self):
            choices = option.metadata.get("choices")
            value = getattr(self, option.name)
            if choices and value not in choices:
                raise ValueError(
                    f"option {option.name}={value!r}: choose from {', '.join(choices)}"
                )

    def as_manifest(self) -> dict[str, Any]:
        """The options that change generated text, for the manifest and the fingerprint."""
        shapes = {name: list(shape) for name, shape in sorted(self.shapes.items())}
        return {
            "fp": self.fp,
            "save": self.save,
            "surrogate": self.surrogate,
            "spiking": self.spiking,
            **({"shapes": shapes} if shapes else {}),
        }
