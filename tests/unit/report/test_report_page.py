"""The report as a page: complete, self-contained, escaped, the same every time."""

import html
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import made_content
import pandas as pd
import pytest

from normscan.errors import NormscanError
from normscan.report.content import pairs
from normscan.report.embedding import picture
from normscan.report.failures import failures
from normscan.report.pages import relative_link
from normscan.report.report import build_report
from normscan.report.screening import build_index_page, build_scan_page
from normscan.report.sections import lost_lesions, undetermined_weights

EVIL = "<script>alert(1)</script>"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Reader(HTMLParser):
    """Collects tags, attributes, ids; checks that tags are closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.ids, self.sources, self.links, self.open = [], [], [], [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.sources += [given["src"]] if "src" in given else []
        self.links += [given["href"]] if "href" in given else []
        assert not [name for name in given if name.startswith("on")]
        assert tag != "img" or given["alt"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page() -> str:
    return build_report(made_content.content())


def test_everything_that_was_given_is_on_the_page(page):
    text = html.unescape(re.sub(r"<[^>]+>", " ", page))
    for words in (
        "normscan demo", "demo_tumour", "sub-07", "FLAIR: file is truncated", "hyperintense",
        "VAE (restoration)", "AE (dense) does not beat it", "best possible Dice (oracle)",
        "Dice: best Dice on validation patients", "3D median filter 3×3×3", "Kingma DP",
        "snakemake --profile default", "9f2c1a77b0e4d3aa", "2.13.0", "role: patients",
        "Baur et al. 2021, MSLUB", "412.0 MB", "Nothing failed", "brain volume 2,104 ml",
        "standard deviation over 3 seeds", "6 patients cannot decide about", "no residual",
        "goes by a recipe, with these differences:",
        "side of a slice 64 px (recipe: 128 px)",
    ):  # fmt: skip
        assert words in text, words


def test_page_is_well_formed_and_stands_alone(page):
    reader = Reader(page)
    assert len(reader.ids) == len(set(reader.ids))
    assert all(source.startswith("data:") for source in reader.sources)
    assert "link" not in reader.tags and "iframe" not in reader.tags
    assert reader.tags.count("script") == 1
    assert not re.search(r"url\(|@import", page)
    for link in reader.links:
        assert link.startswith(("#", "https://")), link
        assert not link.startswith("#") or link[1:] in reader.ids, link


def test_equal_content_gives_equal_pages(page):
    assert build_report(made_content.content()) == page


def test_the_report_of_nothing_says_what_is_missing():
    page = build_report({})
    Reader(page)
    for words in (
        "No cohort with lesion masks was scored", "No metrics were given", "No cohort table",
        "No quality control", "No protocol was given", "No versions", "No configuration",
        "No citation text", "No figures were given",
    ):  # fmt: skip
        assert words in page, words


def test_markup_in_any_value_is_shown_and_not_run():
    content = made_content.content()
    content["title"] = EVIL
    content["cohorts"][1]["name"] = EVIL
    content["cohorts"][1]["excluded"] = [{"scan": EVIL, "reason": EVIL}]
    content["run"]["config"] = {EVIL: f"</pre>{EVIL}"}
    content["run"]["versions"] = {EVIL: EVIL}
    evil = {"name": EVIL, "description": EVIL, "after": EVIL, "differences": [EVIL]}
    content["run"]["protocols"] = [evil]
    content["run"]["command"] = EVIL
    content["quality"][0]["cohort"] = EVIL
    content["quality"][0]["table"] = pd.DataFrame({"scan": [EVIL], EVIL: [EVIL]})
    content["quality"][0]["flagged"] = [{"scan": EVIL, "reason": EVIL}]
    content["failures"] = [{"what": EVIL, "why": EVIL}]
    content["figures"] = [{"section": EVIL, "title": f'"{EVIL}', "png": made_content.PIXEL}]
    content["published"][0]["title"] = EVIL
    content["citation"] = {"text": EVIL, "references": [{"key": "a", "text": EVIL, "url": "javascript:alert(1)"}]}  # noqa: E501  # fmt: skip
    rows = content["leaderboards"][0]["rows"].copy()
    rows["approach"] = rows["approach"].str.replace("demo/vae", f"demo/{EVIL}")
    content["leaderboards"][0] |= {"rows": rows, "cohort": EVIL, "titles": {}}
    page = build_report(content)
    reader = Reader(page)
    assert reader.tags.count("script") == 1
    assert EVIL not in page and html.escape(EVIL) in page
    assert not any(link.startswith("javascript") for link in reader.links)


def test_screening_pages_escape_markup():
    content = made_content.scan_page()
    content |= {"scan": EVIL, "cohort": EVIL, "notes": [EVIL], "versions": {EVIL: EVIL}}
    content["results"][0] |= {"title": EVIL, "model": EVIL, "numbers": {EVIL: EVIL}}
    index = made_content.index_page() | {"cohort": EVIL}
    index["scans"][0] |= {"scan": EVIL, "note": EVIL}
    for page in (build_scan_page(content), build_index_page(index)):
        assert EVIL not in page and html.escape(EVIL) in page
        assert Reader(page).tags.count("script") == 1


def test_scan_page_says_what_was_found_and_at_which_threshold():
    page = build_scan_page(made_content.scan_page())
    reader = Reader(page)
    assert "3 components detected, 4.60 ml together, the largest 4.20 ml" in page
    assert "0.40\u00a0% of healthy voxels" in page
    assert "not a medical device" in page
    volumes = re.findall(r'data-value="(4\.2|0\.31|0\.09)"', page)
    assert volumes == ["4.2", "0.31", "0.09"]
    assert {"index.html", "sub-02.html", "sub-01/map.nii.gz"} <= set(reader.links)


def test_scan_page_names_the_space_of_volumes_and_centres():
    page = build_scan_page(made_content.scan_page())
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "are in the scan's own space, on the grid of its FLAIR" in html.unescape(text)
    assert "x (mm)" in text and "atlas x (mm)" in text and "atlas voxels" not in text
    assert "too small for" not in html.unescape(text)
    content = made_content.scan_page()
    content["results"][0]["components"].loc[2, ["volume_ml", "voxels"]] = 0
    page = html.unescape(build_scan_page(content))
    assert "3 components detected, 4.51 ml together" in page
    assert "(1 is too small for the scan's own voxels, or outside of its grid)" in page


def test_scan_page_without_detections_or_results():
    content = made_content.scan_page()
    content["results"][0]["components"] = content["results"][0]["components"].iloc[:0]
    assert "Nothing detected" in build_scan_page(content)
    assert "No approach screened this scan" in build_scan_page({"cohort": "a", "scan": "b"})


def test_approaches_of_several_protocols_are_told_apart():
    """Equal titles, titles that differ in signs only, and one that is called like a part."""
    content = made_content.scan_page()
    (one,) = content["results"]
    entries = [("VAE", "a"), ("VAE", "b"), ("vae!", "a"), ("Viewer", "a"), ("Main", "a")]
    entries += [("Same", "a"), ("Same", "a"), ("Same title", "a"), ("Same", "")]
    content["results"] = [
        {**one, "title": title, "protocol": protocol} for title, protocol in entries
    ]
    reader = Reader(build_scan_page(content))
    assert len(reader.ids) == len(set(reader.ids))
    inside = [link[1:] for link in reader.links if link.startswith("#")]
    assert len(inside) == len(set(inside)) and {*inside} <= {*reader.ids}
    page = build_scan_page(content)
    for title in ("VAE (a)", "VAE (b)"):
        assert f">{title}</a></li>" in page and f'-title">{title}</h2>' in page
    assert ">vae!</h2>" in page and ">Viewer</h2>" in page


def test_pages_lead_back_to_the_report():
    content = made_content.scan_page()
    content["results"][0]["variant"] = "vae_restoration"
    home = {"report": "../../report.html", "board": "board-ms-demo"}
    links = Reader(build_scan_page({**content, **home})).links
    assert links.count("../../report.html") == 1
    assert "../../report.html#board-ms-demo" in links
    assert "../../report.html#approach-demo-vae-restoration" in links
    index = Reader(build_index_page({**made_content.index_page(), **home})).links
    assert {"../../report.html", "../../report.html#board-ms-demo"} <= {*index}
    for alone in (build_scan_page(content), build_index_page(made_content.index_page())):
        assert "report.html" not in alone


def test_every_page_says_which_side_is_which_at_its_foot():
    for orientation, said in (("neurological", "on the left"), ("radiological", "on the right")):
        for build, content in (
            (build_report, made_content.content()),
            (build_scan_page, made_content.scan_page()),
            (build_index_page, made_content.index_page()),
        ):
            page = build({**content, "orientation": orientation})
            foot = page[page.index("<footer>") : page.index("</footer>")]
            assert f"left is {said} ({orientation})" in foot


def test_index_page_links_every_scan():
    reader = Reader(build_index_page(made_content.index_page()))
    assert {f"sub-0{index}.html" for index in range(4)} <= set(reader.links)
    assert "No scan was screened" in build_index_page({"cohort": "a"})


@pytest.mark.parametrize(
    "href", ["", "/etc/passwd", "https://example.org", "javascript:alert(1)", "//host/a", "C:\\a"]
)
def test_links_between_pages_must_be_relative(href):
    with pytest.raises(NormscanError, match="relative"):
        relative_link(href)
    content = made_content.scan_page()
    content["results"][0]["files"] = [{"title": "a", "href": href}]
    with pytest.raises(NormscanError, match="relative"):
        build_scan_page(content)


def test_pictures_are_checked(tmp_path):
    with pytest.raises(NormscanError, match="cannot be read"):
        picture({"png": tmp_path / "missing.png"})
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(NormscanError, match="text.png: not a PNG"):
        picture({"png": tmp_path / "text.png"})
    with pytest.raises(NormscanError, match="has no PNG"):
        picture({"title": "a"})


def test_drawings_are_embedded_as_svg_and_pixels_as_png(tmp_path):
    (tmp_path / "a.svg").write_text('<svg width="72pt" height="36pt"><path/></svg>')
    (tmp_path / "b.svg").write_text('<svg width="72pt" height="36pt"><image/></svg>')
    drawn = picture({"png": made_content.PIXEL, "svg": tmp_path / "a.svg"})
    assert drawn["uri"].startswith("data:image/svg+xml;base64,")
    assert (drawn["width"], drawn["height"]) == (96, 48)
    pixels = picture({"png": made_content.PIXEL, "svg": tmp_path / "b.svg"})
    assert pixels["uri"].startswith("data:image/png;base64,")


def test_lesions_lost_on_the_slice_grid_are_said_once():
    lost = [
        {"scan": "sub-01", "lesions": 2, "ml": 0.031},
        {"scan": "sub-02", "lesions": 1, "ml": 0.008},
    ]
    entries = [
        {"cohort": "ms", "protocol": "a", "lost_lesions": lost},
        {"cohort": "ms", "protocol": "b", "lost_lesions": lost[:1]},
        {"cohort": "healthy", "protocol": "a", "lost_lesions": []},
    ]
    first, second = lost_lesions(entries)
    assert first["what"] == "cohort ms: sub-01"
    assert first["why"].startswith(
        "2 lesions of together 0.031 ml are lost on the slice grid of protocol a and b "
        "and cannot be found by any approach"
    )
    assert second["why"].startswith("1 lesion of 0.008 ml is lost on the slice grid of protocol a ")


def test_what_was_pasted_on_which_scan_is_shown_per_cohort(tmp_path):
    rows = {"02": "ixi/sub-02\tgliomas/sub-05\t12.5\t0.981\tn/a", "01": f"{EVIL}\tmask\t3\t1\tx"}
    paths = []
    for shard, (subject, row) in enumerate(rows.items()):
        path = tmp_path / "synthetic" / "pasted" / f"0{shard}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        head = "scan\thost\tlesion\tlesion_ml\tinside\tpassed_over"
        path.write_text(f"{head}\nsub-{subject}\t{row}\n")
        paths.append(str(path))
    (found,) = pairs(paths)
    assert list(found["table"]["scan"]) == ["sub-01", "sub-02"]
    page = build_report({"pairs": [found]})
    Reader(page)
    for part in ("Lesions of pasted", "gliomas/sub-05", "12.5", html.escape(EVIL)):
        assert part in page
    assert EVIL not in page


def test_flagged_scans_come_first_and_many_pictures_are_cut():
    pictures = [{"scan": f"sub-{index:02d}", "png": made_content.PIXEL} for index in range(40)]
    entry = {"cohort": "a", "flagged": ["sub-39"], "pictures": pictures}
    page = build_report({"quality": [entry]})
    shown = re.findall(r'alt="Slices of (sub-\d+)"', page)
    assert shown[0] == "sub-39" and len(shown) == 24 and "16 more stand in" in page


def test_weights_that_healthy_scans_do_not_determine_are_named():
    tuned = {
        "VAE (restoration), seed 0": {
            "settings": {"tv_weight": 1.164},
            "how": "fallback",
            "reason": "at 3.6 hardly anything is restored",
        },
        "GMVAE, seed 0": {"settings": {"tv_weight": 1.2}, "how": "interior minimum", "reason": ""},
    }
    (line,) = undetermined_weights(tuned)
    assert line["what"] == (
        "the weight of the total variation of VAE (restoration), seed 0 was not determined by "
        "healthy scans"
    )
    assert line["why"] == (
        "at 3.6 hardly anything is restored; the published one is taken, 1.164 at this size of "
        "slices"
    )
    page = build_report({"failures": [line]})
    assert line["what"] in page and line["why"] in page


def test_what_the_checks_found_odd_is_on_the_page():
    odd = "sub-1: a.nii.gz: interpolation rings around its brain"
    checked = {"excluded": {"ms": {"sub-2": "truncated"}}, "warnings": {"ms": [odd], "ixi": []}}
    files = SimpleNamespace(quality=[], thresholds=[])
    page = build_report({"failures": failures(files, checked, {"tuned": {}})})
    for words in ("cohort ms: look at this scan", odd, "ms/sub-2 was left out", "truncated"):
        assert words in page


def test_leaderboards_lead_to_the_pages_of_their_patients():
    content = made_content.content()
    href = "patients/demo/demo_ms/index.html"
    page = build_report({**content, "patients": {("demo_ms", "demo"): href}})
    # In the answer, below the leaderboard, and in every row of it.
    assert page.count(f'<a href="{href}">Look at') == 1
    assert page.count(f'<a href="{href}">Pages of') == 1
    assert page.count(f'<a href="{href}">patients</a>') == len(made_content.TITLES)
    assert "Pages of the test patients" not in build_report(content)
    with pytest.raises(NormscanError, match="relative"):
        build_report({**content, "patients": {("demo_ms", "demo"): "/etc/passwd"}})
