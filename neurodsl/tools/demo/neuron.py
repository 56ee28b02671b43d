"""The neuron that the demo compiles: its text, and the module that comes of it."""

from __future__ import annotations

from types import ModuleType

LIF_TEXT = '''\
neuron LIF:
    """Leaky integrate-and-fire neuron with a hard reset."""

    input  x
    output s

    param tau         = 2.0  in (1, inf)
    param v_threshold = 1.0
    param v_reset     = 0.0

    state v = v_reset

    charge:
        dv/dt = (x - (v - v_reset)) / tau

    fire:
        s = spike(v - v_threshold, atan(alpha=2.0))

    reset:
        v = v_reset if s else v
'''


def load_neuron() -> ModuleType:
    """The compiled module, without files beside a source."""
    import neurodsl

    return neurodsl.load(LIF_TEXT)
