"""What the figures show, read back from the drawn objects."""

import made_figures as made
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from normscan.figures.bars import metric_bars
from normscan.figures.curves import pr_curves, roc_curves
from normscan.figures.dice import dice_distributions
from normscan.figures.fidelity import fidelity_distributions, fidelity_rows, shared_rows
from normscan.figures.quality import quality_overview, scan_montage
from normscan.figures.residuals import residual_histograms
from normscan.figures.slices import approach_rows, slice_rows
from normscan.figures.style import FALSE_ALARM, HIT, IGNORED, TRUTH
from normscan.figures.training import training_curve


def texts(figure) -> str:
    figure.canvas.draw()
    return "\n".join(item.get_text() for item in figure.findobj(Text))


def test_curves_hold_the_given_points_and_best_comes_first_in_the_legend():
    figure = pr_curves(made.curves("pr"), prevalence=0.021)
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    np.testing.assert_array_equal(lines["VAE"].get_ydata(), made.curves("pr")["VAE"][1])
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[0] == "VAE (restoration)"
    # Nothing is written where curves would cross it out.
    assert names[-2:] == ["AE (dense)", "chance: 0.021"]
    assert not figure.axes[0].texts


def test_roc_shows_the_left_end_on_a_logarithmic_axis():
    figure = roc_curves(made.curves("roc"))
    assert [axes.get_xscale() for axes in figure.axes] == ["linear", "log"]


def test_bars_are_sorted_and_have_the_right_length():
    figure = metric_bars({"ms": {"a": (0.2, np.nan), "b": (0.5, 0.1), "c": (np.nan, np.nan)}})
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.2, 0.5]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]


def test_bars_mark_the_baseline_of_each_cohort():
    values = {"ms": {"a": (0.2, np.nan), "b": (0.5, np.nan)}, "gb": {"a": (0.3, np.nan)}}
    figure = metric_bars(values, baselines={"ms": "a"})
    assert [float(line.get_xdata()[0]) for line in figure.axes[0].get_lines()] == [0.2]
    assert not figure.axes[1].get_lines()


def test_dice_draws_one_point_per_patient_and_marks_the_oracle():
    values = {"best_dice": {"a": [0.1, 0.4, np.nan], "b": [0.5]}, "oracle": {"a": [0.6, 0.7]}}
    figure = dice_distributions(values)
    points = [collection.get_offsets() for collection in figure.axes[0].collections]
    np.testing.assert_allclose(points[0][:, 0], [0.1, 0.4])
    np.testing.assert_allclose(points[1][:, 0], [0.25])
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert "oracle" in titles[1] and "oracle" not in titles[0]


def test_residual_histograms_are_normalised_and_logarithmic():
    edges = np.linspace(0, 1, 513)
    normal, anomalous = np.zeros(512), np.zeros(512)
    normal[:14] = 5
    anomalous[100:107] = 3
    figure = residual_histograms({"VAE": (edges, normal, anomalous)}, chi_square={"VAE": 0.446})
    axes = figure.axes[0]
    assert axes.get_yscale() == "log"
    for patch in axes.patches:
        assert np.nansum(patch.get_data().values) == pytest.approx(1)
    assert "χ² = 0.446" in texts(figure)


def test_residual_histograms_without_lesions_are_drawn():
    edges, zeros = np.linspace(0, 1, 11), np.zeros(10)
    assert "normal voxels" in texts(residual_histograms({"VAE": (edges, zeros + 1, zeros)}))


def test_rows_of_slices_show_all_columns_with_truth_and_fewer_without():
    figure = slice_rows([made.slice_row("best", 1), made.slice_row("worst", 2)])
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["input", "reconstruction", "anomaly map", "detection", "lesions"]
    figure = slice_rows([made.slice_row("z", 1, truth=False)])
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["input", "reconstruction", "anomaly map", "detection"]


