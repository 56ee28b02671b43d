"""Names, inheritance, imports and types: from the syntax tree to the model of a neuron."""
