"""Answers, critiques and revisions (sections 3.1 and 3.2 of the paper): one chain, and the stages over all prompts."""

from __future__ import annotations

from charter.revise.chain import revise_chain
from charter.revise.stage import respond, revise

__all__ = ["respond", "revise", "revise_chain"]
