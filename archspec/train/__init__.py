"""Training and the data that it needs."""
