"""The first page of a report: what was asked, what came out, how sure that is."""

import html
import re

import made_content
import numpy as np

from normscan.models import registry
from normscan.report.answer import answer_table, asked
from normscan.report.approaches import approach_rows, approach_table, documentation
from normscan.report.boards import board
from normscan.report.numbers import plus_minus
from normscan.report.pages import TEMPLATES
from normscan.report.report import build_report
from normscan.workflow.introductions import introduction

ROOT = TEMPLATES.parents[3]


def boards() -> list[dict]:
    return [board(entry) for entry in made_content.content()["leaderboards"]]


def test_the_page_goes_from_the_question_to_its_provenance():
    page = build_report(made_content.content())
    order = re.findall(r'<section id="([^"]+)"', page)
    assert order == [
        "question", "answer", "pictures", "leaderboards", "cohorts", "quality", "failures", "run",
        "citation", "glossary",
    ]  # fmt: skip


def test_the_question_names_cohorts_approaches_and_patients():
    said = " ".join(asked(boards(), made_content.content()["cohorts"], 3))
    for part in (
        "How well do 5 approaches find the lesions of demo_ms and demo_tumour",
        "demo_healthy (8 subjects). Each was trained with 3 seeds",
        "demo_ms (6 subjects, sign prior hyperintense)",
    ):
        assert part in said
    assert asked([], [], 1) == []


def test_the_answer_holds_the_best_against_the_baseline_with_its_interval():
    table = answer_table(boards())
    texts = [[cell["text"] for cell in row] for row in table["rows"]]
    assert [row[0] for row in texts] == ["demo_ms", "demo_tumour"]
    first = texts[0]
    assert first[2:4] == ["6", "FLAIR intensity"] and first[5] == "VAE (restoration)"
    assert re.fullmatch(r"\+0\.1\d\d \[\+0\.1\d\d, \+0\.1\d\d\]", first[7])
    kinds = [cell["kind"] for cell in table["rows"][0]]
    assert kinds[5] == kinds[6] == "best" and "best" not in kinds[3:5]
    assert answer_table([]) is None


def test_few_patients_are_said_beside_their_interval():
    table = made_content.metrics(cohorts=("ms",), patients=3)
    tests = {"demo": made_content.paired_tests(table)}
    (one,) = made_content.leaderboard_sections(
        table, titles=made_content.TITLES, baselines={"demo": ["intensity"]}, tests=tests
    )
    ((*_, interval, verdict),) = answer_table([board(one)])["rows"]
    assert "at most a 75 % interval" in interval["small"]
    assert verdict["text"] == "too few patients to decide"


def test_leaderboards_lead_to_what_their_approaches_are():
    content = made_content.content()
    content["approaches"] = [
        {"key": key, "approach": title, "described in": "docs/models/vae.md"}
        for key, title in made_content.TITLES.items()
    ]
    page = build_report(content)
    anchors = set(re.findall(r'href="#(approach-[^"]+)"', page))
    assert len(anchors) == 5
    assert all(f'id="{anchor}"' in page for anchor in anchors)


def test_every_family_is_described_on_a_page_that_exists():
    plugins = {"models": {name: introduction("models", name) for name in registry.families()}}
    for family in registry.families():
        assert (ROOT / documentation(family, plugins)).is_file(), family
    assert (ROOT / documentation("", {})).is_file()


def test_approaches_are_listed_once_for_all_seeds():
    one = {"variant": "vae", "title": "VAE", "family": "vae", "network": "", "detector": "residual"}
    rows = approach_rows(
        {"demo": {"approaches": [one, {**one, "seed": 1}]}},
        {"models": {"vae": {"title": "variational autoencoder", "page": "vae"}}},
    )
    (row,) = rows
    assert row["model"] == "variational autoencoder" and row["detector"] == "residual"
    assert row["described in"] == "docs/models/vae.md"
    assert approach_table(rows)["rows"][0][0]["anchor"] == "approach-demo-vae"


def test_one_value_has_no_spread():
    assert plus_minus(float("nan")) == plus_minus(0.0) == plus_minus(1e-17) == ""
    assert plus_minus(0.0123) == "±\u00a00.012"
    table = made_content.metrics(cohorts=("ms",), seeds=(0,), patients=1)
    (one,) = made_content.leaderboard_sections(table, titles=made_content.TITLES)
    page = html.unescape(build_report({"leaderboards": [one]}))
    shown = page[page.index('id="leaderboards"') : page.index('id="cohorts"')]
    assert "±" not in shown
    assert np.isnan(board(one)["rows"][0].cells[0].seeds_std)
