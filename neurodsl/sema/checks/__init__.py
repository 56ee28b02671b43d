"""What is checked about a whole: one check, one function. They report and return nothing."""
