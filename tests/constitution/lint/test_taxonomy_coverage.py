"""Taxonomies of harms, and what a constitution covers of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from linting import findings, source

from charter.constitution.lint import Taxonomy, coverage
from charter.constitution.schema import Constitution
from charter.core.errors import InputError

OWN = """\
name: ours
version: "2"
hazards:
  - {id: H1, title: Bad Weather, terms: [rain*, hail storm]}
  - {id: H2, title: Late Trains, terms: [delay]}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "ours.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def of(**fields: object) -> Constitution:
    principle = {"id": "p", "comparison": "Which answer is kinder?"} | fields
    return Constitution.model_validate({"name": "c", "categories": [{"id": "late-trains"}], "principles": [principle]})


def test_the_default_is_the_published_one() -> None:
    taxonomy = Taxonomy.load()
    assert taxonomy.label == "MLCommons AILuminate v1.0"
    assert [h.id for h in taxonomy.hazards] == [f"S{i}" for i in range(1, 13)]
    assert [h.title for h in taxonomy.hazards][:3] == ["Violent Crimes", "Non-Violent Crimes", "Sex-Related Crimes"]
    assert taxonomy.hazards[10].slug == "suicide-self-harm"
    assert all(h.terms and h.description for h in taxonomy.hazards)


@pytest.mark.parametrize(
    ("fields", "covered", "part"),
    [
        ({"tags": ["H1"]}, "H1", "tag"),
        ({"tags": ["h1"]}, "H1", "tag"),
        ({"tags": ["Bad weather"]}, "H1", "tag"),
        ({"tags": ["bad-weather"]}, "H1", "tag"),
        ({"tags": ["rainy-days"]}, "H1", "tag"),
        ({"category": "late-trains"}, "H2", "category"),
        ({"comparison": "Which answer is drier in the rain?"}, "H1", "comparison"),
        ({"comparison": "Which answer fears a hail-storm less?"}, "H1", "comparison"),
        ({"revision": "Rewrite it without a delay."}, "H2", "revision"),
        ({"comparison": "Which answer fears delays less?"}, None, ""),
        ({"comparison": "Which answer is better brainstorming?"}, None, ""),
        ({"comparison": 'Which answer says "rain" less often?'}, None, ""),
        ({"rationale": "It may rain."}, None, ""),
        ({"id": "rain"}, None, ""),
        ({"tags": ["H1"], "status": "retired"}, None, ""),
    ],
)
def test_what_covers_a_hazard(tmp_path: Path, fields: dict[str, object], covered: str | None, part: str) -> None:
    found = coverage(of(**fields), Taxonomy.load(write(tmp_path, OWN)))
    assert found.taxonomy == "ours v2"
    assert [h.id for h in found.hazards if h.evidence] == ([covered] if covered else [])
    assert {e.part for h in found.hazards for e in h.evidence} == ({part} if covered else set())
    assert [h.id for h in found.missing] == [h for h in ("H1", "H2") if h != covered]


def test_dimensions() -> None:
    constitution = of(comparison="Which answer is kinder and fairer?", tags=["warmth"]).model_copy(
        update={"dimensions": ("warmth", "calm")}
    )
    found = {d.id: [(e.part, e.words) for e in d.evidence] for d in coverage(constitution).dimensions}
    assert list(found) == ["helpfulness", "harmlessness", "honesty", "fairness", "respect", "warmth", "calm"]
    assert found["respect"] == [("comparison", "kinder")]
    assert found["fairness"] == [("comparison", "fairer")]
    assert found["warmth"] == [("tag", "warmth")]
    assert not found["calm"]
    assert coverage(constitution).dimensions[4].principles == ("p",)


def test_the_rule_uses_the_taxonomy(tmp_path: Path) -> None:
    text = "name: c\nprinciples:\n  - {id: a, tags: [H1], comparison: Which answer is kinder?}\n"
    (found,) = findings(text, "CC308", taxonomy=Taxonomy.load(write(tmp_path, OWN)))
    assert found.message == "1 of 2 hazards of ours v2 are covered by no principle: H2 Late Trains"
    assert source(text).name == "example.yaml"


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("- a\n", "ours.yaml", "a taxonomy is a mapping"),
        ("name: x\n", "ours.yaml", "'hazards' is missing"),
        ("name: x\nhazards: []\n", "ours.yaml:2", "hazards"),
        ("name: x\nhazards:\n  - {id: a}\n", "ours.yaml:3", "title"),
        ("name: x\nhazards:\n  - {id: a, title: A, term: [b]}\n", "ours.yaml:3", "did you mean 'terms'"),
        ("name: x\nhazards:\n  - {id: a, title: A, terms: ['*']}\n", "ours.yaml:3", "a term is a word or a phrase"),
        ("name: x\nhazards:\n  - {id: a, title: A}\n  - {id: a, title: B}\n", "ours.yaml", "stands twice: a"),
    ],
)
def test_faulty_taxonomies_are_refused(tmp_path: Path, text: str, where: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        Taxonomy.load(write(tmp_path, text))
    assert where in str(caught.value)
    assert words in str(caught.value)


def test_a_missing_taxonomy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        Taxonomy.load(tmp_path / "none.yaml")
