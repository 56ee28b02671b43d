"""The commands and their flags. Compiler options are not written here: they come from `neurodsl.options`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from neurodsl.options import Options
from neurodsl.tools.bench.argument_types import device, dtypes, shapes
from neurodsl.version import __version__

STAGES = ("ast", "model", "adjoint", "ir", "cpp", "cuda", "python", "latex")
MOST_THREADS = 1024
FILE = "a path (it exists, or has a / or .neuron in it), else the name of a library neuron"


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; the chosen command's name is in `command`."""
    parser = argparse.ArgumentParser(
        prog="neurodsl",
        description="Compiles spiking neurons: equations in, fused C++ and CUDA kernels and a PyTorch module out.",
        epilog="Exit status: 0 done; 1 the program is wrong or a comparison failed; 2 usage; "
        "3 this machine lacks something.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"neurodsl {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, help, add in COMMANDS:
        command = commands.add_parser(name, help=help, description=help, allow_abbrev=False)
        add(command)
    return parser


def _compile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help=FILE)
    parser.add_argument(
        "-o", "--out", metavar="DIR", type=Path, help="where to write (made if missing)"
    )
    parser.add_argument(
        "--build",
        action="store_true",
        help="also build the CPU library and, with nvcc or NVRTC, what GPUs load",
    )
    parser.add_argument(
        "--force", action="store_true", help="overwrite files that neurodsl did not write"
    )
    add_options(parser)


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help=FILE)
    parser.add_argument("--format", choices=("text", "json"), default="text")


def _compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=FILE)
    parser.add_argument(
        "--neuron", metavar="NAME", help="which neuron of the file (default: every one)"
    )
    parser.add_argument("--against", metavar="MODULE:CLASS", help="a class to compare with, too")
    parser.add_argument(
        "--with",
        dest="given",
        metavar="name=value",
        nargs="+",
        action="extend",
        default=[],
        type=assignment,
        help="parameters of ours and of the class, as Python literals",
    )
    parser.add_argument("--surrogate", metavar="TEXT", help='ours, such as "sigmoid(alpha=4.0)"')
    parser.add_argument("--steps", type=positive, default=64)
    parser.add_argument("--neurons", type=positive, default=1000)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--seed", type=seed, default=0)


def _explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("subject", metavar="FILE|CODE", help="a program, or a code such as E0201")


def _show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=FILE)
    parser.add_argument("--stage", choices=STAGES, required=True)
    add_options(parser)


def _bench(parser: argparse.ArgumentParser) -> None:
    flag = argparse.BooleanOptionalAction
    parser.add_argument("files", metavar="FILE", nargs="*", help=f"{FILE} (default: LIF)")
    parser.add_argument(
        "--shapes",
        metavar="TxN,…",
        type=shapes,
        default=(),
        help="time steps x neurons, as in 64x128,8x1048576",
    )
    parser.add_argument("--rounds", type=positive, default=15, help="turns of each contestant")
    parser.add_argument("--threads", type=threads, help="of PyTorch and of the kernels")
    parser.add_argument(
        "--device",
        metavar="cpu|cuda|cuda:N",
        type=device,
        default="cpu",
        help="cuda: on a GPU, by its own clock, from Python and in graphs (docs/gpu.md)",
    )
    parser.add_argument(
        "--dtype",
        metavar="float32|float64|bfloat16|float16",
        type=dtypes,
        default=("float32",),
        help="with --device cuda several, separated by commas",
    )
    parser.add_argument("--peers", action=flag, default=True, help="SpikingJelly, if installed")
    parser.add_argument("--reference", action=flag, default=True, help="the eager loop")
    parser.add_argument(
        "--split",
        action="store_true",
        help="also LIF as two torch.compile'd graphs, forward and hand-written backward",
    )
    parser.add_argument(
        "--compiled",
        action="store_true",
        help="also torch.compile of the eager loop (minutes for many steps), and --split",
    )
    parser.add_argument(
        "--compile-times",
        action=flag,
        default=True,
        help="how long the file takes to compile from nothing",
    )
    parser.add_argument(
        "--warm-heap",
        action="store_true",
        help="let freed memory stay in the process, so that nobody's outputs cost page faults",
    )
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--fresh", action="store_true", help="each contestant in fresh processes (8x1048576)"
    )
    way.add_argument(
        "--all", action="store_true", help="every library neuron's time per byte beside LIF's"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    form.add_argument("--markdown", action="store_true", help="tables in Markdown")
    parser.add_argument("--plot", metavar="FILE.png", type=Path, help="draw the ratios, too")


def _roofline(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="*", help=f"{FILE} (default: LIF)")
    parser.add_argument(
        "--gpu",
        metavar="h100,a100,…",
        type=gpus,
        default=(),
        help="of t4, a100, rtx4090, rtx5090, h100, h200, b200 (default: h100)",
    )
    parser.add_argument(
        "--arch",
        metavar="sm_90",
        type=architectures,
        default=(),
        help="whose machine code (default: each GPU's own)",
    )
    parser.add_argument(
        "--dtype",
        metavar="float32|float64|bfloat16|float16",
        type=dtypes,
        default=("float32",),
        help="one or several, separated by commas",
    )
    parser.add_argument("--all", action="store_true", help="every library neuron")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all figures, too")
    parser.add_argument("--markdown", action="store_true", help="tables in Markdown")
    parser.add_argument("--out", metavar="FILE.png", type=Path, help="draw kernels below the roofs")


def _list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("text", "json"), default="text")


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--out", metavar="DIR", type=Path, default=Path("neurodsl-demo"))
    parser.add_argument("--seed", type=seed, default=0)
    parser.add_argument("--epochs", type=positive)
    parser.add_argument("--backend", choices=("auto", "fused", "reference"), default="auto")
    parser.add_argument("--quick", action="store_true", help="train for a few seconds only")


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("text", "json"), default="text")


