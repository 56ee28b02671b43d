"""From kernel plans to source text: readable Python, C++, CUDA, the manifest."""
