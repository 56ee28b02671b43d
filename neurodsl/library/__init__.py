"""The library's neurons and surrogates, written in the language itself."""
