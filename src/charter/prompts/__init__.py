"""Prompts and comparisons: files, formats, and a report of what was odd in them."""

from __future__ import annotations

from charter.prompts.report import PromptReport
from charter.prompts.sources import load_comparisons, load_prompts, read_comparisons, read_prompts

__all__ = ["PromptReport", "load_comparisons", "load_prompts", "read_comparisons", "read_prompts"]
