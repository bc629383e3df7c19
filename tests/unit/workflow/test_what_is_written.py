"""What is written and how it is shown: as the configuration says, and nothing without it."""

from pathlib import Path

import pytest
import yaml

from normscan.errors import ConfigError
from normscan.workflow.configuration import load_study

ROOT = Path(__file__).resolve().parents[3]


def study(tmp_path, **changes):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config.pop("volumes")
    return load_study({**config, **changes}, tmp_path, ROOT / "protocols")


def test_nothing_is_written_that_is_not_asked_for(tmp_path):
    kinds = ("detections", "maps", "reconstructions", "uncertainties")
    nothing = dict.fromkeys(kinds, "none")
    assert study(tmp_path).volumes == nothing
    asked = study(tmp_path, volumes={"detections": "both"})
    assert asked.volumes == {**nothing, "detections": "both"}


def test_the_demo_shows_detections_and_maps_in_the_scans_own_space():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert config["volumes"]["detections"] == config["volumes"]["maps"] == "native"


@pytest.mark.parametrize(
    ("volumes", "message"),
    [
        ({"maps": "nativ"}, "config.volumes.maps: found 'nativ' .did you mean 'native'"),
        (
            {"uncertainties": "both spaces"},
            "config.volumes.uncertainties: found 'both spaces'.*none, native, atlas, both",
        ),
        ({"map": "native"}, "config.volumes.map: unknown key .did you mean 'maps'"),
        ({"maps": True}, "config.volumes.maps: found True.*allowed: none, native, atlas, both"),
    ],
)
def test_what_cannot_be_written_is_named(tmp_path, volumes, message):
    with pytest.raises(ConfigError, match=message):
        study(tmp_path, volumes=volumes)


def test_slices_are_turned_and_pictures_embedded_where_that_is_asked_for(tmp_path):
    usual, asked = (
        study(tmp_path),
        study(tmp_path, figures={"orientation": "radiological"}, report={"embed": True}),
    )
    assert usual.figures == {"orientation": "neurological"} and usual.report == {"embed": False}
    assert asked.figures == {"orientation": "radiological"} and asked.report == {"embed": True}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"figures": {"orientation": "radiologic"}},
            "config.figures.orientation: found 'radiologic' .did you mean 'radiological'",
        ),
        ({"figures": {"side": "left"}}, "config.figures.side: unknown key"),
        ({"report": {"embed": "yes"}}, "config.report.embed: found 'yes'"),
    ],
)
def test_what_cannot_be_shown_is_named(tmp_path, values, message):
    with pytest.raises(ConfigError, match=message):
        study(tmp_path, **values)
