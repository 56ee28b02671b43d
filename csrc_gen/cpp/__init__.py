"""The C++ back end: `.cpp` with a C interface, and the header that declares it."""

from __future__ import annotations

from neurodsl.csrc_gen.cpp.unit import CppBackend

__all__ = ["CppBackend"]
