"""`python -m neurodsl.tools.growth`: how time and memory grow with time steps and with neurons."""
