"""The version of the compiler: part of every fingerprint."""

__version__ = "0.1.0"