COMMANDS: tuple[tuple[str, str, Callable[[argparse.ArgumentParser], None]], ...] = (
    ("compile", "write the generated files and print what was written", _compile),
    ("check", "diagnostics only", _check),
    ("compare", "run every back end of this machine against the eager reference", _compare),
    (
        "explain",
        "a neuron's step, its memory and its derivatives; or what a diagnostic means",
        _explain,
    ),
    ("show", "one stage of the compiler, as text", _show),
    ("bench", "times and memory, as ratios", _bench),
    (
        "roofline",
        "what the machine code of the CUDA kernels would reach on a GPU: a model",
        _roofline,
    ),
    ("list", "the neurons and surrogates of the library", _list),
    ("demo", "compile, compare, train on real images, show the result", _demo),
    ("doctor", "compiler, ninja, CUDA, torch, cache: what is found, what is missing", _doctor),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """A flag for each field of `Options`."""
    for option in fields(Options):
        if not option.metadata.get("command_line", True):
            continue
        flag = "--" + option.name.replace("_", "-")
        settings: dict[str, Any] = {"dest": option.name, "default": argparse.SUPPRESS}
        settings["help"] = str(option.metadata["help"]).replace("%", "%%")
        if "choices" in option.metadata:
            settings["choices"] = option.metadata["choices"]
        elif isinstance(option.default, bool):
            settings["action"] = argparse.BooleanOptionalAction
        elif isinstance(option.default, tuple):
            settings |= {"type": architectures, "metavar": ",".join(option.default[:2])}
        else:
            settings["metavar"] = "TEXT"
        parser.add_argument(flag, **settings)


def options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The compiler options that were given, as keywords of `Options`."""
    given = vars(arguments)
    return {option.name: given[option.name] for option in fields(Options) if option.name in given}


def architectures(text: str) -> tuple[str, ...]:
    """`sm_80,sm_90` as a tuple."""
    archs = tuple(part.strip() for part in text.split(",") if part.strip())
    wrong = [arch for arch in archs if not re.fullmatch(r"sm_\d{2,3}[af]?", arch)]
    if wrong or not archs:
        raise argparse.ArgumentTypeError(f"{text!r}: write architectures as in sm_80,sm_90")
    return archs


def gpus(text: str) -> tuple[str, ...]:
    """`h100,a100` as a tuple, each once."""
    from neurodsl.tools.roofline.gpus import GPUS

    found = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",")))
    wrong = [name for name in found if name not in GPUS]
    if wrong:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r} is none of {', '.join(GPUS)}")
    return found


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def threads(text: str) -> int:
    """A number of threads; with more the operating system refuses some and OpenMP ends the process."""
    if positive(text) > MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {MOST_THREADS} threads")
    return int(text)


def seed(text: str) -> int:
    """A whole number that PyTorch's generators take, and those a little above it."""
    if not re.fullmatch(r"-?[0-9]{1,19}", text) or not -(2**63) <= int(text) < 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from -2^63 to 2^63 - 1")
    return int(text)


def assignment(text: str) -> tuple[str, Any]:
    """`name=value`, the value a Python literal (a text that is none stands for itself; true and false are booleans)."""
    import ast

    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r}: write name=value")
    words = {"true": True, "false": False, "none": None, "inf": float("inf")}
    if value.strip().lower() in words:
        return name.strip(), words[value.strip().lower()]
    try:
        return name.strip(), ast.literal_eval(value.strip())
    except (ValueError, SyntaxError):
        return name.strip(), value
