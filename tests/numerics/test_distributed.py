"""Two processes on this machine: DDP and FSDP2 are one process with the mean of the gradients, and build once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from numerics import ranks
from torch import Tensor

from neurodsl import native

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or sys.platform != "linux", reason="gloo on Linux"
)

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "ddp.py"
SLOW_COMPILER = """#!/bin/sh
case " $* " in
    *.cpp\\ *) echo "$*" >> "{log}"; sleep 1;;
esac
exec g++ "$@"
"""


def torchrun(script: Path, *arguments: str, **environment: str) -> str:
    """What two processes with this script print."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(ranks.RANKS), os.fspath(script), *arguments]
    given = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def slow_compiler(folder: Path) -> tuple[Path, Path]:
    """A compiler that takes a second longer, and the file in which it writes down what it compiles."""
    program, log = folder / "slow-g++", folder / "calls.txt"
    program.write_text(SLOW_COMPILER.format(log=log))
    program.chmod(0o755)
    return program, log


@pytest.fixture(scope="module", params=["python", "native"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `ranks.py` saved of each rank, and the compiler's calls where the cache was empty (calls from Python)."""
    folder = tmp_path_factory.mktemp(request.param)
    program, log = slow_compiler(folder)
    environment = {"NEURODSL_NATIVE": "1"}
    if request.param == "python":
        cache = os.fspath(folder / "cache")
        environment = {"NEURODSL_NATIVE": "0", "NEURODSL_CACHE_DIR": cache, "CXX": str(program)}
    else:
        native.build_native()
    torchrun(HERE / "ranks.py", os.fspath(folder), **environment)
    saved = [torch.load(folder / f"{rank}.pt") for rank in range(ranks.RANKS)]
    return saved, log.read_text().splitlines() if log.exists() else []


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """States, gradients and trained parameters of networks in this process, their gradients averaged by hand."""
    models = [ranks.network() for _ in range(ranks.RANKS)]
    states = [list(ranks.passes(m, m[1], rank)) for rank, m in enumerate(models)]
    gradients = _averaged(models)
    optimizers = [torch.optim.SGD(m.parameters(), 0.1, momentum=0.9) for m in models]
    for optimizer, model in zip(optimizers, models, strict=True):
        assert torch.nn.utils.clip_grad_norm_(model.parameters(), ranks.CLIP) > 2 * ranks.CLIP
        optimizer.step()
        optimizer.zero_grad()
        model[1].reset()
    turns = [ranks.passes(m, m[1], rank) for rank, m in enumerate(models)]
    for _ in zip(*turns, strict=True):
        _averaged(models)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    return {"states": states, "gradients": gradients, "trained": _named(models[0])}


def _named(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: p.detach() for name, p in model.named_parameters()}


def _averaged(models: list[Any]) -> dict[str, Tensor]:
    """Give each model the mean of all gradients."""
    made = {}
    for name, _ in models[0].named_parameters():
        found = [m.get_parameter(name).grad for m in models]
        made[name] = torch.stack(found).mean(0)
        for model in models:
            model.get_parameter(name).grad = made[name].clone()
    return made


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_each_rank_has_its_own_states(found: Any, expected: dict[str, Any], kind: str) -> None:
    for rank, saved in enumerate(found[0]):
        for state, wanted in zip(saved[kind]["states"], expected["states"][rank], strict=True):
            assert state.shape == (5 + 2 * rank, 4)
            torch.testing.assert_close(state, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("what", ["gradients", "trained"])
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_parameters_are_common(found: Any, expected: dict[str, Any], kind: str, what: str) -> None:
    first, second = (saved[kind][what] for saved in found[0])
    assert set(first) == set(expected[what])
    for name, wanted in expected[what].items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], wanted, rtol=0, atol=1e-12)
        assert wanted.abs().max() > 0


def test_fsdp_shards_vectors_and_refuses_scalars(found: Any) -> None:
    for saved in found[0]:
        assert "doesn't support scalar parameters" in saved["fsdp"]["messages"]["scalar"]
        assert saved["fsdp"]["sizes"]["1.tau"] == 1
        assert saved["fsdp"]["sizes"]["1.gain"] == 2
        assert saved["ddp"]["sizes"]["1.gain"] == 4


@pytest.mark.parametrize(
    ("what", "name"), [("param", "gain"), ("input", "x"), ("state", "the state v")]
)
def test_tensors_spread_over_processes_are_refused(found: Any, what: str, name: str) -> None:
    for saved in found[0]:
        assert f"Scaled: {name} is a DTensor" in saved["fsdp"]["messages"][what]


@pytest.mark.parametrize("found", ["python"], indirect=True)
def test_an_empty_cache_is_filled_by_one_rank(found: Any) -> None:
    assert len(found[1]) == 1, found[1]


def test_the_extension_is_built_once(tmp_path: Path) -> None:
    """Two builds of a small text in its place, begun together."""
    program, log = slow_compiler(tmp_path)
    texts = tmp_path / "texts"
    texts.mkdir()
    for name in ("plan.h", "node.h", "shortcut.h", "pool.h", "bits.h"):
        (texts / name).touch()
    (texts / "module.cpp").write_text("int nothing;\n")
    described = native.described().as_arguments()[1:]
    command = [sys.executable, "-m", "neurodsl.build.extension", os.fspath(texts), *described]
    cache = tmp_path / "cache"
    environment = os.environ | {"CXX": str(program), "NEURODSL_CACHE_DIR": os.fspath(cache)}
    builds = [subprocess.Popen(command, env=environment) for _ in range(ranks.RANKS)]
    assert [build.wait(timeout=120) for build in builds] == [0, 0]
    assert len(log.read_text().splitlines()) == 1
    assert len(list(cache.glob("native/*/neurodsl_native.so"))) == 1


@pytest.mark.parametrize("kind", [[], ["--fsdp"]], ids=["ddp", "fsdp"])
def test_losses_are_those_of_one_process(kind: list[str]) -> None:
    pytest.importorskip("sklearn")
    printed = torchrun(EXAMPLE, "--compare", "--quick", *kind, "--device", "cpu")
    figure = re.search(r"largest difference of 10 losses: (\S+)", printed)
    assert figure is not None, printed
    assert float(figure[1]) <= 1e-9
    assert printed.count("largest difference") == 1


def test_the_example_without_torchrun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn")
    import runpy

    monkeypatch.delenv("RANK", raising=False)
    main = runpy.run_path(os.fspath(EXAMPLE))["main"]
    found = main(["--quick", "--device", "cpu", "--epochs", "3"])
    assert "DDP, gloo: processes 1, cpu" in capsys.readouterr().out
    assert found["losses"][-1] < found["losses"][0] / 2
