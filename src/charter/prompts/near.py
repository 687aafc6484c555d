"""Texts that say nearly the same: MinHash signatures (datasketch's) in bands, so that each text is compared with the
few that it may be like and not with all."""

from __future__ import annotations

import unicodedata

import numpy as np

from charter.core.errors import MissingExtra

RUN = 5
"""Two texts are compared by their runs of so many characters."""
PERMUTATIONS = 128
BANDS, ROWS = 21, 6
"""Texts that share 70% of their runs fall into one band with a probability of 0.93, those that share 80% of 0.998."""


class NearDuplicates:
    """Texts taken so far. Two texts are near where the Jaccard similarity of their runs of characters is `threshold`
    or more; its estimate has a standard error of 0.04. Case, punctuation and white space do not count. About 5 KB are
    kept of each text. Raises MissingExtra without datasketch."""

    def __init__(self, threshold: float) -> None:
        try:
            from datasketch import MinHash  # late: it takes half a second
        except ImportError as error:
            raise MissingExtra("datasketch", "prompts") from error
        self._threshold, self._empty = threshold, MinHash(PERMUTATIONS, seed=1)
        self._signatures: list[np.ndarray] = []
        self._bands: dict[int, list[int]] = {}

    def add(self, text: str) -> bool:
        """Take a text, unless one that is near it was taken before: then False."""
        sketch = self._empty.copy()
        sketch.update_batch(list(_runs(text)))
        signature: np.ndarray = sketch.hashvalues
        keys = [hash((band, signature[band * ROWS : (band + 1) * ROWS].tobytes())) for band in range(BANDS)]
        candidates = {number for key in keys for number in self._bands.get(key, ())}
        if any(np.mean(self._signatures[number] == signature) >= self._threshold for number in candidates):
            return False
        for key in keys:
            self._bands.setdefault(key, []).append(len(self._signatures))
        self._signatures.append(signature)
        return True


def plain(text: str) -> str:
    """What counts of a text: its letters and digits in lower case, one space between words."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c if c.isalnum() or unicodedata.combining(c) else " " for c in folded).split())


def _runs(text: str) -> set[bytes]:
    words = plain(text)
    return {words[start : start + RUN].encode() for start in range(max(1, len(words) - RUN + 1))}
