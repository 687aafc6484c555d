"""Prompts and comparisons: files, formats, and a report of what was odd in them; prompts that a model writes."""

from __future__ import annotations

from charter.prompts.report import PromptReport
from charter.prompts.sources import (
    check_prompts,
    iterate_prompts,
    load_comparisons,
    load_prompts,
    read_comparisons,
    read_prompts,
)

__all__ = [
    "PromptReport",
    "check_prompts",
    "iterate_prompts",
    "load_comparisons",
    "load_prompts",
    "read_comparisons",
    "read_prompts",
]
