"""The call path in C++ and its pool: the same results as from Python, and memory that is safe to hand out again."""

from __future__ import annotations

import copy
import gc
import io
import os
import pickle
import threading
from typing import Any

import pytest
import torch
from torch import Tensor

import neurodsl
from neurodsl import native
from neurodsl.library import LIF, PLIF, Izhikevich, SoftLIF
from neurodsl.runtime import module as runtime_module
from neurodsl.runtime.errors import StaleGraphError

LARGE = (16, 4, 40_000)


@pytest.fixture
def extension() -> Any:
    found = native.extension()
    assert found is not None
    return found


@pytest.fixture
def from_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """New modules call their kernels from Python."""
    from neurodsl.runtime import native as plans

    monkeypatch.setattr(plans, "extension", lambda: None)
    monkeypatch.setattr(runtime_module, "learn", lambda *_: None)


def run(cls: Any, shape: tuple[int, ...], **options: Any) -> list[Tensor]:
    """Spikes, states and gradients of two calls."""
    x = 2 * torch.randn(shape, generator=torch.Generator().manual_seed(3))
    x.requires_grad_()
    up = torch.randn(shape, generator=torch.Generator().manual_seed(4))
    node = cls(**options)
    first = node(x)
    second = node(x * 0.5)
    ((first + second) * up).sum().backward()
    states = [getattr(node, name).detach() for name in node.state_attributes]
    assert x.grad is not None
    grads = [p.grad for p in node.parameters() if p.grad is not None]
    return [first.detach(), second.detach(), *states, x.grad, *grads]


CASES = [
    (LIF, {}),
    (LIF, {"detach_reset": True}),
    (LIF, {"record": ("v",)}),
    (LIF, {"learnable": ("tau",)}),
    (LIF, {"step_mode": "m", "tau": 3, "v_reset": -0.5}),
    (SoftLIF, {"v_threshold": 0.5}),
    (PLIF, {}),
    (Izhikevich, {}),
]


@pytest.fixture
def expected(from_python: None) -> list[list[Tensor]]:
    return [run(cls, (5, 3, 7), **options) for cls, options in CASES]


