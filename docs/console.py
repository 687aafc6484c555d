"""Runs the commands that a page shows and puts what they print beneath them, so that the page stays true.

    <!-- file: NAME -->        the code block that follows is a file of this name
    ```console                 each `$ charter ...` is run in a folder with these files; `| head -N` cuts its output

The commands of a page see the files that stand above them, and what earlier commands wrote.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

from charter import cli

PIECES = re.compile(
    r"<!-- file: (?P<name>\S+) -->\n```\w*\n(?P<text>.*?)```\n|```console\n(?P<console>.*?)```\n", re.DOTALL
)


def replayed(page: str) -> str:
    """The page with the present output of its commands."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):

        def replay(match: re.Match[str]) -> str:
            if match["name"]:
                Path(match["name"]).write_text(match["text"], encoding="utf-8")
                return match[0]
            return "```console\n" + "".join(session(match["console"])) + "```\n"

        return PIECES.sub(replay, page)


def session(text: str) -> Iterator[str]:
    """Each command of a console, and what it prints."""
    for line in text.splitlines():
        if line.startswith("$ "):
            yield f"{line}\n{output(line[2:])}"


def output(command: str) -> str:
    """What a command prints, its messages last."""
    line, _, most = command.partition(" | head -")
    program, *arguments = shlex.split(line)
    assert program == "charter", f"only charter is run, not {program}"
    out, messages = io.StringIO(), io.StringIO()
    os.environ["COLUMNS"] = "100"
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(messages):
        cli._guarded(arguments)
    lines = out.getvalue().splitlines(keepends=True)
    return "".join(lines[: int(most)] if most else lines) + messages.getvalue()
