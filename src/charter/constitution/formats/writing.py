"""Writing a constitution in a format, and saying what got lost.

What is lost is not declared but found: what was rendered is read back, and compared with what it was made from.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from charter.constitution.formats.base import Exported, Format, Rendered, count, some
from charter.constitution.schema import Constitution, Principle
from charter.core.errors import InputError
from charter.core.files import write_text

MEANING = {"id", "category", "severity", "weight", "critique", "revision", "comparison", "few_shot"}
"""What the hash covers: it matters even where nothing was said and something comes back."""


def write(form: Format, constitution: Constitution, folder: Path, force: bool) -> Exported:
    """Render, find out what is lost, and write."""
    if form.render is None:
        raise InputError(f"the format '{form.name}' can be read but not written", cure="choose another format")
    rendered = form.render(constitution)
    paths = tuple(folder / name for name in rendered.files)
    _refuse_to_overwrite(folder, paths, force)
    lost = tuple(_lost(form, constitution, rendered))
    for path, text in zip(paths, rendered.files.values(), strict=True):
        write_text(path, text)
    return Exported(paths, lost)


def _refuse_to_overwrite(folder: Path, paths: tuple[Path, ...], force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError("this is a file, not a folder", where=folder, cure="name a folder to write into")
    for path in paths:
        if path.is_dir():
            raise InputError("there is a folder of this name", where=path, cure="name another folder to write into")
        if path.exists() and not force:
            cure = "name another folder, or say --force to overwrite it"
            raise InputError("the file is there already", where=path, cure=cure)


def _lost(form: Format, before: Constitution, rendered: Rendered) -> Iterator[str]:
    after = _read_back(form, rendered)
    if len(after.principles) != len(rendered.order):
        what = f"in the format '{form.name}' these principles cannot be told apart again"
        raise InputError(what, cure="choose another format; `charter` holds everything")
    yield from rendered.left_out
    yield from _of_principles(before, after, rendered.order)
    for field in type(before).model_fields:
        if field != "principles" and _is_lost(before, after, field):
            yield f"`{field}`{_becomes(getattr(before, field), getattr(after, field), _is_default(after, field))}"


def _is_lost(before: Constitution, after: Constitution, field: str) -> bool:
    was, now = getattr(before, field), getattr(after, field)
    matters = field in {"categories", "few_shot", "sampling"} or not _is_default(before, field)
    return matters and was != now and not _same_meaning(field, was, now)


def _becomes(was: Any, now: Any, nothing: bool) -> str:
    """What happens to a value, in words."""
    if _short(was) and _short(now):
        return f": {_short(was)} becomes {_short(now)}"
    return " has no place" if nothing else " comes back changed"


def _read_back(form: Format, rendered: Rendered) -> Constitution:
    with TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in rendered.files.items():
            (folder / file).write_text(text, encoding="utf-8")
        files = list(rendered.files)
        return form.import_(folder / files[0] if len(files) == 1 else folder).constitution


def _of_principles(before: Constitution, after: Constitution, order: tuple[str, ...]) -> Iterator[str]:
    returned: dict[str, list[Principle]] = {}
    for id, principle in zip(order, after.principles, strict=True):  # noqa: A001
        returned.setdefault(id, []).append(principle)
    split = [id for id, parts in returned.items() if len(parts) > 1]  # noqa: A001
    if split:
        yield f"{count(len(split), 'principle')} in two parts: the format keeps comparisons apart ({some(split)})"
    for field in Principle.model_fields:
        changed = [
            (p, _together(returned[p.id], field))
            for p in before.principles
            if p.id in returned and _differs(p, returned[p.id], field)
        ]
        if changed:
            first, now = changed[0]
            was = _short(getattr(first, field))
            nothing = now == Principle.model_fields[field].default and not _short(now)
            becomes = "" if nothing else f" becomes {_short(now)}" if _short(now) else " comes back changed"
            example = f" ({first.id}: {was}{becomes})" if was or becomes else f" ({first.id})"
            yield f"`{field}` of {count(len(changed), 'principle')}{' has no place' if nothing else ''}{example}"


def _differs(principle: Principle, parts: list[Principle], field: str) -> bool:
    if field not in MEANING and _is_default(principle, field):
        return False
    return bool(getattr(principle, field) != _together(parts, field))


def _together(parts: list[Principle], field: str) -> Any:
    """A field of a principle that came back in parts: of the first that says something."""
    said = [part for part in parts if not _is_default(part, field)]
    return getattr((said or parts)[0], field)


def _is_default(thing: Constitution | Principle, field: str) -> bool:
    return bool(getattr(thing, field) == type(thing).model_fields[field].default)


def _same_meaning(field: str, was: Any, now: Any) -> bool:
    """Categories whose titles alone differ, where the one has none."""
    if field != "categories":
        return False
    return [(c.id, c.tier, c.weight) for c in was] == [(c.id, c.tier, c.weight) for c in now] and all(
        old.title in (None, new.title) for old, new in zip(was, now, strict=True)
    )


def _short(value: Any) -> str:
    """A value in a few words; nothing for one that says nothing or too much."""
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "...")
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, tuple) and value and all(isinstance(item, str) for item in value):
        return _short(", ".join(value))
    return ""
