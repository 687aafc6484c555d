"""Selecting and ignoring rules, in options and in the file; order; speed; odd input."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from linting import codes, comparisons, findings, source, wording

from charter.constitution import library
from charter.constitution.lint import RULES, explain, lint, lint_codes
from charter.constitution.load import Source, read
from charter.constitution.schema import Constitution
from charter.core.errors import InputError

DEFAULT = {code for code, rule in RULES.items() if rule.default}


@pytest.mark.parametrize(
    ("select", "ignore", "expected"),
    [
        ([], [], DEFAULT),
        (["CC101"], [], {"CC101"}),
        (["cc101"], [], {"CC101"}),
        (["CC4", "CC901"], [], {"CC401", "CC402", "CC403", "CC901"}),
        (["CC4,CC501"], ["CC402"], {"CC401", "CC403", "CC501"}),
        ([], ["CC"], set()),
        ([], ["CC3"], {code for code in DEFAULT if not code.startswith("CC3")}),
        (["CC101"], ["CC1"], {"CC101"}),
        (["CC1"], ["CC101"], {code for code in DEFAULT if code.startswith("CC1")} - {"CC101"}),
        (["CC101"], ["CC101"], set()),
        (["ALL"], [], set(RULES)),
        (["ALL"], ["CC1"], {code for code in RULES if not code.startswith("CC1")}),
        (["CC205"], [], {"CC205"}),
    ],
)
def test_selection(select: list[str], ignore: list[str], expected: set[str]) -> None:
    assert set(lint_codes(select, ignore)) == expected


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("CC110", "did you mean 'CC10"),
        ("double-barrelled", "did you mean 'CC104'"),
        ("E501", "did you mean 'CC501'"),
        ("wording", "the codes are: CC101"),
        ("", "the codes are"),
    ],
)
def test_unknown_codes_are_refused(written: str, words: str) -> None:
    for options in ({"select": [written]}, {"ignore": [written]}):
        with pytest.raises(InputError, match="unknown code") as caught:
            lint_codes(**options)
        assert words in str(caught.value)
    with pytest.raises(InputError, match="unknown code"):
        explain(written)


def test_unknown_codes_in_the_file_are_refused_with_their_place() -> None:
    text = "name: c\nprinciples:\n  - id: a\n    comparison: Which is kinder now?\n    lint_ignore:\n      CC110: no\n"
    with pytest.raises(InputError, match="unknown code 'CC110'") as caught:
        lint(source(text))
    assert "example.yaml:6:7" in str(caught.value)
    assert "did you mean" in str(caught.value)


IGNORING = """\
name: c
lint_ignore: {CC3: x}
principles:
  - {id: a, comparison: Is it harmless?, lint_ignore: {%s: a reason}}
"""


def test_a_principle_ignores() -> None:
    text = IGNORING.replace("lint_ignore: {CC3: x}\n", "")
    assert "CC101" not in {f.code for f in findings(text % "CC101")}
    found = findings(text % "CC104", "CC101", "CC104", "CC901")
    assert [f.code for f in found] == ["CC101", "CC901"]
    assert found[1].keys == ("principles", 0, "lint_ignore", "CC104")
    assert [f.code for f in findings(text % "CC104", "CC101", "CC901")] == ["CC101"]  # CC104 was not run


def test_only_whole_codes_are_ignored_in_a_file() -> None:
    with pytest.raises(InputError, match="unknown code 'CC3'"):
        findings(IGNORING % "CC101")


def test_the_whole_ignores() -> None:
    of = comparisons("Is it harmless?", "Is it harmful, then?", lint_ignore={"CC101": "known", "CC102": "not needed"})
    assert [(f.code, f.keys) for f in lint(of, select=["CC101", "CC102", "CC901"])] == [
        ("CC901", ("lint_ignore", "CC102"))
    ]


def test_either_of_two_principles_ignores_what_concerns_both() -> None:
    text = """\
name: c
principles:
  - {id: a, comparison: Which answer is more concise?%s}
  - {id: b, comparison: Which answer is more detailed?%s}
