"""Reading recipes: YAML with line numbers, validation that says where and what was meant, overrides, paths.

`read_yaml` and `parse` serve every configuration file; `load_recipe` adds what is the recipe's own: `key=value`
overrides, and paths relative to the recipe's folder that must be there.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from charter.core.errors import InputError
from charter.core.recipe import ComparisonFile, Comparisons, ModelConfig, Models, PromptFile, Prompts, Recipe
from charter.core.yaml import Keys, Locate, parse_yaml, read_yaml

__all__ = ["LIBRARY", "dump_recipe", "load_recipe", "parse", "read_yaml"]

M = TypeVar("M", bound=BaseModel)
P = TypeVar("P", PromptFile, ComparisonFile)
Where = Callable[[Keys], str]

LIBRARY = "library:"
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read, override, validate. Every path in the result is absolute and there. Raises InputError with file and line,
    the dotted field and the cure."""
    data, locate = read_yaml(path)
    if not isinstance(data, dict):
        raise InputError("a recipe is a mapping of keys to values", where=path, cure="start from `charter init DIR`")
    chosen = [_override(text) for text in overrides]
    for keys, value, text in chosen:
        _put(data, keys, value, text)

    def where(keys: Keys) -> str:
        """The override that set this field, or its line in the file."""
        for overridden, _, text in reversed(chosen):
            if keys[: len(overridden)] == overridden or overridden[: len(keys)] == keys != ():
                return f"override '{text}'"
        return _place(path, locate(keys))

    return _with_paths(_validated(Recipe, data, where), path.absolute().parent, where)


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML with every default written out; `load_recipe` reads it back as it was."""
    import io

    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 120
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    stream = io.StringIO()
    yaml.dump(recipe.model_dump(mode="json"), stream)
    return stream.getvalue()


def parse(cls: type[M], data: Any, path: Path, locate: Locate) -> M:
    """Validate plain data from a file. Raises InputError: file and line, field, and what was probably meant."""
    return _validated(cls, data, lambda keys: _place(path, locate(keys)))


def _place(path: Path, line: int | None) -> str:
    return str(path) if line is None else f"{path}:{line}"


# validation ----------------------------------------------------------------------------------------------------------


def _validated(cls: type[M], data: Any, where: Where) -> M:
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        # A misspelt key often comes with a missing one: the misspelling explains both.
        problems = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        _refuse(cls, problems[0], len(problems) - 1, where, error)


def _refuse(cls: type[BaseModel], problem: Any, others: int, where: Where, cause: ValidationError) -> NoReturn:
    """One message for the first problem, with the number of the others."""
    keys: Keys = tuple(problem["loc"])
    what, cure = _words(cls, problem, keys)
    more = f" (and {others} more {'problem' if others == 1 else 'problems'} in this file)" if others else ""
    raise InputError(what + more, where=where(keys), cure=cure) from cause


def _words(cls: type[BaseModel], problem: Any, keys: Keys) -> tuple[str, str]:
    """What is wrong, and the cure."""
    field = dotted(keys)
    if problem["type"] == "extra_forbidden":
        parent = dotted(keys[:-1])
        known = sorted(_fields(cls, keys[:-1]))
        return f"unknown key '{field}'", did_you_mean(str(keys[-1]), known, parent)
    if problem["type"] == "missing":
        place = f" under '{dotted(keys[:-1])}'" if keys[1:] else ""
        return f"the key '{field}' is missing", f"add '{keys[-1]}'{place}"
    message = problem["msg"][0].lower() + problem["msg"][1:]
    given = problem.get("input")
    shown = f", not {given!r}" if isinstance(given, str | int | float | bool | None) else ""
    return f"'{field}': {message}{shown}", "correct this value"


def did_you_mean(name: str, known: Sequence[str], parent: str = "") -> str:
    """A cure for an unknown name: the nearest known ones, or all of them."""
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"'{n}'" for n in near) + "?"
    return f"the keys {f'of {parent!r} ' if parent else ''}are: {', '.join(known)}" if known else "remove it"


def dotted(keys: Keys) -> str:
    """`("prompts", "red_team", 0)` as `prompts.red_team[0]`."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def _fields(hint: Any, keys: Keys) -> set[str]:
    """The keys that stand at a place in a model, found by walking its type hints."""
    for alternative in _alternatives(hint):
        is_model = isinstance(alternative, type) and issubclass(alternative, BaseModel)
        if not keys:
            names = set(alternative.model_fields) if is_model else set()
        elif is_model:
            field = alternative.model_fields.get(str(keys[0]))
            names = _fields(field.annotation, keys[1:]) if field else set()
        else:  # a list's index or a dict's key
            names = set().union(*(_fields(inner, keys[1:]) for inner in typing.get_args(alternative)))
        if names:
            return names
    return set()