def test_slices_are_shown_with_x_to_the_right_and_y_up():
    image = np.zeros((8, 6))
    image[7, 0] = 1.0  # right, back
    shown = slice_rows([{"label": "a", "image": image}], crop=False).axes[0].get_images()[0]
    assert shown.origin == "lower"
    assert shown.get_array().shape == (6, 8)
    assert shown.get_array()[0, 7] == 1.0


def test_signed_maps_get_a_diverging_scale_that_is_symmetric():
    row = made.slice_row("a", 1)
    row["map"] = row["map"] - 0.05
    images = [axes.get_images() for axes in slice_rows([row]).axes[:5]]
    low, high = images[2][0].get_clim()
    assert low == -high < 0 and images[2][0].get_cmap().name == "RdBu_r"


def test_restored_column_and_empty_input_are_handled():
    blank = np.zeros((16, 16))
    row = {"label": "a", "image": blank, "reconstruction": blank, "map": blank}
    row |= {"detection": blank, "truth": blank, "reconstruction_name": "restored"}
    assert "restored" in texts(slice_rows([row]))
    assert slice_rows([]).axes


def test_uncertainty_is_a_panel_with_a_bar_of_its_own():
    rows = [made.slice_row("best", 1), made.slice_row("worst", 2)]
    rows[0]["uncertainty"] = np.full(rows[0]["image"].shape, 0.25)
    figure = slice_rows(rows)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles[2:4] == ["anomaly map", "uncertainty"] and len(titles) == 6
    bars = [axes.get_ylabel() for axes in figure.axes[12:]]
    assert sorted(bars) == ["anomaly score", "uncertainty (std)"]
    (shown,) = figure.axes[3].get_images()
    assert shown.get_clim() == (0, 0.25)
    assert not figure.axes[9].get_images()


def test_approaches_with_uncertainty_have_a_third_row():
    row = made.slice_row("a", 1)
    results = {
        "AE": {"map": row["map"], "uncertainty": None},
        "VAE": {"map": row["map"], "uncertainty": np.full(row["map"].shape, 0.5)},
    }
    figure = approach_rows(row["image"], results)
    assert "uncertainty" in texts(figure)
    drawn = [bool(axes.get_images()) for axes in figure.axes[6:9]]
    assert drawn == [False, False, True]
    assert figure.axes[8].get_images()[0].get_clim() == (0, 0.5)
    del results["VAE"]
    assert "uncertainty" not in texts(approach_rows(row["image"], results))


def test_approaches_beside_each_other():
    row = made.slice_row("a", 1)
    results = {"intensity": {"reconstruction": None, "map": row["map"]}, "VAE": row}
    figure = approach_rows(row["image"], results, truth=row["truth"])
    assert {"input", "lesions", "intensity", "VAE"} <= set(texts(figure).split("\n"))


def colours(axes) -> set[str]:
    """Colours that masks are filled with."""
    found = set()
    for image in axes.get_images():
        array = np.asarray(image.get_array())
        if array.ndim == 3:
            found |= {to_hex(pixel[:3]).upper() for pixel in array[array[..., 3] > 0]}
    return found


def test_labels_that_do_not_count_are_neither_hits_nor_false_alarms():
    blank = np.ones((12, 12))
    truth, ignored, detection = (np.zeros((12, 12), bool) for _ in range(3))
    truth[1:4, 1:4], ignored[7:10, 7:10] = True, True
    detection[1:4, 1:4] = detection[7:10, 7:10] = True
    row = {"label": "a", "image": blank, "detection": detection, "truth": truth}
    figure = slice_rows([{**row, "ignored": ignored}])
    assert colours(figure.axes[1]) == {HIT, IGNORED}
    assert "other label, not counted" in texts(figure)
    without = slice_rows([row])
    assert colours(without.axes[1]) == {HIT, FALSE_ALARM}
    assert "not counted" not in texts(without)
    # Beside each other: both outlines in the panel of the lesions.
    shown = {"VAE": {"reconstruction": None, "map": blank}}
    panel = approach_rows(blank, shown, truth=truth, ignored=ignored).axes[2]
    lines = {to_hex(c).upper() for part in panel.collections for c in part.get_edgecolor()}
    assert lines == {TRUTH, IGNORED}


