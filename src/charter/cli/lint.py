"""`charter constitution lint`: check the wording, the balance and the coverage of constitutions."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from charter.cli.output import OUT, PATH, emit
from charter.core.errors import InputError

if TYPE_CHECKING:
    from charter.constitution.lint import Finding, Taxonomy

TAXONOMY = click.option("--taxonomy", type=PATH, help="Hazards to cover (YAML).  [default: MLCommons AILuminate]")
FINDINGS, UNUSABLE = 1, 2
COLOURS = {"error": "red", "warning": "yellow", "info": "blue"}


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1)
@click.option("--select", metavar="CODES", multiple=True, help="Only these rules: codes or their beginnings, by comma.")
@click.option("--ignore", metavar="CODES", multiple=True, help="Not these rules.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    show_default=True,
    help="For people, programs, code scanning, or annotations in GitHub Actions.",
)
@TAXONOMY
@click.option("--explain", metavar="CODE", help="Print what a rule looks for, why, and the cure; reads no file.")
@OUT
def lint(
    files: tuple[str, ...],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    format_: str,
    taxonomy: Path | None,
    explain: str | None,
    out: Path | None,
) -> None:
    """Check constitutions: wording, balance, coverage.

    Exit codes: 0 no errors and no warnings (a finding of severity `info` is advice and does not count); 1 findings; 2
    something cannot be used: a file, a rule's code. The other files are checked all the same.
    """
    from charter.constitution import lint as linter

    if explain is not None:
        emit(linter.explain(explain), out)
        return
    if not files:
        raise click.UsageError("Missing argument 'FILE...'.")
    linter.lint_codes(select, ignore)  # an unknown code is refused once and not for every file
    hazards = linter.Taxonomy.load(taxonomy)
    with _uncollected():
        found = [_findings(file, select, ignore, hazards) for file in files]
    findings = [finding for of_file in found for finding in of_file or ()]
    unusable = None in found
    text = "" if format_ == "text" and unusable and not findings else linter.render(findings, format_)
    if text or out:
        emit(_coloured(text) if format_ == "text" and not out else text, out, files)
    if unusable or any(finding.severity != "info" for finding in findings):
        raise click.exceptions.Exit(UNUSABLE if unusable else FINDINGS)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Nothing here makes cycles to speak of, and looking for them took a twentieth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _findings(file: str, select: Sequence[str], ignore: Sequence[str], taxonomy: Taxonomy) -> list[Finding] | None:
    """What the linter finds in a file; None, and a message, where it cannot be used."""
    from charter.constitution import lint as linter
    from charter.constitution.load import read

    try:
        return linter.lint(read(file), select=select, ignore=ignore, taxonomy=taxonomy)
    except InputError as error:
        click.echo(f"error: {error}", err=True)
        return None


def _coloured(text: str) -> str:
    """The codes in the colour of their severity; click leaves colours out where the output is no terminal."""
    from charter.constitution.lint import RULES

    def colour(match: re.Match[str]) -> str:
        return match[1] + click.style(match[2], fg=COLOURS[RULES[match[2]].severity], bold=True)

    codes = "|".join(RULES)
    return text if os.environ.get("NO_COLOR") else re.sub(rf"^(\S.*?: )({codes})\b", colour, text, flags=re.MULTILINE)
