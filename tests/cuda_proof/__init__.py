"""What nvcc made of the library's kernels is executed, in `ptxsim`, and compared with eager PyTorch."""
