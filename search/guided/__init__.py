"""The default sampler: what it knows of a search under a budget, and how it uses it."""
