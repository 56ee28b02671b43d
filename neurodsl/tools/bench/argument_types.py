"""What people write on a command line: a device, element types, shapes. Nothing heavy is imported."""

from __future__ import annotations

import argparse
import re


def device(text: str) -> str:
    """`cpu`, `cuda` or `cuda:1`."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r}: write cpu, cuda or cuda:1")
    return text


def dtypes(text: str) -> tuple[str, ...]:
    """`float32,float16` as a tuple, each once."""
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    known = ("float32", "float64", "bfloat16", "float16")
    wrong = [name for name in found if name not in known]
    if wrong:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r} is none of {', '.join(known)}")
    return found


def shapes(text: str) -> tuple[tuple[int, int], ...]:
    """`64x128,16x8192` as pairs of time steps and neurons."""
    found = re.findall(r"(?:^|,)\s*([1-9][0-9]*)x([1-9][0-9]*)\s*(?=,|$)", text, re.ASCII)
    if not found or len(found) != text.count(",") + 1:
        raise argparse.ArgumentTypeError(f"{text!r}: write steps x neurons as in 64x128,16x8192")
    return tuple((int(steps), int(neurons)) for steps, neurons in found)
