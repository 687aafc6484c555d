"""The part of a recipe's model that says how to reach the endpoint, checked; and the key, which nothing ever shows."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from charter.core.errors import InputError
from charter.core.recipe import ModelConfig

_PATHS = ("/chat/completions", "/completions", "/models")


class Key:
    """An API key from the environment. Its text is in the headers of requests and nowhere else."""

    def __init__(self, variable: str) -> None:
        """Read it. Raises InputError where no header could hold it."""
        self.variable = variable
        self._text = os.environ.get(variable, "").strip()
        if not (self._text.isascii() and self._text.isprintable()):
            raise InputError(
                "the API key holds characters that a key cannot hold",
                where=f"environment variable {variable}",
                cure="set it again, without quotes and line breaks",
            )

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return f"Key({self.variable!r}, {'set' if self else 'not set'})"

    def headers(self) -> dict[str, str]:
        """The header that proves who asks."""
        return {"Authorization": f"Bearer {self._text}"} if self else {}

    def hide(self, text: str) -> str:
        """The text without the key: endpoints may quote it in their errors."""
        return text.replace(self._text, "[key]") if self else text


def model_name(config: ModelConfig) -> str:
    """The model to ask for. Raises InputError where none is named."""
    if not config.model:
        raise InputError("a model of the engine openai needs `model`", cure="name the model as its endpoint lists it")
    return config.model


def base_urls(config: ModelConfig) -> tuple[str, ...]:
    """The endpoints. Raises InputError where there is none, or one is not a plain http(s) address."""
    given = (config.base_url,) if isinstance(config.base_url, str) else config.base_url
    if not given:
        cure = "for example base_url: http://localhost:8000/v1"
        raise InputError("a model of the engine openai needs `base_url`", where=config.model, cure=cure)
    return tuple(dict.fromkeys(_base_url(url) for url in given))


def _base_url(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        plain = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or True)
    except ValueError:
        plain = False
    if plain and "@" in parts.netloc:
        raise InputError(
            f"`base_url` holds a user name or a password: {parts.scheme}://...@{parts.hostname}",
            cure="leave them out; a key comes from the environment (api_key_env)",
        )
    if not plain or parts.query or parts.fragment:
        cure = "write http://HOST:PORT/v1 or https://HOST/v1, without a query"
        raise InputError(f"`base_url` is not the address of an endpoint: {url.partition('?')[0]}", cure=cure)
    found = parts.geturl().rstrip("/")
    for path in _PATHS:
        found = found.removesuffix(path)
    return found
