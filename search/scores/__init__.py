"""Scores: what a network is thought to be worth without training it.

Each score is a pure function of spec, seed, named batch and one rule of initialisation. Scores
that need no module are read off the plan; torch is loaded only for those that build one.
"""

from __future__ import annotations

from search.scores.catalog import DEFAULT, SCORES, Scored, Scorer, find_score

__all__ = ["DEFAULT", "SCORES", "Scored", "Scorer", "find_score"]
