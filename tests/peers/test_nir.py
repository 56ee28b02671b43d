"""NIR: every primitive there and back, networks, what is refused, and graphs that other frameworks export."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import neurodsl
from neurodsl import library

X = torch.randn(20, 3, 4, generator=torch.Generator().manual_seed(0)) + 0.5


def full(value: float, shape: tuple[int, ...] = (4,)) -> Any:
    return np.full(shape, value)


NODES = {
    "I": nir.I(r=full(0.7)),
    "IF": nir.IF(r=full(0.7), v_threshold=full(1.2), v_reset=full(0.1)),
    "LI": nir.LI(tau=full(5.0), r=full(2.0), v_leak=full(0.2)),
    "LIF": nir.LIF(
        tau=full(5.0), r=full(4.0), v_leak=full(0.2), v_threshold=full(1.0), v_reset=full(-0.1)
    ),
    "CubaLI": nir.CubaLI(
        tau_syn=full(3.0), tau_mem=full(6.0), r=full(2.0), v_leak=full(0.1), w_in=full(1.5)
    ),
    "CubaLIF": nir.CubaLIF(
        tau_syn=full(3.0),
        tau_mem=full(6.0),
        r=full(2.0),
        v_leak=full(0.1),
        v_threshold=full(0.8),
        v_reset=full(0.0),
        w_in=full(1.5),
    ),
    "Threshold": nir.Threshold(threshold=full(0.6)),
}


def fields(node: Any) -> dict[str, Any]:
    names = [n for n in vars(node) if n not in ("input_type", "output_type", "metadata")]
    return {name: np.asarray(getattr(node, name), dtype=float) for name in names}


@pytest.mark.parametrize("dt", [1.0, 0.25])
@pytest.mark.parametrize("solver", ["euler", "exact"])
@pytest.mark.parametrize("kind", NODES)
def test_there_and_back(kind: str, solver: str, dt: float) -> None:
    """The parameters that come out are those that went in."""
    module = neurodsl.from_nir(NODES[kind], dt=dt, solver=solver)
    assert module(X).shape == X.shape
    back = neurodsl.to_nir(module)
    assert type(back).__name__ == kind
    for name, value in fields(NODES[kind]).items():
        np.testing.assert_allclose(
            np.broadcast_to(fields(back)[name], value.shape), value, rtol=1e-9, err_msg=name
        )


@pytest.mark.parametrize("solver", ["euler", "exact"])
def test_a_value_for_each_neuron(solver: str) -> None:
    node = nir.LIF(
        tau=np.linspace(2, 8, 4),
        r=np.linspace(1, 3, 4),
        v_leak=full(0.0),
        v_threshold=np.linspace(0.5, 1.0, 4),
        v_reset=full(0.0),
    )
    module = neurodsl.from_nir(node, solver=solver)
    whole = module(X)
    for k in range(4):
        parts = {n: float(v[k]) for n, v in fields(node).items()}
        one = nir.LIF(**{n: np.array([v]) for n, v in parts.items()})
        assert torch.equal(neurodsl.from_nir(one, solver=solver)(X[..., k]), whole[..., k])
    back = neurodsl.to_nir(module)
    for name, value in fields(node).items():
        np.testing.assert_allclose(
            np.broadcast_to(fields(back)[name], value.shape), value, rtol=2e-6, atol=1e-9
        )


@pytest.mark.parametrize(
    ("make", "kind", "expected"),
    [
        (
            lambda: library.LIF(tau=3.0),
            "LIF",
            {"tau": 3.0, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0},
        ),
        (lambda: library.LIF(tau=4.0, decay_input=False), "LIF", {"tau": 4.0, "r": 4.0}),
        (lambda: library.LIF(tau=4.0, v_reset=0.2), "LIF", {"v_leak": 0.2, "v_reset": 0.2}),
        (lambda: library.PLIF(init_tau=4.0), "LIF", {"tau": 4.0}),
        (lambda: library.IF(v_threshold=0.7), "IF", {"r": 1.0, "v_threshold": 0.7}),
        (lambda: library.LI(tau=5.0), "LI", {"tau": 5.0, "r": 1.0}),
        (lambda: library.ExpLeak(tau_mem=10.0), "LI", {"tau": 1 / (1 - np.exp(-0.1))}),
        (
            lambda: library.CubaLI(),
            "CubaLI",
            {"tau_mem": 10.0, "tau_syn": 5.0, "r": 1.0, "w_in": 1.0},
        ),
        (
            lambda: library.CUBALIF(),
            "CubaLIF",
            {"tau_syn": 2.0, "tau_mem": 4.0, "v_threshold": 0.5},
        ),
    ],
)
def test_the_library_is_matched_by_its_equations(
    make: Any, kind: str, expected: dict[str, float]
) -> None:
    node = neurodsl.to_nir(make())
    assert type(node).__name__ == kind
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(node, name), value, rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    ("neuron", "words"),
    [
        ("SoftLIF", "soft reset"),
        ("QIF", "the charge of v is not linear|not linear"),
        ("Izhikevich", "the reset of w"),
        ("ILIF", "several levels"),
        ("TernaryIF", "more than one spike"),
        ("LISNNLIF", "the reset of s_last"),
        ("ConductanceLIF", "it has the inputs x_exc, x_inh"),
        ("OTTTLIF", "it has the outputs s, trace"),
        ("RefractoryLIF", "NIR"),
        ("STBIF", "NIR"),
    ],
)
def test_what_does_not_match_is_refused_with_the_reason(neuron: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        neurodsl.to_nir(getattr(library, neuron)())
    assert neuron in str(caught.value)


def test_a_network_there_and_back(tmp_path: Any) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(4, 8), library.LIF(tau=2.0), nn.Linear(8, 2), library.LI(tau=3.0)
    )
    graph = neurodsl.to_nir(network, input_shape=(4,))
    nir.write(tmp_path / "net.nir", graph)
    again = neurodsl.from_nir(nir.read(tmp_path / "net.nir"))
    torch.testing.assert_close(again(X), network(X), rtol=1e-5, atol=1e-6)
    again.reset()
    for module in network:
        if hasattr(module, "reset"):
            module.reset()
    third = neurodsl.from_nir(neurodsl.to_nir(again))
    torch.testing.assert_close(third(X), network(X), rtol=1e-5, atol=1e-6)


def test_convolutions() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        library.IF(),
        nn.AvgPool2d(2),
        nn.Flatten(2),
        nn.Linear(12, 2),
    )
    graph = neurodsl.to_nir(layers, input_shape=(1, 4, 4))
    network = neurodsl.from_nir(graph)
    x = torch.randn(5, 2, 1, 4, 4)
    y = layers[0](x.flatten(0, 1)).unflatten(0, (5, 2))
    y = layers[2](layers[1](y).flatten(0, 1)).unflatten(0, (5, 2))
    torch.testing.assert_close(network(x), layers[4](y.flatten(2)), rtol=1e-5, atol=1e-6)


def test_a_loop_is_refused() -> None:
    graph = nir.NIRGraph(
        {
            "i": nir.Input(np.array([4])),
            "n": NODES["LIF"],
            "w": nir.Linear(np.eye(4)),
            "o": nir.Output(np.array([4])),
        },
        [("i", "n"), ("n", "w"), ("w", "n"), ("n", "o")],
    )
    with pytest.raises(ValueError, match="n, w, o are in a loop"):
        neurodsl.from_nir(graph)
    with pytest.raises(ValueError, match="a node Delay cannot be run here"):
        neurodsl.from_nir(nir.Delay(np.array([1.0])))


def test_exact_needs_one_value_where_two_states_are_coupled() -> None:
    node = nir.CubaLI(
        tau_syn=np.linspace(2, 4, 4), tau_mem=full(6.0), r=full(1.0), v_leak=full(0.0)
    )
    assert neurodsl.from_nir(node)(X).shape == X.shape
    with pytest.raises(ValueError, match="use 'euler'"):
        neurodsl.from_nir(node, solver="exact")


def test_a_graph_of_sinabs() -> None:
    """What sinabs exports runs here; its decay is the exact solution, its time constants are in steps."""
    import sinabs.layers as layers
    from sinabs.activation import MembraneReset, SingleSpike
    from sinabs.nir import to_nir

    torch.manual_seed(1)
    lif = layers.LIF(tau_mem=10.0, spike_fn=SingleSpike, reset_fn=MembraneReset(), norm_input=True)
    theirs = nn.Sequential(nn.Linear(4, 6), lif)
    x = X.transpose(0, 1) * 12
    graph = to_nir(theirs, x[:1])
    lif.reset_states()
    with torch.no_grad():
        expected = theirs(x).transpose(0, 1)
    ours = neurodsl.from_nir(graph, solver="exact")
    found = ours(X * 12)
    assert 0.05 < float(expected.mean()) < 0.9
    assert torch.equal(found, expected)


def test_a_graph_of_snntorch() -> None:
    """What snnTorch exports runs here, and its spikes are theirs."""
    import snntorch
    from snntorch.export_nir import export_to_nir

    torch.manual_seed(1)
    leaky = snntorch.Leaky(
        beta=torch.full((6,), 0.9),
        threshold=torch.full((6,), 1.0),
        reset_mechanism="zero",
        init_hidden=True,
        reset_delay=False,
    )
    theirs = nn.Sequential(nn.Linear(4, 6), leaky)
    graph = export_to_nir(theirs, torch.ones(4))
    ours = neurodsl.from_nir(graph, dt=1e-4)
    x: Tensor = X * 2
    with torch.no_grad():
        expected = torch.stack([theirs(row) for row in x])
    found = ours(x)
    assert 0.05 < float(expected.mean()) < 0.9
    assert torch.equal(found, expected)
