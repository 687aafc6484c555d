"""What a recipe names, as artifacts for the stages: files of prompts and comparisons, and the model to fine-tune."""

from __future__ import annotations

from pathlib import Path

from charter.core.errors import InputError
from charter.core.fingerprint import fingerprint, fingerprint_path
from charter.core.progress import say
from charter.core.recipe import ComparisonFile, ModelConfig, PromptFile, Recipe
from charter.core.run import Artifact, RunFolder
from charter.core.stage import Stage
from charter.core.tables import write_jsonl, write_records
from charter.prompts import PromptReport, load_comparisons, load_prompts, read_comparisons, read_prompts


def tuned(recipe: Recipe) -> ModelConfig:
    """The settings of the model that is fine-tuned: the base, or else the assistant."""
    return recipe.models.base or recipe.models.assistant


def base(recipe: Recipe) -> Artifact:
    """The model that is fine-tuned: a folder named by its contents, or the local copy of a hub id, named by the id and
    its revision."""
    model = tuned(recipe)
    if model.model_name_or_path is None:
        raise InputError(
            "a scripted model cannot be trained", where="models.assistant", cure="name a model in models.base"
        )
    path = Path(model.model_name_or_path)
    if path.is_dir():
        return Artifact(path, fingerprint_path(path))
    from charter.models.hub import snapshot

    name = model.model_name_or_path
    return Artifact(snapshot(name, model.revision), fingerprint(name, model.revision))


def check(recipe: Recipe) -> dict[str, PromptReport]:
    """Read every file of prompts and comparisons once before anything is spent: what was found, by the recipe's key.
    Raises InputError."""
    reports = {}
    for source in ("red_team", "helpful", "evaluation"):
        file: PromptFile | None = getattr(recipe.prompts, source)
        if file is not None:
            reports[f"prompts.{source}"] = read_prompts(file.path, source, file.limit)[1]
    comparisons = recipe.comparisons.helpful
    if comparisons is not None:
        report = read_comparisons(comparisons.path, comparisons.labels, comparisons.limit)[1]
        reports["comparisons.helpful"] = report
    return reports


def note(run: RunFolder, reports: dict[str, PromptReport]) -> None:
    """Enter what was found in the files into the manifest (`inputs`) and the log; what is out of the ordinary is also
    said in one line."""
    run.manifest.data["inputs"] = {name: report.counts() for name, report in reports.items()}
    for name, report in reports.items():
        run.log.info("%s: %s", name, report)
        if report.remarks:
            say(f"{name}: {report.rows:,} rows, {report.remarks} (charter.log lists the lines)", run.show)


def prompts_of(run: RunFolder, source: str, file: PromptFile) -> Artifact:
    """The user's file itself; where only the beginning of it is wanted, that as a file of the run's."""
    whole = Artifact(file.path, fingerprint_path(file.path))
    if file.limit is None:
        return whole
    out = f"prompts/{source}.jsonl"
    return run.stage(f"limit_{source}", _first_prompts, out=out, config=(source, file.limit), inputs=(whole,))


def _first_prompts(stage: Stage, source: str, limit: int, prompts: Artifact) -> None:
    rows = (
        {"id": p.id, "prompt": [m.to_dict() for m in p.messages], "kind": p.kind, "cluster": p.cluster}
        for p in load_prompts(prompts.path, source, limit)
    )
    stage.count(prompts=write_jsonl(stage.out, ({k: v for k, v in row.items() if v is not None} for row in rows)))


def comparisons_of(run: RunFolder, file: ComparisonFile) -> Artifact:
    """The same for comparisons."""
    whole = Artifact(file.path, fingerprint_path(file.path))
    if file.limit is None:
        return whole
    out = "prompts/comparisons.parquet"
    return run.stage(
        "limit_comparisons", _first_comparisons, out=out, config=(file.labels, file.limit), inputs=(whole,)
    )


def _first_comparisons(stage: Stage, labels: str, limit: int, comparisons: Artifact) -> None:
    stage.count(comparisons=write_records(stage.out, load_comparisons(comparisons.path, labels, limit)))
