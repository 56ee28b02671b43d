"""One module a command: `run(arguments) -> exit status`."""
