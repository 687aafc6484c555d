"""Constitutions made of others: what a file says, together with what it extends, as one constitution.

- Principles are those of the extended constitutions, in the order in which these are named, changed by `overrides`,
  then the file's own. `remove` leaves inherited ones out; a removed id is free for a principle of one's own.
- An override replaces the fields that it has; null puts a field back to what it is where nobody writes it.
- The same id from two constitutions is one principle where both say the same, and a clash where they differ. An
  override that has every field in which they differ settles it, and so does removing it.
- A category of the file stands for inherited ones of the same id. The file's own come first.
- Examples are the inherited ones, then the file's own. The sampling is the file's, or else that of the first extended
  constitution that writes one. The name, the version and the like are the file's own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, Protocol, TypeVar

from charter.constitution.schema import Category, Constitution, Document, FewShot, Override, Principle
from charter.core.errors import InputError, Place
from charter.core.trees import Keys
from charter.core.validation import did_you_mean, dotted, parse
from charter.core.yaml import Locate

_MERGED = ("categories", "principles", "few_shot", "sampling")
_OWN = frozenset(Constitution.model_fields).difference(_MERGED)


@dataclass(frozen=True, slots=True)
class Source:
    """A constitution and where its text stands."""

    constitution: Constitution
    name: str
    """As the user wrote it: a path, or `library:NAME`."""
    place: Locate
    """Where a field of the constitution stands, such as `("principles", 3, "comparison")`: maybe in an extended file.
    None where places are unknown."""
    document: Document | None = None
    """What the file itself says; None for what is no file of ours."""


class _Named(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T")
N = TypeVar("N", bound=_Named)


@dataclass(frozen=True, slots=True)
class _Placed(Generic[T]):
    """A part of a constitution, and where its fields stand."""

    value: T
    file: str
    within: Locate
    at: Keys = ()

    def place(self, keys: Keys) -> Place | None:
        """Where one of its fields stands."""
        return self.within((*self.at, *keys))

    def where(self, *keys: str | int) -> Place | str:
        """The same, or the file where places are unknown."""
        return self.place(keys) or self.file


def resolve(document: Document, name: str, locate: Locate, extended: Sequence[Source] = ()) -> Source:
    """The constitution that a file and what it extends make together. `locate` says where the file's fields stand.
    Raises InputError for clashes, unknown ids, and a result that is not valid."""
    own = {field: getattr(document, field) for field in document.model_fields_set & _OWN}
    lists: dict[Keys, Sequence[_Placed[Any]]] = {
        ("categories",): _categories(document, name, locate, extended),
        ("principles",): _principles(document, name, locate, extended),
        **{("few_shot", kind): _shots(kind, document, name, locate, extended) for kind in FewShot.model_fields},
    }
    values = {keys: tuple(part.value for part in parts) for keys, parts in lists.items()}
    merged: dict[str, Any] = {keys[0]: value for keys, value in values.items() if not keys[1:]}  # type: ignore[misc]
    merged["few_shot"] = {keys[1]: value for keys, value in values.items() if keys[1:]}
    sampling = _sampling(document, name, locate, extended)
    if sampling is not None:
        merged["sampling"] = sampling.value

    def place(keys: Keys) -> Place | None:
        """Find the part that has the field; it knows the rest."""
        if keys[:1] == ("sampling",) and sampling is not None:
            return sampling.place(keys[1:])
        for depth in (1, 2):
            parts, index = lists.get(keys[:depth], ()), keys[depth : depth + 1]
            if index and isinstance(index[0], int) and 0 <= index[0] < len(parts):
                return parts[index[0]].place(keys[depth + 1 :])
        return locate(keys)

    constitution = parse(Constitution, own | merged, name, place)
    return Source(constitution, name, place, document)


def _parts(within: Locate, file: str, values: Iterable[T], *at: str | int) -> list[_Placed[T]]:
    return [_Placed(value, file, within, (*at, index)) for index, value in enumerate(values)]


# categories, examples, sampling --------------------------------------------------------------------------------------


def _categories(
    document: Document, name: str, locate: Locate, extended: Sequence[Source]
) -> Sequence[_Placed[Category]]:
    own = _distinct(_parts(locate, name, document.categories, "categories"), "categories")
    known = dict(own)
    for source in extended:
        for category in _parts(source.place, source.name, source.constitution.categories, "categories"):
            key = category.value.id
            first = known.setdefault(key, category)
            if key not in own and first.value != category.value:
                _clash(
                    "category", first, category, _differing(first.value, category.value), "define it in `categories`"
                )
    return list(known.values())


def _shots(
    kind: str, document: Document, name: str, locate: Locate, extended: Sequence[Source]
) -> Sequence[_Placed[Any]]:
    kept: dict[Any, _Placed[Any]] = {}
    for source in extended:
        for shot in _parts(source.place, source.name, getattr(source.constitution.few_shot, kind), "few_shot", kind):
            kept.setdefault(shot.value, shot)
    own = _parts(locate, name, getattr(document.few_shot, kind), "few_shot", kind)
    if not extended:
        return own
    for shot in own:
        kept.setdefault(shot.value, shot)
    return list(kept.values())


def _sampling(document: Document, name: str, locate: Locate, extended: Sequence[Source]) -> _Placed[Any] | None:
    if "sampling" in document.model_fields_set:
        return _Placed(document.sampling, name, locate, ("sampling",))
    for source in extended:
        if "sampling" in source.constitution.model_fields_set:
            return _Placed(source.constitution.sampling, source.name, source.place, ("sampling",))
    return None


# principles ----------------------------------------------------------------------------------------------------------


def _principles(
    document: Document, name: str, locate: Locate, extended: Sequence[Source]
) -> Sequence[_Placed[Principle]]:
    versions: dict[str, list[_Placed[Principle]]] = {}
    for source in extended:
        for principle in _parts(source.place, source.name, source.constitution.principles, "principles"):
            versions.setdefault(principle.value.id, []).append(principle)
    for index, removed in enumerate(document.remove):
        _known(removed, versions, ("remove", index), locate(("remove", index)) or name)
    overrides = _distinct(_parts(locate, name, document.overrides, "overrides"), "overrides")
    for index, override in enumerate(document.overrides):
        _known(override.id, versions, ("overrides", index, "id"), overrides[override.id].where("id"))
        if override.id in document.remove:
            what = f"'overrides[{index}].id': '{override.id}' is removed by this file"
            raise InputError(what, where=overrides[override.id].where("id"), cure="keep the one or the other")
    inherited = {key: _one(v, overrides.get(key)) for key, v in versions.items() if key not in document.remove}
    own = _distinct(_parts(locate, name, document.principles, "principles"), "principles")
    for key, principle in own.items():
        if key in inherited:
            _taken(principle, inherited[key])
    return [*inherited.values(), *own.values()]


def _one(versions: Sequence[_Placed[Principle]], override: _Placed[Override] | None) -> _Placed[Principle]:
    """The one principle that its versions are, as the override has it."""
    first, settled = versions[0], override.value.model_fields_set if override else frozenset()
    for other in versions[1:]:
        fields = [f for f in _differing(first.value, other.value) if f not in settled]
        if fields:
            _clash("principle", first, other, fields, f"`remove` it, or override {_list(fields)}")
    return first if override is None else _overridden(first, override)


def _overridden(principle: _Placed[Principle], override: _Placed[Override]) -> _Placed[Principle]:
    given = override.value.model_fields_set - {"id"}
    kept = {field: getattr(principle.value, field) for field in Principle.model_fields if field not in given}
    written = {field: value for field in given if (value := getattr(override.value, field)) is not None}
    value = parse(Principle, kept | written, override.file, override.within, at=override.at)

    def within(keys: Keys) -> Place | None:
        return override.place(keys) if keys and keys[0] in given else principle.place(keys)

    return _Placed(value, principle.file, within)


# what cannot be ------------------------------------------------------------------------------------------------------


def _distinct(parts: Sequence[_Placed[N]], field: str) -> dict[str, _Placed[N]]:
    """By id. Raises InputError where one stands twice."""
    by_id: dict[str, _Placed[N]] = {}
    for index, part in enumerate(parts):
        key = part.value.id
        if key in by_id:
            what = f"'{field}[{index}].id': {field}[{list(by_id).index(key)}] has the id '{key}' already"
            _refuse_both(what, by_id[key], part, ("id",), "give each its own id")
        by_id[key] = part
    return by_id


def _known(name: str, versions: Mapping[str, Any], keys: Keys, where: Place | str) -> None:
    if name not in versions:
        cure = did_you_mean(name, list(versions), noun="inherited ids")
        raise InputError(f"'{dotted(keys)}': no inherited principle has the id '{name}'", where=where, cure=cure)


def _taken(own: _Placed[Principle], inherited: _Placed[Principle]) -> NoReturn:
    taken = own.value.id
    cure = f"write what differs under `overrides`, or `remove: [{taken}]` and keep this one, or choose another id"
    _refuse_both(f"the id '{taken}' is inherited already", inherited, own, ("id",), cure)


def _clash(kind: str, first: _Placed[N], second: _Placed[N], fields: Sequence[str], cure: str) -> NoReturn:
    what = f"the {kind} '{first.value.id}' is inherited twice and differs in {_list(fields)}"
    _refuse_both(what, first, second, (fields[0],), cure)


def _refuse_both(what: str, first: _Placed[Any], second: _Placed[Any], keys: Keys, cure: str) -> NoReturn:
    """Name both places and show both lines."""
    one, other = first.where(*keys), second.where(*keys)
    shown = [other.show()] if isinstance(other, Place) else []
    if isinstance(one, Place):
        shown += [f"  {one}", one.show()]
    raise InputError(f"{what}, see {one}", where=other, cure=cure, shown="\n".join(shown) or None)


def _differing(first: Category | Principle, second: Category | Principle) -> list[str]:
    return [field for field in type(first).model_fields if getattr(first, field) != getattr(second, field)]


def _list(fields: Collection[str]) -> str:
    return ", ".join(f"`{field}`" for field in fields)
