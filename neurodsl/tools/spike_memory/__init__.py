"""What training keeps, and how much memory a step takes: two networks, with spikes as floats and as bits."""
