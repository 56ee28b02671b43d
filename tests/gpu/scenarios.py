"""What a training program does on a GPU beside calling a layer: streams, graphs, threads, devices, compilers, ranks.

Each function does one of these on a device and says what is wrong, a sentence each. On the CPU, where streams and
graphs mean nothing, it goes the same way without them; so the functions are tested without a GPU.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from gpu.cases import (
    Case,
    Outcome,
    against,
    home,
    inputs,
    laid,
    make,
    outcome,
    problems,
    weighted_sum,
)
from torch import Tensor, nn

import neurodsl

cuda: Any = torch.cuda
"""Tests put a recorder in its place."""


def has_streams(device: torch.device) -> bool:
    """Whether work on it is queued, and can be recorded."""
    return device.type == "cuda"


def on_stream(device: torch.device, stream: Any) -> AbstractContextManager[Any]:
    """PyTorch's current stream from here on."""
    return cuda.stream(stream) if has_streams(device) else nullcontext()


def new_stream(device: torch.device) -> Any:
    """A stream that has waited for what is on the current one; None on the CPU."""
    if not has_streams(device):
        return None
    made = cuda.Stream(device)
    made.wait_stream(cuda.current_stream(device))
    return made


def wait(device: torch.device) -> None:
    """For everything on a device."""
    if has_streams(device):
        cuda.synchronize(device)


def other_stream(case: Case, device: torch.device) -> list[str]:
    """Forward and backward on a stream of their own, while the default one is kept busy and overwrites old memory.

    A launch on the wrong stream reads the inputs before they are written: they are made on that stream, behind a long
    product.
    """
    given = inputs(case)
    expected = outcome(make(case, "fused"), given, case, torch.device("cpu"))
    node = make(case, "fused").to(device)
    size = 2048 if device.type == "cuda" else 8
    wide = torch.ones(size, size, device=device)
    stream = new_stream(device)
    with on_stream(device, stream):
        for _ in range(20):
            wide = wide @ wide / wide.shape[0]
        late = [x.to(device) + wide[0, 0].sub(1).to(x.dtype) for x in given]
        found = outcome(node, late, case, device)
    wait(device)
    return problems(found, expected, case)


class Step:
    """A forward and a backward pass on inputs that stay where they are, as a graph has to have them."""

    def __init__(self, case: Case, device: torch.device, seed: int) -> None:
        self.case, self.node = case, make(case, "fused").to(device)
        self.given = [
            laid(x.to(device), case.layout).detach().requires_grad_() for x in inputs(case, seed)
        ]
        self.results: list[Tensor] = []

    def __call__(self) -> None:
        """From reset states."""
        self.node.reset()
        made = self.node(*self.given)
        outputs = [made] if isinstance(made, Tensor) else list(made)
        wanted = [*self.given, *self.node.parameters()]
        upstream = [torch.ones_like(y) for y in outputs]
        found = torch.autograd.grad(outputs, wanted, upstream, allow_unused=True)
        self.results = [*outputs, *(g for g in found if g is not None)]

    def take(self, seed: int) -> None:
        """Other numbers in the same places."""
        with torch.no_grad():
            for x, fresh in zip(self.given, inputs(self.case, seed), strict=True):
                x.copy_(fresh)

    def copies(self) -> list[Tensor]:
        """Of the results."""
        return [y.detach().clone() for y in self.results]


def captured(case: Case, device: torch.device) -> list[str]:
    """A step captured once and replayed on other numbers gives what calls give; and again after a call in between."""
    step = Step(case, device, 1)
    stream = new_stream(device)
    with on_stream(device, stream):
        for _ in range(3):
            step()
    wait(device)
    replay: Callable[[], object] = step
    if has_streams(device):
        graph = cuda.CUDAGraph()
        with cuda.graph(graph, stream=stream):
            step()
        replay = graph.replay
    held, said = step.results, []
    for seed in (3, 4, 3):
        step.take(seed)
        wait(device)
        replay()
        wait(device)
        results = held if has_streams(device) else step.results
        found = [y.detach().clone() for y in results]
        plain = Step(case, device, seed)
        plain()
        wait(device)
        for place, (one, other) in enumerate(zip(found, plain.copies(), strict=True)):
            if not torch.equal(one, other):
                said.append(f"{case}: result {place} of a replay on input {seed} differs")
    return said


