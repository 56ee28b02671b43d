"""`python -m neurodsl.tools.spike_memory`: does keeping spikes as bits really save memory? Tables, JSON, a picture.

Each figure is from a fresh process, on as many threads as PyTorch takes. Bytes kept: distinct storages that autograd
saves, parameters and buffers aside, as `neurodsl.memory_report` counts them. Peak: the largest resident memory (VmHWM)
during one step, forward and backward, less the resident memory (VmRSS) before it; a small step has loaded all code by
then. It is measured twice: with MALLOC_MMAP_THRESHOLD_=65536, so that glibc gives freed memory back to the system and
the peak is what the step needs, and as it is, with what the heap has kept. Time: the shortest of five steps after that.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from neurodsl.tools.spike_memory.contestants import contestants, is_installed
from neurodsl.tools.spike_memory.cost import table
from neurodsl.tools.spike_memory.measure import Figure, child, in_a_process, threads
from neurodsl.tools.spike_memory.networks import NETWORKS
from neurodsl.tools.spike_memory.present import draw, tables

Job = tuple[str, str, int, bool]
STEPS, QUICK = (4, 8, 16, 32, 64), (4, 16)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0, or 2 for what is wrong in the command line."""
    parser = argparse.ArgumentParser(prog="python -m neurodsl.tools.spike_memory", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--network", choices=NETWORKS, help="only this one")
    parser.add_argument("--steps", type=_numbers, help="numbers of time steps: 4,8,16,32,64")
    parser.add_argument("--quick", action="store_true", help="4 and 16 time steps alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--out", type=Path, metavar="FILE", help="a picture: PNG, SVG or PDF")
    parser.add_argument("--merge", type=Path, nargs="+", default=(), metavar="FILE",
        help="take figures that --json has written; measure only if --network or --steps is given")  # fmt: skip
    parser.add_argument("--cost", action="store_true",
        help="instead: what the block costs where nothing is a spike, and what packing and unpacking cost")  # fmt: skip
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.child:
        child(given.child[0], given.child[1], int(given.child[2]))
        return 0
    if given.cost:
        print(table())
        return 0
    figures = [
        Figure(**one) for path in given.merge for one in json.loads(path.read_text())["figures"]
    ]
    if not given.merge or given.network or given.steps:
        networks = (given.network,) if given.network else tuple(NETWORKS)
        figures += _measure(networks, given.steps or (QUICK if given.quick else STEPS))
    print(tables(figures))
    if given.json:
        what = {"threads": threads(), "figures": [asdict(figure) for figure in figures]}
        given.json.write_text(json.dumps(what, indent=1) + "\n", encoding="utf-8")
    if given.out:
        draw(figures, given.out)
    return 0


def _measure(networks: Iterable[str], steps: Iterable[int]) -> list[Figure]:
    names = []
    for name, contestant in contestants().items():
        if is_installed(contestant):
            names.append(name)
        else:
            print(
                f"{contestant.label}: left out; pip install --no-deps spikingjelly==2.0.0",
                file=sys.stderr,
            )
    jobs = [
        (network, name, count, returned)
        for network in networks
        for count in steps
        for name in names
        for returned in (False, True)
    ]
    return [in_a_process(*job) for job in _shown(jobs)]


def _shown(jobs: list[Job]) -> Iterator[Job]:
    """The jobs, with a progress bar where somebody looks at a terminal."""
    if not sys.stderr.isatty():
        yield from jobs
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("measuring", total=len(jobs))
        for job in jobs:
            progress.update(task, description=f"{job[0]}, {job[1]}, T={job[2]}")
            yield job
            progress.advance(task)


def _numbers(text: str) -> tuple[int, ...]:
    found = tuple(int(word) for word in text.split(","))
    if any(number < 1 for number in found):
        raise argparse.ArgumentTypeError("time steps are 1 or more")
    return found


if __name__ == "__main__":
    sys.exit(main())
