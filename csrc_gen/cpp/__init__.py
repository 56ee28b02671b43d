"""The C++ back end."""
