"""Reading and writing constitutions: formats, messages, round trips, the library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charter.constitution import library
from charter.constitution.load import dump, dumps, load
from charter.constitution.schema import Category, Constitution, FewShot, Principle, Sampling
from charter.core.errors import InputError

YAML = """\
name: small
version: 1.2.0
categories:
  - {id: safety, tier: 1, weight: 2.0}
principles:
  - id: harm
    category: safety
    severity: high
    critique: Look for harm
      in the last answer.
    revision: Take it out.
  - id: which
    comparison: |
      Which answer does less harm?
few_shot:
  critique_revision: ["\\n\\nHuman: hello"]
sampling: {strategy: weight}
"""

REFORMATTED = """\
# the same with other formatting, key order and defaults written out
sampling:
  strategy: weight
few_shot: {comparison: [], critique_revision: [ "\\n\\nHuman: hello" ]}
principles:
- comparison: "Which answer does less harm?"
  id: which
  severity: medium
- {revision: Take it out., critique: Look for harm in the last answer., id: harm, severity: high, category: safety}
categories: [{weight: 2, id: safety}]
name: small
"""


def write(folder: Path, text: str, name: str = "c.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_yaml(tmp_path: Path) -> None:
    c = load(write(tmp_path, YAML))
    assert (c.name, c.version, c.sampling.strategy) == ("small", "1.2.0", "weight")
    harm, which = c.principles
    assert (harm.critique, harm.revision) == ("Look for harm in the last answer.", "Take it out.")
    assert which.comparison == "Which answer does less harm?"
    assert c.few_shot.critique_revision == ("\n\nHuman: hello",)


def test_json_is_the_same_constitution(tmp_path: Path) -> None:
    c = load(write(tmp_path, YAML))
    data = json.dumps(c.model_dump(mode="json"), indent="\t")
    assert load(str(write(tmp_path, data, "c.json"))) == c


def test_the_hash_ignores_formatting_and_key_order(tmp_path: Path) -> None:
    assert load(write(tmp_path, YAML)).hash == load(write(tmp_path, REFORMATTED, "r.yaml")).hash


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        (
            "comparison: |",
            "comparision: |",
            "13:5",
            "unknown key 'principles[1].comparision'|did you mean 'comparison'",
        ),
        (
            "category: safety",
            "category: safty",
            "7:5",
            "'principles[0].category': unknown category 'safty'|did you mean 'safety'?",
        ),
        (
            "id: which",
            "id: harm",
            "12:5",
            "'principles[1].id': principles[0] has the id 'harm' already, see |:6:5\n|    6 |   - id: harm",
        ),
        ("    revision: Take it out.\n", "", "9:5", "'principles[0].critique': a critique needs a revision|say how"),
        ("comparison: |", "rationale: |", "12:5", "'principles[1]': a principle needs"),
        ("severity: high", "severity: dire", "8:5", "'principles[0].severity': input should be 'low'|not 'dire'"),
        ("weight: 2.0}", "weight: -1}", "4:27", "'categories[0].weight': input should be greater than or equal to 0"),
        ("weight: 2.0}", "weight: .nan}", "4:27", "'categories[0].weight': input should be a finite number"),
        ("strategy: weight", "strategy: dice", "17:12", "'sampling.strategy'"),
        ("sampling:", "samplings:", "17:1", "unknown key 'samplings'|did you mean 'sampling'"),
        ("version: 1.2.0", "version: 1.2", "2:1", "'version': a semantic version such as 1.2.0|quotes|, not 1.2"),
        ("version: 1.2.0", "version: v1", "2:1", "'version': a semantic version such as 1.2.0|, not 'v1'"),
        ("id: which", "id: 7", "12:5", "'principles[1].id': an id of letters|in quotes|not 7"),
        ("id: which", "id: a b", "12:5", "'principles[1].id': an id of letters|not 'a b'"),
        ("revision: Take it out.", "revision: 1.5", "11:5", 'a text was expected, not 1.5|put it in quotes: "1.5"'),
        ("revision: Take it out.", "revision: [a]", "11:5", "a text was expected, not a list"),
        ("revision: Take it out.", "revision: ' '", "11:5", "the text is empty"),
        ("revision: Take it out.", "sources: a", "11:5", "a list was expected, not 'a'"),
        ("  - id: which", "  -\n  - id: which", "12:4", "'principles[1]': keys and values were expected, not nothing"),
        ('["\\n\\nHuman: hello"]', "Human", "16:3", "'few_shot.critique_revision': a list was expected"),
        ("few_shot:\n", "few_shot:\n  chain_of_thought: [no slot]\n", "16:22", "exactly one {}"),
        ("few_shot:\n", "extends: []\nremove: [a]\nfew_shot:\n", "16:1", "'remove': there is nothing to change"),
        ("version: 1.2.0", "name: again", "2:1", "the key 'name' stands twice: it is on line 1 already"),
        ("    critique: Look", "\tcritique: Look", "9:1", "tab"),
        ("severity: high", "status: !!python/object:os.system x", "8:13", "tags are not read"),
    ],
)
def test_faults_are_placed(tmp_path: Path, old: str, new: str, place: str, words: str) -> None:
    assert old in YAML
    path = write(tmp_path, YAML.replace(old, new))
    with pytest.raises(InputError) as caught:
        load(path)
    assert caught.value.where == f"{path}:{place}"
    assert caught.value.cure
    line = path.read_text(encoding="utf-8").splitlines()[int(place.split(":")[0]) - 1]
    assert f" | {line}".replace("\t", " ") in str(caught.value)
    for part in words.split("|"):
        assert part in str(caught.value)


def test_a_message_reads_well(tmp_path: Path) -> None:
    path = write(tmp_path, YAML.replace("category: safety", "category: safty"))
    with pytest.raises(InputError) as caught:
        load(path)
    assert str(caught.value) == (
        f"{path}:7:5: 'principles[0].category': unknown category 'safty'\n"
        "    7 |     category: safty\n"
        "      |     ^\n"
        "  cure: did you mean 'safety'?"
    )


def test_faults_in_json_are_placed_too(tmp_path: Path) -> None:
    path = write(tmp_path, '{\n "name": "x",\n\t"principles": [\n  {"id": "a", "comparision": "?"}\n ]\n}', "c.json")
    with pytest.raises(InputError, match="did you mean 'comparison'") as caught:
        load(path)
    assert caught.value.where == f"{path}:4:15"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not an empty file"),
        ("# nothing but a comment\n", "not an empty file"),
        ("- id: a\n", "not a list"),
        ("harmless", "not a single value"),
        ("name: x\n", "the key 'principles' is missing"),
        ("name: x\nprinciples:\n", "'principles': the constitution has none"),
        ("name: x\nprinciples: []\n", "'principles': the constitution has none"),
        ("name: {\n", "not YAML"),
    ],
)
def test_what_is_not_a_constitution(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load(write(tmp_path, text))
    assert caught.value.cure


@pytest.mark.parametrize("data", ["name: Gr\xfc\xdfe\n".encode("latin-1"), YAML.encode("utf-16")])
def test_other_encodings_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(data)
    with pytest.raises(InputError, match="not UTF-8") as caught:
        load(path)
    assert str(caught.value.where).startswith(f"{path}:1:")


def test_a_byte_order_mark_is_harmless(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + YAML.encode())
    assert load(path).name == "small"


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="this folder is not a constitution"):
        load(tmp_path)
    with pytest.raises(InputError, match="library:harmless"):
        load("harmless")


# writing -------------------------------------------------------------------------------------------------------------

TEXT = st.text(min_size=1, max_size=60) | st.text("ab \n\t\r\x85\u2028\ufeff:#'\"-{}", min_size=1, max_size=200)
WORDING = TEXT.filter(str.strip)
PRINCIPLES = st.builds(
    lambda critique, revision, comparison, rationale, weight: {
        "critique": critique,
        "revision": revision,
        "comparison": comparison,
        "rationale": rationale,
        "weight": weight,
    },
    st.none() | WORDING,
    WORDING,
    st.none() | WORDING,
    st.none() | WORDING,
    st.floats(1e-6, 1e6),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=st.lists(PRINCIPLES, min_size=1, max_size=3), shots=st.lists(TEXT, max_size=2), name=WORDING)
def test_what_is_dumped_loads_as_it_was(
    tmp_path: Path, items: list[dict[str, Any]], shots: list[str], name: str
) -> None:
    c = Constitution(
        name=name,
        categories=(Category(id="yes", weight=0.1), Category(id="null", tier=3)),
        principles=tuple(Principle(id=f"{i}", category="null", **fields) for i, fields in enumerate(items)),
        few_shot=FewShot(critique_revision=tuple(shots)),
        sampling=Sampling(strategy="weight"),
    )
    path = tmp_path / "dumped.yaml"
    dump(c, path)
    again = load(path)
    assert again == c
    assert again.hash == c.hash
    assert path.read_text(encoding="utf-8").startswith(f"# hash: {c.hash}\n")


# the library ---------------------------------------------------------------------------------------------------------


def test_names_are_listed() -> None:
    assert "harmless" in library.names()
    assert library.names() == sorted(library.names())


@pytest.mark.parametrize("name", library.names())
def test_library_constitutions_load(name: str) -> None:
    c = load(f"library:{name}")
    assert c.name == name
    assert load(Path(f"library:{name}")) == c


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean library:harmless"):
        load("library:harmles")


def test_harmless_has_sixteen_whole_principles() -> None:
    c = load("library:harmless")
    assert len(c.principles) == 16
    assert all(p.critique and p.revision and p.comparison and p.rationale for p in c.principles)
    assert {p.category for p in c.principles} == {category.id for category in c.categories}
    assert len({w for p in c.principles for w in (p.critique, p.revision, p.comparison)}) == 48


def test_harmless_wordings_are_short_single_paragraphs() -> None:
    for p in load("library:harmless").principles:
        for wording in (p.critique, p.revision, p.comparison):
            assert wording is not None
            assert "\n" not in wording
            assert len(wording.split()) <= 75, p.id


def test_dumps_is_plain_yaml() -> None:
    assert dumps(load("library:harmless")).startswith("name: harmless\n")
