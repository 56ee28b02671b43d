"""The roofline estimate: what the machine code of a kernel would reach on a GPU that is not at hand."""
