"""Networks and recipes compared, over seeds: a text of arms, its runs, its tables."""
