"""Neurons and surrogates written in the language itself; the neurons as ready-made classes.

    from neurodsl.library import LIF

A class is compiled when it is asked for first, and cached.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

_NEURONS = {
    "IF": "if_",
    "SoftIF": "softif",
    "HalfThresholdIF": "halfthresholdif",
    "ActivationAwareIF": "activationawareif",
    "TernaryIF": "ternaryif",
    "SoftTernaryIF": "softternaryif",
    "STBIF": "stbif",
    "LIF": "lif",
    "SoftLIF": "softlif",
    "PLIF": "plif",
    "SoftPLIF": "softplif",
    "KLIF": "klif",
    "SoftKLIF": "softklif",
    "CLIF": "clif",
    "CUBALIF": "cubalif",
    "SoftCUBALIF": "softcubalif",
    "LIAF": "liaf",
    "SoftLIAF": "softliaf",
    "ILIF": "ilif",
    "GatedLIF": "gatedlif",
    "TernaryLIF": "ternarylif",
    "SoftTernaryLIF": "softternarylif",
    "OTTTLIF": "otttlif",
    "SLTTLIF": "slttlif",
    "RefractoryLIF": "refractorylif",
    "QIF": "qif",
    "SoftQIF": "softqif",
    "EIF": "eif",
    "SoftEIF": "softeif",
    "Izhikevich": "izhikevich",
    "SoftIzhikevich": "softizhikevich",
    "RAF": "raf",
    "SoftRAF": "softraf",
    "Leaky": "leaky",
    "Synaptic": "synaptic",
    "Alpha": "alpha",
    "Lapicque": "lapicque",
    "LSNN": "lsnn",
    "ALIF": "alif",
    "FusedLIF": "fusedlif",
    "LISNNLIF": "lisnnlif",
    "LISNN": "lisnn",
    "ConductanceLIF": "conductancelif",
    "AdEx": "adex",
    "IzhikevichClassic": "izhikevichclassic",
    "FitzHughNagumo": "fitzhughnagumo",
    "HodgkinHuxley": "hodgkinhuxley",
    "LI": "li",
    "CubaLI": "cubali",
    "ExpLeak": "expleak",
}
"""Each neuron and the stem of its text."""


def names() -> tuple[str, ...]:
    """The neurons, from the simplest on."""
    return tuple(_NEURONS)


def find(name: str) -> tuple[str, str] | None:
    """The name of a neuron's text, and the text; None if there is none. The neuron's name may be in any case."""
    by_lower = {known.lower(): stem for known, stem in _NEURONS.items()}
    stem = by_lower.get(name.lower())
    return None if stem is None else (f"<library>/{name.lower()}.neuron", _text(stem))


def sources() -> dict[str, str]:
    """Every text of the library by its name."""
    texts = [found for found in map(find, names()) if found is not None]
    return dict([*texts, surrogates_source()])


def surrogates_source() -> tuple[str, str]:
    """The name and text of the surrogates."""
    return "<library>/surrogates.neuron", _text("surrogates")


@cache
def _text(stem: str) -> str:
    file = resources.files("neurodsl.library").joinpath(f"{stem}.neuron")
    return file.read_text(encoding="utf-8")


def __getattr__(name: str) -> Any:
    if name not in _NEURONS:
        raise AttributeError(f"the library has no neuron {name!r}")
    from neurodsl.loading import load

    return getattr(load(name), name)


def __dir__() -> list[str]:
    return [*_NEURONS, "find", "names", "sources", "surrogates_source"]
