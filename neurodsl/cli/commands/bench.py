"""`neurodsl bench`: times and memory as ratios."""

from __future__ import annotations

import argparse

from neurodsl.cli.failures import UsageError
from neurodsl.cli.memory import refuse_beyond_memory
from neurodsl.cli.pictures import refuse_picture


def run(arguments: argparse.Namespace) -> int:
    """Measure every neuron of the files given, or the whole library."""
    from neurodsl.cli.sources import loadable

    if arguments.all and (arguments.files or arguments.fresh):
        raise UsageError("--all measures the library's neurons: it takes no FILE and no --fresh")
    if arguments.plot is not None and (arguments.all or arguments.fresh):
        raise UsageError("--plot goes with neither --all nor --fresh")
    if arguments.plot is not None:
        refuse_picture("--plot", arguments.plot)
    on_gpu = arguments.device != "cpu"
    if on_gpu and (arguments.all or arguments.fresh or arguments.warm_heap):
        raise UsageError("--device cuda goes with neither --all nor --fresh nor --warm-heap")
    if not on_gpu and len(arguments.dtype) > 1:
        raise UsageError("--dtype takes several with --device cuda only")
    if not on_gpu:
        _check_memory(arguments.shapes)
    sources = [loadable(file) for file in arguments.files or ["LIF"]]
    from neurodsl.tools.bench import command
    from neurodsl.tools.bench.contestants import Choice

    settings = command.Settings(
        shapes=arguments.shapes,
        rounds=arguments.rounds,
        threads=arguments.threads,
        dtype=arguments.dtype[0],
        choice=Choice(
            reference=arguments.reference,
            peers=arguments.peers,
            compiled=arguments.compiled,
            split=arguments.split or arguments.compiled,
        ),
        compile_times=arguments.compile_times,
        fresh=arguments.fresh,
        warm_heap=arguments.warm_heap,
        as_json=arguments.json,
        markdown=arguments.markdown,
        plot=arguments.plot,
    )
    if on_gpu:
        from neurodsl.tools.bench.device_command import run_on_device

        return run_on_device(sources, settings, arguments.device, arguments.dtype)
    return command.run_library(settings) if arguments.all else command.run(sources, settings)


def _check_memory(shapes: tuple[tuple[int, int], ...]) -> None:
    """The slowest rivals keep some twelve numbers a neuron-step."""
    for steps, neurons in shapes:
        refuse_beyond_memory(f"--shapes {steps}x{neurons}", 48 * steps * neurons)
