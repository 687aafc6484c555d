"""What is odd, dropped or set aside in the files that a recipe names is in the manifest, in the log and on the
terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from charter import pipeline
from charter.core.config import load_recipe

ODD = {"chosen": "\n\nHuman: a\n\nHuman: b\n\nAssistant: c", "rejected": "\n\nHuman: a\n\nHuman: b\n\nAssistant: d"}
ASIDE = {"chosen": "\n\nHuman: a\n\nAssistant: c", "rejected": "\n\nHuman: x\n\nAssistant: d"}


def test_nothing_is_odd_in_silence(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"prompt": "how"}, {"prompt": "how"}, ODD, ASIDE]
    (project / "red_team.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pipeline.run(load_recipe(project / "recipe.yaml"), project / "run", until="respond")
    inputs = json.loads((project / "run/manifest.json").read_text())["inputs"]
    assert inputs["prompts.red_team"] == {"rows": 4, "taken": 2, "duplicates": 1, "odd": 1, "set_aside": 1}
    clean = {"duplicates": 0, "odd": 0, "set_aside": 0}
    assert inputs["prompts.helpful"] == {"rows": 2, "taken": 2, **clean}
    assert inputs["comparisons.helpful"] == {"rows": 1, "taken": 1, **clean}
    said = capsys.readouterr().err.splitlines()
    expected = "prompts.red_team: 4 rows, 1 odd, 1 duplicates dropped, 1 set aside (charter.log lists the lines)"
    assert [line for line in said if "rows" in line] == [expected]
    log = (project / "run/charter.log").read_text()
    assert "odd, two Human turns in a row: 1 (line 3)" in log
    assert "set aside, the pair shares no prompt: 1 (line 4)" in log
