"""What a generated module imports: the base module, its states, and the kernels' call paths."""
