"""Reinforcement learning against the preference model (section 4.2)."""
