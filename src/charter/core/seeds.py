"""Seeds, derived by name instead of drawn in order.

Every random draw has its own seed, hashed from what it is for: the run's seed, the prompt, the chain, the round, the
step. So a draw does not depend on what ran before it, on batches, or on where a run was interrupted.
"""

from __future__ import annotations

import hashlib
import json


def derive(*parts: int | str) -> int:
    """A seed of 63 bits from `parts`, the same on every machine: `derive(seed, prompt.id, chain, 2, "critique")`."""
    text = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
