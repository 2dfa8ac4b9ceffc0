"""Scaling: one network grown or shrunk by a rule."""

from __future__ import annotations