"""
    ignore = ", lint_ignore: {CC201: meant}"
    assert findings(text % ("", ""), "CC201")
    assert not findings(text % (ignore, ""), "CC201", "CC901")
    assert not findings(text % ("", ignore), "CC201", "CC901")


def test_unused_ignores_can_be_ignored() -> None:
    assert not codes(comparisons("Which is kinder?", lint_ignore={"CC102": "x", "CC901": "kept"}), "CC102", "CC901")


def test_findings_are_in_the_order_of_the_file() -> None:
    text = "name: c\nprinciples:\n  - {id: a, comparison: Is it {x}?}\n  - {id: b, comparison: Is it fair?}\n"
    lines = [f.place.line for f in findings(text.replace("{x}", "<x>"), "CC1") if f.place]
    assert lines == sorted(lines)


def test_explaining_a_rule() -> None:
    text = explain("cc104")
    assert text.startswith("CC104 double-barrelled (warning)")
    assert "Which answer is more honest and shorter?" in text


def test_one_constitution_of_two_hundred_is_quick() -> None:
    principles = [p for name in library.names() for p in read(f"library:{name}").constitution.principles]
    many = [
        p.model_copy(update={"id": f"p{i}", "category": None, "lint_ignore": {}})
        for i, p in enumerate((principles * 200)[:200])
    ]
    big = Source(Constitution(name="big", principles=tuple(many)), "big", lambda _: None, None)
    lint(comparisons("Which answer is kinder?"))  # reads the taxonomy
    start = time.process_time()
    lint(big)
    assert time.process_time() - start < 0.6  # 0.14 s on an idle core


@pytest.mark.parametrize("count", [2_000])
def test_pairs_of_many_principles_are_quick(count: int) -> None:
    rng = random.Random(1)
    words = ["harm", "safe", "kind", "brief", "detailed", "honest", "formal", "casual", "child", "law", "data"]
    texts = [" ".join(rng.choices(words, k=8)) + f" more {i % 50}" for i in range(count)]
    start = time.process_time()
    lint(comparisons(*texts), select=["CC201", "CC202"])
    assert time.process_time() - start < 6


ODD = [
    '"' * 5_000,
    "{" * 5_000,
    "<" * 5_000 + ">",
    "[" * 5_000 + "INSERT",
    "identify ways " * 2_000,
    "explain how the response " * 1_000,
    "more and less, and more; and " * 1_000,
    "not " * 5_000,
    "a, " * 6_000 + "and b",
    "as as as " * 2_000 + "as possible",
    "if the user says " * 1_000 + '"',
    "Elon Musk Elon " * 1_500,
    "verify it " * 2_000 + "online",
    "İ" * 3_000,
    "\n\n" * 5_000 + "Human:",
    "。" * 3_000 + "害" * 3_000,
    "'" * 4_000,
    "?" * 9_000,
    "1." * 5_000,
    "$" * 9_000,
    "-" * 9_000,
]


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("field", ["comparison", "critique"])
def test_odd_texts_neither_fail_nor_hang(field: str, text: str) -> None:
    start = time.process_time()
    lint(wording(field, text), select=["ALL"])
    assert time.process_time() - start < 2


def test_odd_examples_neither_fail_nor_hang() -> None:
    shots = {
        "comparison": [{"prompt": "\n\nHuman: " * 3_000, "chosen": "i " * 9_000, "rejected": "no, " * 9_000}],
        "chain_of_thought": ["{}" + "option (A) is " * 5_000 + "So the answer is: (B)"] * 3,
    }
    start = time.process_time()
    lint(comparisons("Which answer does less harm?", few_shot=shots), select=["CC4"])
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("own.yaml", "name: own\nprinciples:\n  - {id: a, comparison: Which answer is kinder?}\n"),
        ("own.json", '{"name": "own", "principles": [{"id": "a", "comparison": "Which answer is kinder?"}]}'),
    ],
)
def test_our_own_files_load_no_other_format(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    code = (
        "import sys; from charter.constitution.lint import lint; from charter.constitution.load import read; "
        "assert lint(read(sys.argv[1])); print('charter.constitution.formats' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / name)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
