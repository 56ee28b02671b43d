"""No name that a neuron has hides what a module is called by."""

from __future__ import annotations

import copy
import pickle
import re

import pytest
import torch
from neurodsl.csrc_gen.python.names import TAKEN

import neurodsl
from neurodsl.library import find
from neurodsl.loading import class_of


def test_every_attribute_is_taken() -> None:
    node = neurodsl.load("LIF").LIF()
    own = {"v", *(param.python for param in node.definition.params)}
    public = {name for name in {*dir(node), *vars(node)} if not name.startswith("_")}
    assert public - own - TAKEN == {"trace"}


@pytest.mark.parametrize(
    ("word", "backend"),
    [
        *((word, "reference") for word in ("training", "forward", "record", "_buffers", "spikes")),
        ("reset", "fused"),
    ],
)
def test_a_state_of_that_name(word: str, backend: str) -> None:
    found = find("LIF")
    assert found is not None
    node = neurodsl.load(re.sub(r"\bv\b", word, found[1])).LIF(backend=backend, record=[word])
    usual = neurodsl.load("LIF").LIF(backend=backend, record=["v"])
    x = 2 * torch.rand(4, 30, generator=torch.Generator().manual_seed(1))
    for _ in range(3):
        assert torch.equal(node(x), usual(x))
    (attribute,) = node.state_attributes
    assert attribute not in TAKEN
    assert torch.equal(getattr(node, attribute), usual.v)
    assert torch.equal(getattr(node, f"{word}_seq"), usual.v_seq)
    assert torch.equal(getattr(copy.deepcopy(node), attribute), usual.v)
    node.eval()
    assert node.training is False
    node.reset()
    assert getattr(node, attribute) is None
    assert node.record == (word,)


@pytest.mark.parametrize("word", ["spikes", "_parameters", "forward", "channels"])
def test_a_param_of_that_name(word: str) -> None:
    found = find("LIF")
    assert found is not None
    neuron = neurodsl.load(re.sub(r"\btau\b", word, found[1])).LIF
    python = neuron.definition.params[0].python
    node = neuron(**{python: 3.0}, learnable=word, backend="reference")
    x = 2 * torch.rand(4, 30, generator=torch.Generator().manual_seed(1))
    assert torch.equal(node(x), neurodsl.load("LIF").LIF(tau=3.0, backend="reference")(x))
    assert [name for name, _ in node.named_parameters()] == [python]


NEURONS_NAME = re.compile(r"(?<=neuron )LIF\b|(?<=surrogate )atan\b")
"""In the library's text of LIF."""


@pytest.mark.parametrize(
    "word",
    [
        *("_x", "__x", "_", "Neuron", "Definition", "Param", "torch", "step", "manifest_beside"),
        *("class", "None", "super", "fn", "__init__", "__name__"),
    ],
)
def test_a_neuron_of_that_name(word: str) -> None:
    found = find("LIF")
    assert found is not None
    text = NEURONS_NAME.sub(word, found[1])
    module = neurodsl.load(text + "\n\n" + NEURONS_NAME.sub("Other", found[1]))
    x = 2 * torch.rand(4, 30, generator=torch.Generator().manual_seed(1))
    usual = neurodsl.load("LIF").LIF(backend="reference")(x)
    for neuron in (class_of(neurodsl.load(text), word), class_of(module, word), module.Other):
        assert neuron.__name__ in (word, f"{word}_", "Other")
        node = neuron(backend="reference")
        assert torch.equal(node(x), usual)
        assert type(node).__mro__[1].__module__ == "neurodsl.runtime.module"
        assert torch.equal(pickle.loads(pickle.dumps(node))(x), node(x))


def test_names_of_the_module_are_apart() -> None:
    """A computed param and a neuron that would take the names of what the module works out, a surrogate in a class."""
    neurons = """
surrogate __g(u):
    gradient = 1 / (1 + u * u)

surrogate A_initial(u):
    gradient = 1 / (2 + u * u)

neuron {name}:
    input  x
    output s
    param initial = 1.0
    param uniforms = 2 * initial
    state v = 0.5
    charge:
        v = v + x / (uniforms * uniforms)
    fire:
        s = spike(v - initial, {surrogate})
    reset:
        v = v - s
"""
    head, neuron = neurons.split("neuron", 1)
    parts = [("A", "__g()"), ("_A_uniforms", "A_initial()"), ("_A_initial", "__g()")]
    module = neurodsl.load(
        head + "\n".join("neuron" + neuron.format(name=n, surrogate=s) for n, s in parts)
    )
    x = torch.ones(3, 4, requires_grad=True)
    for name, _ in parts:
        node = getattr(module, name)(backend="reference")
        assert node(x).sum(0).tolist() == [1.0] * 4
        node.reset()


"""0.5 + 1/4 a step: a spike in the second."""
