"""The readable Python back end."""
