"""`neurodsl roofline`: what the machine code of a neuron's CUDA kernels would reach on a GPU. A model."""

from __future__ import annotations

import argparse

from neurodsl.cli.failures import UsageError
from neurodsl.cli.pictures import refuse_picture
from neurodsl.cli.sources import read
from neurodsl.cli.terminal import console


def run(arguments: argparse.Namespace) -> int:
    """Estimate every neuron of the files given, or the whole library."""
    if arguments.all and arguments.files:
        raise UsageError("--all estimates the library's neurons: it takes no FILE")
    if arguments.json is not None and not arguments.json.absolute().parent.is_dir():
        raise UsageError(f"--json {arguments.json}: there is no such folder")
    if arguments.out is not None:
        refuse_picture("--out", arguments.out)
    from neurodsl.library import names

    sources = [read(file) for file in (names() if arguments.all else arguments.files or ["LIF"])]
    from neurodsl.tools.roofline.command import Settings, run

    settings = Settings(
        gpus=arguments.gpu or of_archs(arguments.arch),
        archs=arguments.arch,
        dtypes=arguments.dtype,
        json=arguments.json,
        markdown=arguments.markdown,
        out=arguments.out,
    )
    return run([(source.name, source.text) for source in sources], settings, console())


def of_archs(archs: tuple[str, ...]) -> tuple[str, ...]:
    """The first GPU of the first architecture given; an H100 where none is known for it, or none is given."""
    from neurodsl.tools.roofline.gpus import GPUS

    found = [name for arch in archs[:1] for name, gpu in GPUS.items() if gpu.arch == arch]
    return (found[0] if found else "h100",)
