"""Show what a search found: run folder -> frame -> infos -> figures -> one HTML page (no torch)."""
