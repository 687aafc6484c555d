"""Language models behind one small seam (`engine`): a local engine and a scripted one.

`open_engine` is how every stage gets a model. The libraries are imported when a local model is opened, not before.
"""

from __future__ import annotations

from charter.core.errors import MissingExtra
from charter.core.recipe import ModelConfig
from charter.models.usage import Metered

__all__ = ["open_engine"]


def open_engine(config: ModelConfig, threads: int | None = None) -> Metered:
    """The engine of a recipe's model; `threads` is for the local engine. Raises InputError where the model cannot be
    loaded and MissingExtra where the libraries are not installed."""
    if config.engine == "scripted":
        from charter.models.scripted import ScriptedEngine

        return ScriptedEngine.from_config(config)
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingExtra("torch" if error.name == "torch" else "transformers", "train") from error
    from charter.models.local import TransformersEngine

    return TransformersEngine(config, threads)
