"""What is said to users about their programs: data, the catalogue of codes, and the ways to show it."""

from neurodsl.diagnostics.diagnostic import CompileError, Diagnostic, Label, Report, Severity
from neurodsl.diagnostics.span import NOWHERE, Span

__all__ = [
    "NOWHERE",
    "CompileError",
    "Diagnostic",
    "Label",
    "Report",
    "Severity",
    "Span",
]
