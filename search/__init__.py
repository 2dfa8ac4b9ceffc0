"""Which network to choose under a budget."""
