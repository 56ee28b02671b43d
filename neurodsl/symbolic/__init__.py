"""Symbolic derivatives of expressions, by SymPy."""