def _alternatives(hint: Any) -> tuple[Any, ...]:
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _alternatives(typing.get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        return tuple(a for inner in typing.get_args(hint) for a in _alternatives(inner))
    return (hint,)


# overrides -----------------------------------------------------------------------------------------------------------


def _override(text: str) -> tuple[Keys, Any, str]:
    """`revise.rounds=2` as keys, value (read as YAML), and the text itself."""
    name, equals, value = text.partition("=")
    keys = tuple(name.strip().split("."))
    if not equals or not all(keys):
        raise InputError(
            "an override is written key=value", where=f"override '{text}'", cure="for example revise.rounds=2"
        )
    data, _ = parse_yaml(value, f"override '{text}'")
    return keys, data, text


def _put(data: dict[str, Any], keys: Keys, value: Any, text: str) -> None:
    """Set one value in nested mappings, which are made where they are absent."""
    for depth, key in enumerate(keys[:-1], start=1):
        if data.get(str(key)) is None:
            data[str(key)] = {}
        if not isinstance(data[str(key)], dict):
            raise InputError(
                f"'{dotted(keys[:depth])}' is a single value: nothing can be set inside it",
                where=f"override '{text}'",
                cure=f"write {dotted(keys[:depth])}=VALUE",
            )
        data = data[str(key)]
    data[str(keys[-1])] = value


# paths ---------------------------------------------------------------------------------------------------------------


def _with_paths(recipe: Recipe, folder: Path, where: Where) -> Recipe:
    """The same recipe with absolute paths, all of which are there."""
    constitution = recipe.constitution
    if (folder / constitution).is_dir():
        constitution = folder / constitution  # the published files; `constitution.load` looks inside
    elif not str(constitution).startswith(LIBRARY):
        constitution = _file(constitution, ("constitution",), folder, where, "or name one of the library: library:NAME")
    pairs = recipe.evaluate.pairs
    if pairs is not None:
        pairs = _file(pairs, ("evaluate", "pairs"), folder, where)
    prompts = {n: _rows(getattr(recipe.prompts, n), ("prompts", n), folder, where) for n in Prompts.model_fields}
    comparisons = {
        n: _rows(getattr(recipe.comparisons, n), ("comparisons", n), folder, where) for n in Comparisons.model_fields
    }
    models = {n: _model(getattr(recipe.models, n), ("models", n), folder, where) for n in Models.model_fields}
    return recipe.model_copy(
        update={
            "constitution": constitution,
            "prompts": recipe.prompts.model_copy(update=prompts),
            "comparisons": recipe.comparisons.model_copy(update=comparisons),
            "models": recipe.models.model_copy(update=models),
            "evaluate": recipe.evaluate.model_copy(update={"pairs": pairs}),
        }
    )


def _rows(rows: P | None, keys: Keys, folder: Path, where: Where) -> P | None:
    if rows is None:
        return None
    return rows.model_copy(update={"path": _file(rows.path, (*keys, "path"), folder, where)})


def _file(path: Path, keys: Keys, folder: Path, where: Where, hint: str = "") -> Path:
    found = folder / path.expanduser()
    if not found.is_file():
        what = "is a folder, not a file" if found.is_dir() else "there is no such file"
        cure = f"paths are relative to {folder}; correct the path" + (f", {hint}" if hint else "")
        raise InputError(f"'{dotted(keys)}': {what}: {path}", where=where(keys), cure=cure)
    return found


def _model(model: ModelConfig | None, keys: Keys, folder: Path, where: Where) -> ModelConfig | None:
    """A local model's folder must be there and be one; a hub id is left as it is."""
    if model is None or model.engine != "transformers":
        return model
    keys = (*keys, "model_name_or_path")
    name = model.model_name_or_path
    if not name:
        raise InputError(
            f"'{dotted(keys)}' is missing",
            where=where(keys),
            cure="name a model folder or a hub id, or set engine: scripted",
        )
    found = folder / Path(name).expanduser()
    if not found.exists():
        if _HUB_ID.fullmatch(name) and not name.startswith("."):
            return model
        raise InputError(
            f"'{dotted(keys)}': there is no such model folder: {name}",
            where=where(keys),
            cure=f"paths are relative to {folder}; name a folder in Hugging Face form, or a hub id such as owner/name",
        )
    if not (found / "config.json").is_file():
        raise InputError(
            f"'{dotted(keys)}': not a model folder (it has no config.json): {name}",
            where=where(keys),
            cure="name a folder in Hugging Face form: config.json, tokenizer files, *.safetensors",
        )
    return model.model_copy(update={"model_name_or_path": str(found)})
