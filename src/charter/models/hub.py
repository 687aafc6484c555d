"""Models of the hub that are to be fine-tuned: a copy of the repository as an ordinary local folder."""

from __future__ import annotations

from pathlib import Path

from charter.core.errors import InputError

FILES = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
"""What a model folder is made of; weights in safetensors alone."""


def snapshot(name: str, revision: str | None = None) -> Path:
    """The folder of the hub's model `name` in the local cache, downloaded if it is not there. Raises InputError where
    it cannot be had."""
    from huggingface_hub import snapshot_download  # late: only where a hub id is named
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"the model '{name}' cannot be had from the hub: {reason}",
            where="models.base",
            cure="name a local model folder, or a hub id (and revision) that can be read",
        ) from error