def threaded(cases: list[Case], device: torch.device, rounds: int = 5) -> list[str]:
    """A thread a case, each on a stream of its own; the first call of all, which loads kernels, is at the same time."""
    given = [inputs(case) for case in cases]
    nodes = [make(case, "fused") for case in cases]
    found: list[list[Outcome]] = [[] for _ in cases]
    failed: list[str] = []
    barrier = threading.Barrier(len(cases))

    def run(place: int) -> None:
        try:
            barrier.wait(timeout=600)
            with on_stream(device, new_stream(device)):
                for _ in range(rounds):
                    found[place].append(outcome(nodes[place], given[place], cases[place], device))
        except Exception as problem:  # a thread's own end would be silent
            failed.append(f"{cases[place]}: {type(problem).__name__}: {problem}")

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(cases))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for case, x, outcomes in zip(cases, given, found, strict=True):
        expected = outcome(make(case, "fused"), x, case, torch.device("cpu"))
        for one in outcomes:
            failed += problems(one, expected, case)
    return failed


def on_another_device(case: Case, device: torch.device) -> list[str]:
    """A call on a device that is not the current one, and then again on the first."""
    given = inputs(case)
    expected = outcome(make(case, "fused"), given, case, torch.device("cpu"))
    said: list[str] = []
    first = torch.device("cuda", 0) if device.type == "cuda" else device
    for where in (first, device, first):
        said += problems(outcome(make(case, "fused"), given, case, where), expected, case)
    if device.type == "cuda" and torch.cuda.current_device() != 0:
        said.append(f"{case}: the current device was changed")
    return said


def repeated(case: Case, device: torch.device, times: int = 5) -> list[str]:
    """Gradients, those of params too, have the same bits each time."""
    runs: list[list[Tensor]] = []
    for _ in range(times):
        step = Step(case, device, 1)
        step()
        wait(device)
        runs.append(step.copies())
    return [
        f"{case}: result {place} of run {run} has other bits"
        for run, results in enumerate(runs[1:], start=1)
        for place, (one, other) in enumerate(zip(runs[0], results, strict=True))
        if not torch.equal(one, other)
    ]


def carried(case: Case, device: torch.device) -> list[str]:
    """States that go on from call to call, recorded potentials, gradients through both calls, and step by step."""
    (values,) = inputs(case)
    half = case.steps // 2
    kind = getattr(neurodsl.load(case.neuron), case.neuron)
    runs: list[Outcome] = []
    for where in (device, torch.device("cpu")):
        node = kind(backend="fused", record=("v",)).to(where)
        node = node.double() if case.dtype is torch.float64 else node
        x = values.to(where).requires_grad_()
        first, recorded = node(x[:half]), node.v_seq
        second, end = node(x[half:]), node.v
        params = dict(node.named_parameters())
        loss = weighted_sum([first, second, recorded, node.v_seq, end])
        gradients = torch.autograd.grad(loss, [x, *params.values()])
        finals = {"recorded": recorded, "recorded later": node.v_seq, "v": end}
        node.reset()
        node.step_mode = "s"
        with torch.no_grad():
            steps = torch.stack([node(step) for step in x])
        outputs = {"output 0": first, "output 1": second, "step by step": steps}
        by_param = dict(zip(params, gradients[1:], strict=True))
        found = (outputs, finals, {"gradient of input 0": gradients[0]}, by_param)
        runs.append(Outcome(*(home(tensors) for tensors in found)))
    return problems(runs[0], runs[1], case)


def narrow(case: Case, device: torch.device) -> list[str]:
    """Spikes in bytes and in bits are those in numbers."""
    (values,) = inputs(case)
    kind = getattr(neurodsl.load(case.neuron), case.neuron)
    said: list[str] = []
    with torch.no_grad():
        expected = kind(backend="fused")(values) != 0
        for form in ("uint8", "bits"):
            made = kind(backend="fused", spikes=form).to(device)(values.to(device))
            dense = made if isinstance(made, Tensor) else made.unpack()
            if not torch.equal(dense.cpu() != 0, expected):
                said.append(f"{case}: spikes as {form} differ")
    return said


def added_atomically(case: Case, device: torch.device) -> list[str]:
    """Gradients of params by atomic additions are as near as the others."""
    neurodsl.use_atomic_gradients()
    try:
        return against(case, device)
    finally:
        neurodsl.use_atomic_gradients(False)


