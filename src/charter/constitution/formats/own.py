"""Charter's own format, YAML or JSON, which holds everything."""

from __future__ import annotations

import re

from charter.constitution.formats.base import Format, Imported, Rendered, stem
from charter.constitution.formats.given import Given
from charter.constitution.schema import Constitution

_KEY = re.compile(r"(?:^|[{,]\s*)[\"']?(principles|extends)[\"']?\s*:", re.MULTILINE)
_KEYS = {"principles", "extends"}


def _read(given: Given) -> Imported:
    from charter.constitution.load import load

    return Imported(load(given.path))


def _render(constitution: Constitution) -> Rendered:
    from charter.constitution.load import dumps

    return Rendered(
        {f"{stem(constitution.name)}.yaml": dumps(constitution)}, tuple(p.id for p in constitution.principles)
    )


def _detect(given: Given) -> bool:
    if given.is_yaml:
        return bool(_KEY.search(given.text))
    return isinstance(given.glance, dict) and bool(_KEYS & given.glance.keys())


FORMAT = Format(
    name="charter",
    about="Charter's own YAML or JSON, which holds everything",
    detect=_detect,
    read=_read,
    render=_render,
)
