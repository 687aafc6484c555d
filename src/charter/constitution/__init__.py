"""Constitutions: written principles, how they are read, and how they are drawn."""

from __future__ import annotations

from charter.constitution.load import dump, dumps, load
from charter.constitution.sampling import draw
from charter.constitution.schema import Category, ComparisonShot, Constitution, FewShot, Part, Principle, Sampling

__all__ = [
    "Category",
    "ComparisonShot",
    "Constitution",
    "FewShot",
    "Part",
    "Principle",
    "Sampling",
    "draw",
    "dump",
    "dumps",
    "load",
]
