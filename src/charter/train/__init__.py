"""Training: supervised fine-tuning, the preference model, and reinforcement learning (sections 3.2, 4.1 and 4.2).

The loops stand in `sl`, `preference_model` and `rl/ppo`; what they share are leaves: `losses`, `scoring`, `common`.
"""
