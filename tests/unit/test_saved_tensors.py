"""Saved tensors of every kind under compress_spikes: what PyTorch would do without it, in fewer bytes."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from neurodsl import compress_spikes
from neurodsl.library import LIF
from neurodsl.memory import bits as bits_module
from neurodsl.memory import compress
from neurodsl.memory.compress import Packed, Packer, Unpacked


def spikes_of(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=generator) < 0.3).float()


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "transposed": lambda x: x.transpose(0, 2),
    "channels_last": lambda x: x.to(memory_format=torch.channels_last),
    "a part": lambda x: x[1:, :, 3:],
    "expanded": lambda x: x[:, :1].expand(-1, 6, -1, -1),
    "every other": lambda x: x[:, :, ::2],
    "every tenth, given up": lambda x: x.reshape(-1)[::10],
    "overlapping": lambda x: x.as_strided((70, 64), (17, 1), 3),
    "one element": lambda x: x.flatten()[:1].expand(5000),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_come_back_with_their_strides(name: str) -> None:
    view = VIEWS[name](spikes_of(4, 8, 16, 16))
    packer = Packer()
    kept = packer.pack(view)
    assert isinstance(kept, Unpacked) == (name in ("every tenth, given up", "one element"))
    back = packer.unpack(kept)
    assert torch.equal(back, view)
    assert back.stride() == view.stride()


CONSUMERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "linear": lambda s, w: F.linear(s.flatten(2), w[:16].reshape(1, 1024).repeat(3, 1)[:, :1024]),
    "conv1d": lambda s, w: F.conv1d(s.flatten(2), w[:9].reshape(3, 6, -1)[..., :5]),
    "conv2d": lambda s, w: F.conv2d(s, w[:9, :18].reshape(9, 6, 3, 1)),
    "conv2d, channels_last": lambda s, w: F.conv2d(
        s.to(memory_format=torch.channels_last), w[:9, :18].reshape(9, 6, 3, 1)
    ),
    "unfold": lambda s, w: F.unfold(s, 3).transpose(1, 2) @ w[:54],
    "max_pool": lambda s, w: F.max_pool2d(s, 2) * w.mean(),
    "avg_pool": lambda s, w: F.avg_pool2d(s, 3, 1) * w.mean(),
    "batch_norm": lambda s, w: F.batch_norm(s, None, None, w[0, :6], w[1, :6], training=True),
    "layer_norm": lambda s, w: F.layer_norm(s, (32,), w[0, :32], w[1, :32]),
    "matmul with itself": lambda s, w: s @ s.transpose(-1, -2) * w.mean(),
    "product": lambda s, w: s * w[0, :32] + s * w[1, :32],
    "gather": lambda s, w: s.gather(0, torch.zeros(1, 6, 32, 32, dtype=torch.long)) * w.mean(),
    "neuron": lambda s, w: LIF()(s * 3) * LIF()(s) * w.mean(),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", CONSUMERS)
def test_every_consumer_has_the_same_gradients(name: str, dtype: torch.dtype) -> None:
    x, w = spikes_of(4, 6, 32, 32).to(dtype), torch.randn(64, 64).to(dtype)

    def run(block: Any) -> tuple[Tensor, ...]:
        s, weight = x.clone().requires_grad_(), w.clone().requires_grad_()
        with block:
            y = CONSUMERS[name](s * 1, weight)
        return torch.autograd.grad(y.float().square().sum(), (s, weight))

    for one, other in zip(run(torch.enable_grad()), run(compress_spikes()), strict=True):
        assert torch.equal(one, other)


def test_floats_are_freed_while_bits_are_kept() -> None:
    x = torch.randn(64, 2048, requires_grad=True)
    weight = torch.randn(8, 2048, requires_grad=True)
    for block, alive in ((torch.enable_grad(), True), (compress_spikes(), False)):
        with block:
            s = (x > 0).float()
            y = F.linear(s, weight)
        floats = weakref.ref(s.untyped_storage())
        del s
        gc.collect()
        assert (floats() is not None) == alive
        y.sum().backward()


def test_floats_are_made_once_while_alive_and_again_when_gone(monkeypatch: Any) -> None:
    made = []

    def counting(*args: Any) -> Tensor:
        made.append(args)
        return bits_module.unpack_bits(*args)

    monkeypatch.setattr(compress, "unpack_bits", counting)
    packer, x = Packer(), spikes_of(64, 64)
    kept = packer.pack(x), packer.pack(x.t()), packer.pack(x.flatten())
    first = packer.unpack(
        kept[0]
    ).detach()  # what autograd hands on is another tensor of the storage
    assert packer.unpack(kept[1]).data_ptr() == first.data_ptr()
    assert len(made) == 1
    del first
    assert torch.equal(packer.unpack(kept[2]), x.flatten())
    assert len(made) == 2


@pytest.mark.parametrize("block", [torch.enable_grad, compress_spikes])
def test_writing_to_what_is_kept_is_an_error(block: Callable[[], Any]) -> None:
    x = torch.randn(64, 64, requires_grad=True)
    with block():
        y = x.exp()
        z = (y * y).sum()
    with torch.no_grad():
        y.add_(1)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation.*is at version 1"):
        z.backward()


def test_writing_to_spikes_that_were_kept_as_bits_changes_nothing() -> None:
    s, weight = spikes_of(64, 64), torch.randn(64, 64, requires_grad=True)
    before = s.clone()
    with compress_spikes():
        y = F.linear(s, weight)
        s.zero_()
        z = F.linear(s, weight)
        s.copy_(1 - before)
        u = F.linear(s, weight)
    for result, kept in ((y, before), (z, before * 0), (u, 1 - before)):
        (found,) = torch.autograd.grad(result.sum(), weight)
        assert torch.equal(found, torch.autograd.grad(F.linear(kept, weight).sum(), weight)[0])


def test_what_no_version_tells_is_seen() -> None:
    s, packer = spikes_of(64, 64), Packer()
    first = packer.pack(s)
    before, version = s.clone(), s._version
    s.numpy()[:] = 0
    assert s._version == version
    second = packer.pack(s)
    assert torch.equal(packer.unpack(first), before)
    assert torch.equal(packer.unpack(second), s)


def test_batch_norm_may_run_twice_before_backward() -> None:
    norm, x = nn.BatchNorm1d(64), torch.randn(32, 64, requires_grad=True)
    with compress_spikes():
        y = norm(x).sum() + norm(x * 2).square().sum()
    y.backward()


@pytest.mark.parametrize("inside", [True, False])
def test_backward_twice(inside: bool) -> None:
    x, weight = spikes_of(64, 64), torch.randn(8, 64, requires_grad=True)
    with compress_spikes():
        y = F.linear(x, weight).square().sum()
        if inside:
            y.backward(retain_graph=True)
    if not inside:
        y.backward(retain_graph=True)
    first = weight.grad.clone()
    y.backward()
    assert torch.equal(weight.grad, 2 * first)


def test_double_backward_goes_through_bits() -> None:
    x = spikes_of(64, 64).requires_grad_()
    weight = torch.randn(64, 64, requires_grad=True)

    def run(block: Any) -> tuple[Tensor, ...]:
        with block:
            y = (x @ weight).square().sum()
            (g,) = torch.autograd.grad(y, x, create_graph=True)
        return torch.autograd.grad(g.square().sum(), (x, weight))

    for one, other in zip(run(torch.enable_grad()), run(compress_spikes()), strict=True):
        assert torch.equal(one, other)


def test_an_error_ends_the_block() -> None:
    block = compress_spikes()
    with pytest.raises(KeyError), block:
        raise KeyError
    assert not is_compressing()
    with block, block:
        assert is_compressing()
        with compress_spikes():
            assert is_compressing()
        assert is_compressing()
    assert not is_compressing()


def is_compressing() -> bool:
    s = spikes_of(2048).requires_grad_()
    y = s * torch.ones(2048, requires_grad=True)
    del s
    held = y.grad_fn._raw_saved_self  # type: ignore[union-attr]
    try:
        held.register_hooks(lambda t: t, lambda t: t)
    except RuntimeError:  # it has hooks already
        return True
    return False


def test_threads_do_not_disturb_each_other() -> None:
    block = compress_spikes()
    weight = torch.randn(16, 64)
    errors: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            s, w = spikes_of(64, 64, seed=seed), weight.clone().requires_grad_()
            for _ in range(30):
                with block:
                    y = F.linear(s, w).square().sum()
                (found,) = torch.autograd.grad(y, w)
                (expected,) = torch.autograd.grad(F.linear(s, w).square().sum(), w)
                assert torch.equal(found, expected)
            assert not is_compressing()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert not is_compressing()


def test_a_block_of_what_is_no_module_says_so() -> None:
    with pytest.raises(TypeError, match="takes a module"):
        compress_spikes(torch.zeros(3))  # type: ignore[arg-type]


def test_other_dtypes_and_small_tensors_are_kept_as_they_are() -> None:
    for x in (
        torch.zeros(4096, dtype=torch.long),
        torch.zeros(4096, dtype=torch.complex64),
        torch.zeros(compress.SMALLEST - 1),
        torch.zeros(64, 64).to_sparse(),
        torch.zeros(0),
    ):
        assert isinstance(Packer().pack(x), Unpacked)
    kept = Packer().pack(torch.zeros(compress.SMALLEST))
    assert isinstance(kept, Packed)
    assert kept.bits.bits.numel() == compress.SMALLEST // 8
