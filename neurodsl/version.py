"""The version of the compiler: part of every fingerprint."""

__version__ = "0.1.0"

REPORT_TO = "the project's issue tracker"
"""Where faults of ours are reported."""
