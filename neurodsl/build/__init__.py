"""Toolchain discovery and the cache of what was built."""
