"""A run's folder: stages that are done once, resumed, and never half-written.

    RUN/
      recipe.yaml  constitution.yaml   what was asked for, complete
      manifest.json                    what ran (core/manifest.py)
      metrics.jsonl  charter.log       written while it runs
      <outputs of the stages>
      .lock  .partial/                 one process at a time; outputs in the making

A stage is named by the fingerprint of its name, its function's VERSION, its configs, the run's seed and its inputs. If
the manifest has it done under that fingerprint and its output is there, it is not run again. An output is made under
.partial/ and moved into place when it is whole; what a killed process left there is removed at the next start.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from charter.core import files
from charter.core.config import dump_recipe
from charter.core.errors import InputError
from charter.core.fingerprint import fingerprint, fingerprint_path
from charter.core.log import LogFile
from charter.core.manifest import NAME as MANIFEST
from charter.core.manifest import Manifest
from charter.core.progress import Show, say, summary
from charter.core.recipe import ModelConfig, Recipe
from charter.core.stage import Artifact, Metrics, Stage

__all__ = ["Artifact", "Reached", "RunFolder", "Stage"]

METRICS = "metrics.jsonl"


class Reached(Exception):
    """The stage that the run should stop after is done. Not an error: it unwinds the pipeline from inside."""


class RunFolder:
    """A context manager: opens and locks the folder of one recipe's run. Raises InputError, and touches nothing, where
    the folder holds something else or is in use. `reuse` is a finished run whose stages are taken where their
    fingerprints agree, and whose records where only the inputs differ (`Stage.earlier`); `continuing`: trainings that
    cannot be taken go on from its models. After the stage `until`, `stage` raises Reached."""

    def __init__(
        self,
        out: Path,
        recipe: Recipe,
        *,
        constitution_hash: str | None = None,
        reuse: Path | None = None,
        continuing: bool = False,
        until: str | None = None,
        show: Show = "auto",
    ) -> None:
        self.path, self.recipe, self.show, self.until = out.absolute(), recipe, show, until
        self._constitution_hash, self._continuing = constitution_hash, continuing
        self.log = logging.getLogger("charter")
        self._identity = fingerprint(recipe)
        self._reuse_from = None if reuse is None else reuse.absolute()
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._parent = self._read_parent()
        self._check()
        with self._cleanup, self._disk():
            self.path.mkdir(parents=True, exist_ok=True)
            self._cleanup.enter_context(_lock(self.path))
            self.manifest = self._check() or Manifest.new(
                self.path,
                name=self.recipe.name,
                seed=self.recipe.seed,
                recipe_fingerprint=self._identity,
                constitution_hash=self._constitution_hash,
                parent=self._reuse_from,
            )
            for left_over in [self._partial, *self.path.glob(".*.tmp")]:
                files.remove(left_over)
            self.manifest.write()
            self.write("recipe.yaml", dump_recipe(self.recipe))
            self._cleanup.enter_context(LogFile(self.path / "charter.log"))
            self._cleanup = self._cleanup.pop_all()
        self.log.info("run %s, seed %d, recipe %s", self.recipe.name, self.recipe.seed, self._identity)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.log.error("the run stopped: %s", str(error) or type(error).__name__, exc_info=error)
            error.add_note(f"its traceback is in {self.path / 'charter.log'}")
        files.remove(self._partial)
        self._cleanup.close()

    def write(self, name: str, text: str) -> None:
        """Write a text file into the run's folder, unless it stands there already."""
        path = self.path / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            files.write_text(path, text)

    def stage(
        self,
        name: str,
        function: Callable[..., None],
        *,
        out: str,
        config: tuple[Any, ...] = (),
        inputs: tuple[Artifact | None, ...] = (),
        continues: bool = False,
        **options: Any,
    ) -> Artifact:
        """Run `function(stage, *config, *inputs, **options)` unless its output `out` is there already. `config` and
        `options` may hold artifacts too; they count as inputs. `continues`: a training, which is given the parent's
        model as the option `go_on_from` where the run is to continue it."""
        version = getattr(sys.modules.get(function.__module__), "VERSION", None)
        settings = fingerprint(name, version, self.recipe.seed, _described((*config, options)))
        key = fingerprint(settings, _described(inputs))
        if continues and self._continuing and (before := self._parents(name)) and before.fingerprint != key:
            options["go_on_from"] = before
            key = fingerprint(key, before.fingerprint)
        made = _Made(name, key, settings, out)
        if self.manifest.done(name, key) and (self.path / out).exists():
            self.log.info("%s: done already (%s)", name, key)
            say(summary(name, self.manifest.stages[name]["counts"], 0.0, "done already"), self.show)
        elif not self._take_from_parent(made):
            self._run(made, lambda stage: function(stage, *config, *inputs, **options))
        if name == self.until:
            raise Reached(name)
        return Artifact(self.path / out, key)

    # one stage -------------------------------------------------------------------------------------------------------

    def _run(self, made: _Made, work: Callable[[Stage], None]) -> None:
        start, name, out = time.monotonic(), made.name, made.out
        stage = Stage(
            name,
            self._partial / name / Path(out).name,
            self.recipe.seed,
            self.log,
            show=self.show,
            sink=self._append,
            earlier=self._earlier(made),
        )
        with self._disk():
            self._drop_metrics(name)
            self.manifest.begin(name, made.key, made.settings, out)
            self.log.info("%s: begun (%s)", name, made.key)
            try:
                stage.out.parent.mkdir(parents=True, exist_ok=True)
                work(stage)
                self._finish(name, stage.out, out)
            except BaseException as error:
                self._failed(name, error, time.monotonic() - start, stage)
                raise
            seconds = time.monotonic() - start
            self.manifest.end(name, "done", seconds, stage.counts)
        self.log.info("%s: done in %.1f s, %s", name, seconds, json.dumps(stage.counts))
        say(summary(name, stage.counts, seconds), self.show)

    def _finish(self, name: str, made: Path, out: str) -> None:
        if not made.exists():
            raise RuntimeError(f"the stage '{name}' wrote nothing")
        files.move_into_place(made, self.path / out, self._partial / "replaced")
        files.remove(self._partial / name)

    def _failed(self, name: str, error: BaseException, seconds: float, stage: Stage) -> None:
        """Note the failure, and make room first: the disk may be full."""
        files.remove(self._partial / name)
        text = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
        with contextlib.suppress(OSError):
            self.manifest.end(name, "failed", seconds, stage.counts, error=text)

    def _parents(self, name: str) -> Artifact | None:
        """What the run to reuse made at a stage, if it is done."""
        if self._parent is None or self._reuse_from is None:
            return None
        entry = self._parent.stages.get(name)
        if entry is None or entry["state"] != "done" or not (self._reuse_from / entry["output"]).exists():
            return None
        return Artifact(self._reuse_from / entry["output"], entry["fingerprint"])

    def _earlier(self, made: _Made) -> Path | None:
        """What the run to reuse made at this stage with the same settings."""
        before = self._parents(made.name)
        if before is None or self._parent is None or self._parent.stages[made.name].get("settings") != made.settings:
            return None
        return before.path

    def _take_from_parent(self, made: _Made) -> bool:
        """Take over a finished stage of the run to reuse: the same output under a second name, at no cost."""
        name, key, out = made.name, made.key, made.out
        before = self._parents(name)
        if self._parent is None or self._reuse_from is None or before is None or before.fingerprint != key:
            return False
        entry = self._parent.stages[name]
        with self._disk():
            self._drop_metrics(name)
            self.manifest.begin(name, key, made.settings, out)
            clone = self._partial / name / Path(out).name
            files.clone(before.path, clone)
            self._finish(name, clone, out)
            for line in _lines_of(self._reuse_from / METRICS, name):
                self._append(line)
            self.manifest.end(name, "done", 0.0, entry["counts"], reused_from=str(self._reuse_from))
        self.log.info("%s: taken from %s (%s)", name, self._reuse_from, key)
        say(summary(name, entry["counts"], 0.0, "reused"), self.show)
        return True

    # the folder ------------------------------------------------------------------------------------------------------

    @property
    def _partial(self) -> Path:
        return self.path / ".partial"

    def _check(self) -> Manifest | None:
        """The manifest of this recipe's earlier run. Raises InputError where the folder holds anything else."""
        if self.path.exists() and not self.path.is_dir():
            raise InputError("the output is a file, not a folder", where=self.path, cure="use another --out")
        manifest = Manifest.read(self.path)
        if manifest is None:
            if self.path.is_dir() and not all(_is_ours(child.name) for child in self.path.iterdir()):
                raise InputError("the folder is not empty and is not a run", where=self.path, cure="use another --out")
        elif manifest.data["recipe_fingerprint"] != self._identity:
            raise InputError(
                f"the folder holds the run of another recipe (named '{manifest.data.get('name')}')",
                where=self.path,
                cure=f"use another --out; with --from {self.path} what has not changed is reused",
            )
        elif manifest.data["constitution_hash"] not in (None, self._constitution_hash):
            raise InputError(
                "the folder holds a run with the constitution as it was before it was changed",
                where=self.path,
                cure=f"use another --out; with --from {self.path} only what the change touches is made again",
            )
        return manifest

    def _read_parent(self) -> Manifest | None:
        if self._reuse_from is None:
            return None
        if self._reuse_from == self.path:
            raise InputError(
                "a run cannot reuse itself", where=self.path, cure="use another --out, or leave --from out"
            )
        manifest = Manifest.read(self._reuse_from)
        if manifest is None:
            raise InputError(f"there is no run here (no {MANIFEST})", where=self._reuse_from, cure="correct --from")
        return manifest

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        """Say it in one sentence when the disk is full or the folder may not be written."""
        try:
            yield
        except PermissionError as error:
            raise InputError(
                f"may not be written ({error.strerror})", where=error.filename or self.path, cure="use another --out"
            ) from error
        except Exception as error:
            if files.is_full_disk(error):
                raise files.full_disk(self.path) from error
            raise

    def _append(self, line: Metrics) -> None:
        with (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _drop_metrics(self, name: str) -> None:
        """Drop the lines that an earlier attempt at this stage has left."""
        path = self.path / METRICS
        if path.is_file():
            lines = _lines_of(path)
            kept = [line for line in lines if line.get("stage") != name]
            if len(kept) < len(lines) or not path.read_bytes().endswith(b"\n"):
                files.write_text(path, "".join(json.dumps(line) + "\n" for line in kept))


@dataclass(frozen=True, slots=True)
class _Made:
    """What a stage makes: its name, its fingerprint with and without the inputs, and where the output goes."""

    name: str
    key: str
    settings: str
    out: str


def _is_ours(name: str) -> bool:
    """Is this what a start leaves that was killed before the manifest was written?"""
    return name in {".lock", ".partial"} or (name.startswith(".") and name.endswith(".tmp"))


def _lines_of(path: Path, stage: str | None = None) -> list[Metrics]:
    """The lines of metrics.jsonl (of one stage); one that was torn by a kill is left out."""
    lines: list[Metrics] = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        with contextlib.suppress(json.JSONDecodeError):
            line = json.loads(text)
            if stage is None or line.get("stage") == stage:
                lines.append(line)
    return lines


_BESIDE = {"batch_size", "device", "price_prompt", "price_completion"}
"""What of a model's settings cannot change what it says."""


def _described(thing: Any) -> Any:
    """What a stage is given, for its fingerprint: files and local models by their contents and not by their names, so
    that a moved project keeps its work and an edited model does not; nothing that cannot change the result."""
    if isinstance(thing, Artifact):
        return thing.fingerprint
    if isinstance(thing, ModelConfig):
        fields = {n: getattr(thing, n) for n in type(thing).model_fields if n not in _BESIDE}
        path = Path(thing.model_name_or_path or "")
        if thing.model_name_or_path and path.is_dir():
            fields["model_name_or_path"] = fingerprint_path(path)
        return fields
    if isinstance(thing, Path) and thing.is_file():
        return fingerprint_path(thing)
    if isinstance(thing, dict):
        return {key: _described(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [_described(value) for value in thing]
    if hasattr(type(thing), "model_fields"):
        return {name: _described(getattr(thing, name)) for name in type(thing).model_fields}
    return thing


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """One process at a time. The lock goes with the process, however it ends; its file stays."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                "another process is running in this folder", where=folder, cure="wait for it, or use another --out"
            ) from error
        yield
    finally:
        os.close(descriptor)