def test_both_paths_give_the_same(
    expected: list[list[Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    assert native.extension() is not None
    for (cls, options), before in zip(CASES, expected, strict=True):
        found = run(cls, (5, 3, 7), **options)
        assert len(found) == len(before)
        for one, other in zip(found, before, strict=True):
            assert torch.equal(one, other), (cls, options)


def test_the_shortcut_is_taken_and_left(extension: Any) -> None:
    node = LIF()
    x = torch.randn(3, 2, 4)
    node(x)
    shortcut = node.__dict__["_shortcut"]
    node.reset()
    assert shortcut(node.__dict__, (x,)) is not None
    for change in ({"backend": "reference"}, {"record": ("v",)}, {"step_mode": "s"}):
        other = LIF(**change)
        other(x)
        assert other.__dict__["_shortcut"] is None
    for name, value in (("record", ("v",)), ("spikes", "bits"), ("detach_reset", True)):
        node.reset()
        setattr(node, name, value)
        assert shortcut(node.__dict__, (x,)) is None
        setattr(node, name, {"record": (), "spikes": "float32", "detach_reset": False}[name])
    node = LIF()
    node(x)
    node.reset()
    before = node(x)
    node.tau = 5.0
    node.reset()
    assert torch.equal(node(x), LIF(tau=5.0)(x))
    node.tau = torch.nn.Parameter(torch.tensor(2.0))
    node.reset()
    spikes = node(x)
    assert spikes.requires_grad
    assert torch.equal(spikes.detach(), before)


def test_hooks_and_overridden_methods_are_called(extension: Any) -> None:
    x, seen = torch.randn(3, 2, 4), []
    node = LIF()
    node(x)
    handle = node.register_forward_hook(lambda *_: seen.append("hook"))
    node(x)
    handle.remove()
    node.forward = lambda given: seen.append("instance")  # type: ignore[method-assign]
    node(x)
    del node.forward
    watched = torch.nn.modules.module.register_module_forward_hook(lambda *_: seen.append("global"))
    node(x)
    watched.remove()
    node(x)
    assert seen == ["hook", "instance", "global"]

    class Twice(LIF):  # type: ignore[misc, valid-type]
        def forward(self, *inputs: Tensor) -> Any:
            return 2 * super().forward(*inputs)

    for twice in (Twice(), Twice(surrogate="sigmoid(alpha=2.0)")):
        for _ in range(3):
            twice.reset()
            assert torch.equal(twice(x), 2 * LIF()(x))


def test_graphs_outlive_their_module(extension: Any) -> None:
    x = torch.randn(3, 2, 4, requires_grad=True)
    node = LIF()
    node(x)
    node.reset()
    spikes = node(x)
    del node
    gc.collect()
    spikes.sum().backward()
    with pytest.raises(StaleGraphError, match=r"reset\(\)"):
        spikes.sum().backward()


def _held(extension: Any) -> int:
    """What stays in the pool when it has been emptied: free pieces of slabs that others' tensors lie in."""
    gc.collect()
    neurodsl.empty_cache()
    return int(extension.pool_bytes())


def test_slabs_are_cut_and_given_back(extension: Any) -> None:
    before = _held(extension)
    node, x = LIF(), torch.randn(4, 40_000)
    with torch.no_grad():
        held = []
        for _ in range(8):
            node.reset()
            held.append(node(x))
    expected = held[0].clone()
    assert all(torch.equal(spikes, expected) for spikes in held)
    assert len({spikes.data_ptr() for spikes in held}) == 8
    kept = held[3]
    del held
    node.reset()
    neurodsl.empty_cache()
    assert torch.equal(kept, expected)
    assert extension.pool_bytes() > before  # the others of its slab
    del kept
    assert _held(extension) <= before


def test_outputs_of_any_size_stay_apart(extension: Any) -> None:
    """Sizes around those of the pool's pieces: what one output holds, no other writes to."""
    neurodsl.empty_cache()
    sizes = [*range(15_000, 24_000, 617), *range(60_000, 140_000, 7_919), 261_888, 262_144, 262_400]
    held = []
    with torch.no_grad():
        for size in sizes:
            x = torch.randn(1, size)
            node = LIF(backend="fused")
            spikes = node(x)
            held.append((spikes, spikes.clone(), node.v, node.v.clone()))
    for spikes, before, state, state_before in held:
        assert torch.equal(spikes, before)
        assert torch.equal(state, state_before)


def test_errors_are_those_of_the_other_path(extension: Any) -> None:
    node, x = LIF(), torch.randn(3, 2, 4, requires_grad=True)
    node(x).sum().backward()
    again = node(x).sum()
    with pytest.raises(StaleGraphError, match=r"reset\(\)"):
        again.backward()
    node.reset()
    node(x)
    with pytest.raises(ValueError, match=r"call reset\(\)"):
        node(torch.randn(3, 2, 5))
    with pytest.raises(TypeError, match="must be a tensor"):
        node([1.0])
    with pytest.raises(TypeError, match="convert it"):
        node(torch.ones(3, 2, dtype=torch.int64))
    node.reset()
    y = node(x)
    with torch.no_grad():
        x.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_memory_comes_back_and_is_given_back(extension: Any) -> None:
    before = _held(extension)
    x = torch.randn(LARGE)
    node = LIF()
    with torch.no_grad():
        node(x)
        node.reset()
        first = node(x)
    address, values = first.data_ptr(), first.clone()
    view = first[3, 1]
    del first
    with torch.no_grad():
        node.reset()
        other = node(-x)
    assert other.data_ptr() != address  # the view holds it
    assert torch.equal(view, values[3, 1])
    del view
    gc.collect()
    with torch.no_grad():
        node.reset()
        third = node(x)
    assert third.data_ptr() == address
    assert torch.equal(third, values)
    del third, other
    node.reset()
    assert extension.pool_bytes() > before
    assert neurodsl.empty_cache() > 0
    assert extension.pool_bytes() <= before


def test_copies_do_not_share_and_tensors_outlive_the_module(extension: Any) -> None:
    x = torch.randn(LARGE)
    node = LIF()
    with torch.no_grad():
        y = node(x)
    state = node.v
    twin, thawed = copy.deepcopy(node), pickle.loads(pickle.dumps(node))
    assert twin.v.data_ptr() != state.data_ptr()
    assert torch.equal(thawed.v, state)
    buffer = io.BytesIO()
    torch.save(y, buffer)
    expected = y.clone()
    del node, twin, thawed
    gc.collect()
    neurodsl.empty_cache()
    assert torch.equal(y, expected)
    buffer.seek(0)
    assert torch.equal(torch.load(buffer), expected)
    y.resize_(3 * y.numel())
    assert torch.equal(y.view(-1)[: expected.numel()], expected.view(-1))


def test_threads_get_memory_of_their_own(extension: Any) -> None:
    x = torch.randn(LARGE)
    expected = LIF()(x)
    wrong: list[int] = []

    def work(seed: int) -> None:
        node = LIF()
        for _ in range(6):
            node.reset()
            with torch.no_grad():
                if not torch.equal(node(x), expected):
                    wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_has_its_own(extension: Any) -> None:
    x = torch.randn(2, 4, 200_000)
    torch.set_num_threads(1)  # OpenMP's pool does not survive a fork
    try:
        with torch.no_grad():
            expected = LIF()(x).clone()
            child = os.fork()
            if child == 0:
                node = LIF()
                same = torch.equal(node(x), expected)
                os._exit(0 if same and extension.empty_pool() >= 0 else 1)
            assert os.waitpid(child, 0)[1] == 0
            assert torch.equal(LIF()(x), expected)
    finally:
        torch.set_num_threads(2)


def test_the_pool_can_be_turned_off(extension: Any) -> None:
    before = _held(extension)
    try:
        neurodsl.set_pool_limit(0)
        with torch.no_grad():
            LIF()(torch.randn(LARGE))
        assert extension.pool_bytes() <= before
        with pytest.raises(ValueError, match="limit"):
            neurodsl.set_pool_limit(-1)
    finally:
        neurodsl.set_pool_limit(native.DEFAULT_POOL)
