"""Evaluation on held-out prompts: what the models and their labels are worth (paper, section 5)."""
