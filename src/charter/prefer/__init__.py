"""Feedback by AI (section 4.1 of the paper): pairs of answers, their labels, and the labels' quality."""

from __future__ import annotations

from charter.prefer.labeller import judge, label
from charter.prefer.pairing import pairs

__all__ = ["judge", "label", "pairs"]
