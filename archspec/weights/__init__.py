"""Weights: published checkpoints into our names and back, by the layouts of specs/weights."""
