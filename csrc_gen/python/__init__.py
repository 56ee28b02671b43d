"""The Python back end: a readable PyTorch reference and a module class for each neuron."""

from __future__ import annotations

from neurodsl.csrc_gen.python.unit import PythonBackend

__all__ = ["PythonBackend"]
