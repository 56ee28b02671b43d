"""The codes of diagnostics."""