def compiled(case: Case, device: torch.device, backend: str) -> list[str]:
    """`torch.compile(fullgraph=True)` of a module gives what the module gives, to the bit."""
    torch._dynamo.reset()
    node, given = make(case, "fused").to(device), inputs(case)
    runs: list[list[Tensor]] = []
    for run in (node, torch.compile(node, fullgraph=True, backend=backend)):
        node.reset()
        there = [x.to(device).requires_grad_() for x in given]
        made = run(*there)
        outputs = [made] if isinstance(made, Tensor) else list(made)
        wanted = [*there, *node.parameters()]
        found = torch.autograd.grad(weighted_sum(outputs), wanted, allow_unused=True)
        runs.append([*outputs, *(g for g in found if g is not None)])
    torch._dynamo.reset()
    return [
        f"{case}: result {place} differs when compiled"
        for place, (one, other) in enumerate(zip(*runs, strict=True))
        if not torch.equal(one, other)
    ]


def under_autocast(device: torch.device, dtype: torch.dtype) -> list[str]:
    """Between linear layers that autocast runs in two bytes: the neuron keeps their dtype, and all gets gradients."""
    torch.manual_seed(0)
    node = neurodsl.load("PLIF").PLIF(backend="fused")
    net = nn.Sequential(nn.Linear(16, 64), node, nn.Linear(64, 8)).to(device)
    x = torch.randn(6, 32, 16, device=device, requires_grad=True)
    seen: list[torch.dtype] = []
    node.register_forward_hook(lambda _, given, made: seen.extend((given[0].dtype, made.dtype)))
    with torch.autocast(device.type, dtype=dtype):
        loss = net(x).float().square().mean()
    loss.backward()
    wait(device)
    said = (
        [] if seen == [dtype, dtype] else [f"autocast to {dtype}: the neuron saw and gave {seen}"]
    )
    for name, value in (("input", x), *net.named_parameters()):
        gradient = value.grad
        if gradient is None or not bool(gradient.isfinite().all()):
            said.append(f"autocast to {dtype}: {name} has no finite gradient")
        elif name != "2.bias" and not bool(gradient.any()):
            said.append(f"autocast to {dtype}: the gradient of {name} is zero")
    return said


def kept(device: torch.device) -> tuple[list[int], list[int]]:
    """Bytes that a small network's layers keep for backward, as they are and with spikes as bits."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(32, 256),
        neurodsl.load("LIF").LIF(backend="fused"),
        nn.Linear(256, 64),
        neurodsl.load("PLIF").PLIF(backend="fused"),
    )
    report = neurodsl.memory_report(net.to(device), torch.randn(8, 16, 32, device=device))
    return [row.plain for row in report.rows], [row.compressed for row in report.rows]


def beyond_two_to_the_31(
    device: torch.device, steps: int, neurons: int, dtype: torch.dtype = torch.float32
) -> list[str]:
    """More elements than 32 bits count: some neurons, the first, the last and those about 2^31, are compared.

    All neurons but those are fed zeros.
    """
    count = steps * neurons
    places = {0, 1, neurons - 1, neurons - 2, neurons // 2}
    for limit in (2**31, 2**32):
        for t in range(steps):  # neurons whose element of step t is about the limit
            places |= set(range(limit - t * neurons - 2, limit - t * neurons + 3))
    chosen = torch.tensor(sorted(p for p in places if 0 <= p < neurons))
    case = Case("LIF", dtype, steps, len(chosen))
    (values,) = inputs(case)
    expected = outcome(make(case, "fused"), [values], case, torch.device("cpu"))
    x = torch.zeros(steps, 1, neurons, dtype=dtype, device=device)
    x[..., chosen.to(device)] = values.to(device)
    x.requires_grad_()
    node = make(case, "fused").to(device)
    spikes = node(x)
    upstream = torch.ones_like(spikes)
    (gradient,) = torch.autograd.grad(spikes, x, upstream)
    wait(device)
    seen = chosen.to(device)
    said = []
    if not torch.equal(spikes.detach()[..., seen].cpu(), expected.outputs["output 0"]):
        said.append(f"{case}: spikes differ among {count} elements")
    (plain,) = [values.clone().requires_grad_()]
    small = make(case, "fused")(plain)
    (wanted,) = torch.autograd.grad(small, plain, torch.ones_like(small))
    if (gradient[..., seen].cpu() - wanted).norm() > 1e-4 * wanted.norm():
        said.append(f"{case}: gradients differ among {count} elements")
    silent = int(spikes.detach().count_nonzero()) - int(small.detach().count_nonzero())
    return (
        said if silent == 0 else [*said, f"{case}: {silent} spikes of neurons that were fed zeros"]
    )
