"""Pictures and tables beside the report: small page, links that hold, nothing loaded too early."""

import re
import shutil

import made_content
import pytest

from normscan.errors import NormscanError
from normscan.report import embedding
from normscan.report.drawn import figure_groups, key_figures
from normscan.report.embedding import Pictures
from normscan.report.report import build_report

BEST = "demo/vae_restoration"


@pytest.fixture
def results(tmp_path):
    """A results folder, and the content of a report whose figures lie in it."""
    content = made_content.content()
    folder = tmp_path / "results"
    names = ["auprc", "slices_vae_restoration", *(f"slices_{number}" for number in range(200))]
    figures = []
    for name in names:
        png = folder / "figures" / "demo" / "demo_ms" / f"{name}.png"
        png.parent.mkdir(parents=True, exist_ok=True)
        png.write_bytes(made_content.PIXEL + b"\0" * 100_000)
        of = {} if name == "auprc" else {"cohort": "demo_ms"}
        figures.append(
            {"section": "Slices", "title": name, "name": name, "protocol": "demo", "png": str(png)}
            | of
        )
    metrics = folder / "metrics.tsv"
    metrics.write_text("")
    return folder, {**content, "figures": figures, "metrics": str(metrics)}


def sources(page: str) -> list[str]:
    return re.findall(r'<img src="([^"]+)"', page)


def test_the_pictures_of_the_answer_are_inside_and_all_others_are_linked(results):
    folder, content = results
    page = build_report(content, folder)
    inside = [source for source in sources(page) if source.startswith("data:")]
    linked = [source for source in sources(page) if not source.startswith("data:")]
    assert len(inside) == 2 and len(linked) == len(content["figures"])
    assert all((folder / source).is_file() for source in linked)
    assert page.count('loading="lazy"') == len(linked)
    assert len(page) < 1_000_000 < sum(len(made_content.PIXEL) + 100_000 for _ in linked)


def test_a_page_is_small_however_many_pictures_belong_to_the_answer(results, monkeypatch):
    folder, content = results
    monkeypatch.setattr(embedding, "KEY_BYTES", 150_000)
    page = build_report(content, folder)
    assert sum(source.startswith("data:") for source in sources(page)) == 1


def test_all_pictures_are_inside_where_that_is_asked_for(results):
    folder, content = results
    page = build_report(content, folder, embed=True)
    assert all(source.startswith("data:") for source in sources(page))
    assert "file:" not in page[: page.index("</head>")]


def test_tables_and_pictures_can_be_downloaded(results):
    folder, content = results
    page = build_report(content, folder)
    links = re.findall(r'<a href="([^"]+)" download', page)
    assert {"metrics.tsv", "figures/demo/demo_ms/auprc.png"} <= set(links)
    assert all((folder / link).is_file() for link in links)
    assert not re.search(r"<a [^>]*download", build_report(content)), "no folder, nothing beside"


def test_a_moved_folder_gives_the_same_page(results, tmp_path, monkeypatch):
    folder, content = results
    page = build_report(content, folder)
    shutil.copytree(folder, tmp_path / "other" / "results")
    monkeypatch.chdir(tmp_path / "other")
    for one in content["figures"]:
        one["png"] = one["png"].replace(str(folder), "results")
    assert build_report({**content, "metrics": "results/metrics.tsv"}, "results") == page


def test_a_linked_picture_is_checked_as_well(tmp_path):
    (tmp_path / "text.png").write_text("no picture, but as long as the head of one")
    for name, said in {"missing.png": "cannot be read", "text.png": "not a PNG"}.items():
        with pytest.raises(NormscanError, match=said):
            Pictures(tmp_path).shown({"png": str(tmp_path / name)})


def test_links_are_written_as_addresses(tmp_path):
    assert Pictures(tmp_path).link(tmp_path / "a b" / 'c"#?.png') == "a%20b/c%22%23%3F.png"
    assert Pictures(tmp_path / "results").link(tmp_path / "a.tsv") == "../a.tsv"


def test_the_answers_pictures_are_those_of_each_protocol_and_of_each_boards_best():
    class Row:
        approach = BEST

    boards = [
        {"combined": True, "best": Row, "protocol": "all protocols", "cohort": "ms"},
        {"combined": False, "best": Row, "protocol": "demo", "cohort": "ms"},
        {"combined": False, "best": None, "protocol": "demo", "cohort": "tumour"},
    ]
    of = {"protocol": "demo", "cohort": "ms"}
    figures = [
        {**of, "name": "slices_vae"},
        {**of, "name": "slices_vae_restoration"},
        {"protocol": "demo", "name": "auprc"},
        {"protocol": "other", "name": "auprc"},
        {"title": "of nothing that is known"},
    ]
    assert key_figures(figures, boards) == [figures[2], figures[1]]


def test_figures_are_sorted_by_kind_and_by_what_they_are_of():
    figures = [
        {"section": section, "title": title, "cohort": cohort, "protocol": "p",
         "png": made_content.PIXEL}
        for section, title, cohort in (
            ("Training", "a", ""), ("Curves", "b", "ms"), ("New", "c", ""), ("Curves", "d", "gb"),
            ("Curves", "e", "ms"),
        )
    ]  # fmt: skip
    groups = figure_groups(figures, Pictures())
    assert [(name, amount) for name, amount, _ in groups] == [
        ("Curves", 3),
        ("Training", 1),
        ("New", 1),
    ]
    (_, _, curves), *_ = groups
    assert [(of, [one["title"] for one in shown]) for of, shown in curves] == [
        ("ms · p", ["b", "e"]),
        ("gb · p", ["d"]),
    ]


def test_pictures_of_quality_control_are_turned_for_radiologists():
    entry = {"cohort": "a", "pictures": [{"scan": "sub-1", "png": made_content.PIXEL}]}
    usual = build_report({"quality": [entry]})
    turned = build_report({"quality": [entry], "orientation": "radiological"})
    assert 'class="strips"' in usual and "left is on the left (neurological)" in usual
    assert 'class="strips turned"' in turned
    assert "left is on the right (radiological). Their files have it on the left." in turned
