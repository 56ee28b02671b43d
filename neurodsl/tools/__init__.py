"""What the command line does beyond compiling."""
