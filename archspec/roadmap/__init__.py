"""Roadmaps: from one network to another by named steps, each costed, each trained if asked."""