def test_training_curve_marks_the_kept_epoch_and_skips_missing_values():
    figure = training_curve([1, 2, 3], [3, 2, 1], [np.nan, 0.5, 0.6], best_epoch=2)
    axes = figure.axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    np.testing.assert_array_equal(lines["validation"].get_xdata(), [2, 3])
    assert "best: epoch 2, 0.5" in lines
    assert len(training_curve([1], [1], [1], terms={"KL": [3]}).axes) == 2


def test_montage_has_two_slices_of_each_orientation_in_world_proportions():
    volume = made.volume(20)
    figure = scan_montage(volume, atlas=volume > 0, brain=volume > 0, spacing=(1, 1, 3), title="a")
    assert len(figure.axes) == 6
    assert [axes.get_aspect() for axes in figure.axes] == [1, 1, 3, 3, 3, 3]
    assert scan_montage(np.zeros((4, 4, 4))).axes


def test_overview_has_a_panel_per_number_and_names_flagged_scans_only():
    table = pd.DataFrame({"scan": ["sub-1", "sub-2"], "brain_ml": [1400.0, 300.0], "note": "x"})
    table["empty"] = np.nan
    figure = quality_overview(table, flagged=["sub-2"])
    assert len([axes for axes in figure.axes if axes.get_visible()]) == 1
    assert "sub-2" in texts(figure) and "sub-1" not in texts(figure)


def test_equal_quality_numbers_have_an_axis_that_can_be_read():
    table = pd.DataFrame({"scan": list("abc"), "border_fraction": 0.0, "scale": 1.2})
    figure = quality_overview(table)
    ranges = {axes.get_title(loc="left"): axes.get_ylim() for axes in figure.axes}
    assert ranges["brain at the border (share)"] == pytest.approx((-0.01, 0.01))
    assert ranges["scale"] == pytest.approx((1.08, 1.32))


def test_fidelity_has_a_panel_for_each_score_and_a_point_for_each_patient():
    quality = {"VAE": np.array([-16.0, -12.0, -20.0]), "AE": np.array([-6.0, -7.0])}
    overlap = {"VAE": np.array([0.5, np.nan, 0.6]), "AE": np.array([0.7, 0.8])}
    figure = fidelity_distributions(quality, overlap)
    shown = texts(figure)
    assert "quality score" in shown and "overlap score" in shown
    # Of each approach a cloud of points, and its mean.
    clouds = [[len(one.get_offsets()) for one in axes.collections] for axes in figure.axes]
    assert clouds == [[3, 1, 2, 1], [2, 1, 2, 1]]


def test_approaches_with_the_same_reconstructions_are_one_row_and_named():
    one, other = np.array([1.0, np.nan]), np.array([2.0, 3.0])
    names, said = shared_rows({"VAE": [one], "AE": [other], "VAE (L1)": [one.copy()]})
    assert names == {"VAE": "VAE (and 1 more)", "AE": "AE"}
    assert "VAE, VAE (L1)" in said
    assert shared_rows({"VAE": [one], "AE": [other]}) == ({"VAE": "VAE", "AE": "AE"}, "")


def test_fidelity_rows_show_image_entropy_and_classes_of_input_and_reconstructions():
    random = np.random.default_rng(0)
    images = {"input": random.random((12, 12)), "VAE": random.random((12, 12))}
    labels = random.integers(0, 3, (2, 12, 12))
    figure = fidelity_rows(images, random.random((2, 12, 12)), labels, ["csf", "grey"])
    shown = texts(figure)
    for word in ("input", "VAE", "image", "entropy (nats)", "classes", "csf", "grey"):
        assert word in shown, word
    drawn = [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()][:6]
    np.testing.assert_array_equal(drawn[2], labels[0].T)
    np.testing.assert_allclose(drawn[3], images["VAE"].T)
