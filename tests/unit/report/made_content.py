"""Made content of a report and of screening pages, as a run would give it."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd

from normscan.evaluation.metrics import COLUMNS
from normscan.evaluation.published import load_published
from normscan.evaluation.study import comparisons
from normscan.figures.bars import metric_bars
from normscan.figures.curves import pr_curves, roc_curves
from normscan.figures.dice import dice_distributions
from normscan.figures.quality import quality_overview, scan_montage
from normscan.figures.residuals import residual_histograms
from normscan.figures.slices import slice_rows
from normscan.figures.training import training_curve
from normscan.report.boards import leaderboard_sections
from normscan.report.citations import citation
from normscan.workflow.introductions import introductions

TITLES = {
    "demo/intensity": "FLAIR intensity",
    "demo/ae": "AE (dense)",
    "demo/vae": "VAE",
    "demo/vae_restoration": "VAE (restoration)",
    "demo/vae_montecarlo": "Bayesian VAE",
}
AREAS = dict(zip(TITLES, (0.27, 0.20, 0.29, 0.41, 0.31)))
RULES = ("best_dice", "healthy_percentile_98", "healthy_fpr_0.01", "healthy_fpr_0.05")
PIXEL = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f"
    b"\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d"
    b"\x00\x00\x00\x00IEND\xaeB`\x82"
)


def metrics(cohorts=("demo_ms", "demo_tumour"), seeds=(0, 1, 2), patients=6) -> pd.DataFrame:
    """Rows of ``metrics.tsv``."""
    generator = np.random.default_rng(3)
    rows = []
    for cohort in cohorts:
        for approach, area in AREAS.items():
            for seed in seeds:
                jitter = 0 if approach.endswith("intensity") else generator.normal(0, 0.012)

                def add(level, subject, rule, metric, value, key=(cohort, approach, seed)):
                    rows.append((*key, "test", level, subject, None, rule, metric, value))

                add("cohort", None, "none", "auprc", area + jitter)
                add("cohort", None, "none", "auroc", 0.85 + 0.2 * area + jitter)
                add("cohort", None, "oracle", "best_dice", area + 0.08 + jitter)
                if not approach.endswith("intensity"):
                    add("cohort", None, "none", "l1_normal", 0.012 + 0.01 * area)
                    add("cohort", None, "none", "l1_anomalous", 0.06 + 0.1 * area)
                add("cohort", None, "none", "chi_square", 0.2 + 0.6 * area)
                for patient in range(patients):
                    value = area + jitter + 0.05 * (patient / patients - 0.5)
                    add("subject", f"{patient:02d}", "none", "auprc", value)
                for rule in RULES:
                    for patient in range(patients):
                        value = np.clip(area + jitter + generator.normal(0, 0.15), 0, 1)
                        add("subject", f"{patient:02d}", rule, "dice", value)
    return pd.DataFrame(rows, columns=COLUMNS)


def paired_tests(table: pd.DataFrame) -> pd.DataFrame:
    """Paired tests of rows of one protocol, as ``study/{protocol}/tests.tsv`` has them."""
    titled = table.assign(approach=table["approach"].map(TITLES))
    cohorts = titled["cohort"].unique()
    return pd.concat([comparisons(titled, cohort, RULES[0]) for cohort in cohorts])


def png(figure) -> bytes:
    """A figure as PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def protocol() -> dict:
    """A protocol with its recipe, and the one that it is compared with."""
    steps = [
        {"step": "register", "atlas": "robex", "transform": "affine", "spacing": 2.0},
        {"step": "strip_skull", "method": "robex", "reference": "T1w"},
        {"step": "denoise", "method": "curvature", "iterations": 5},
        {"step": "normalise", "method": "percentile", "percentile": 98},
    ]
    model = {"network": "unified", "bottleneck": "dense", "latent": 128}
    approaches = [
        {"title": "FLAIR intensity", "model": "", "detector": "intensity", "settings": {}},
        {"title": "AE (dense)", "model": "ae", "detector": "reconstruction", "settings": {}},
        {
            "title": "VAE (restoration)",
            "model": "vae",
            "detector": "restoration",
            "settings": {"steps": 30},
        },
    ]
    recipe = {
        "contrasts": ["FLAIR"],
        "steps": steps,
        "slices": {"size": 64},
        "shares": [100],
        "models": {"ae": {"family": "ae", **model}, "vae": {"family": "vae", **model}},
        "approaches": approaches,
        "postprocessing": {"erosion": 1, "median": 3, "minimum_voxels": 8},
        "rules": ["best_dice", "healthy_fpr_0.01"],
    }
    reference = {"name": "comparative_study", "recipe": {**recipe, "slices": {"size": 128}}}
    known = {"recipe": recipe, "reference": reference}
    return {"name": "demo", "citation": "baur2021", "used": [], **known}


def content(made=None) -> dict:
    """Everything that a report shows; ``made`` = module with drawings (none: no figures)."""
    table = metrics()
    return {
        "title": "normscan demo",
        "run": {
            "versions": {"normscan": "0.1.0", "torch": "2.13.0", "antspyx": "0.6.1"},
            "config": {
                "title": "normscan demo",
                "seeds": [0, 1, 2],
                "cohorts": {"demo_ms": {"role": "patients"}},
            },
            "protocols": [
                {
                    "name": "demo",
                    "description": "A small version of the comparative study.",
                    "after": "This protocol goes by a recipe, with these differences",
                    "differences": ["slices: side of a slice 64 px (recipe: 128 px)"],
                }
            ],
            "fingerprint": "9f2c1a77b0e4d3aa",
            "device": "cpu",
            "seeds": [0, 1, 2],
            "command": "snakemake --profile default",
        },
        "citation": citation(
            [protocol()], simulated=True, plugins=introductions([protocol()["recipe"]])
        ),
        "cohorts": [
            {
                "name": "demo_healthy",
                "role": "healthy",
                "prior": "none",
                "scans": 10,
                "contrasts": ["T1w", "T2w", "FLAIR"],
                "splits": {"train": 8, "validation": 2},
            },
            {
                "name": "demo_ms",
                "role": "patients",
                "prior": "hyperintense",
                "scans": 8,
                "contrasts": ["T1w", "FLAIR"],
                "splits": {"validation": 2, "test": 6},
                "excluded": [{"scan": "sub-07", "reason": "FLAIR: file is truncated"}],
            },
            {
                "name": "demo_tumour",
                "role": "patients",
                "prior": "none",
                "scans": 6,
                "contrasts": ["T1w", "FLAIR"],
                "splits": {"test": 6},
            },
        ],
        "quality": quality(made),
        "leaderboards": leaderboard_sections(
            table,
            titles=TITLES,
            baselines={"demo": ["intensity"]},
            tests={"demo": paired_tests(table)},
            priors={"demo_ms": "hyperintense", "demo_tumour": "none"},
            postprocessing={"demo": {"erosion": 1, "median": 3, "minimum_voxels": 8}},
        ),
        "published": [
            {
                "title": "Baur et al. 2021, MSLUB",
                "note": "Table V, unified network, 128×128 FLAIR slices.",
                "table": load_published("baur2021", dataset="MSLUB").drop(
                    columns=["dataset", "source"]
                ),
            }
        ],
        "figures": figures(made) if made else [],
        "storage": pd.DataFrame(
            {
                "stage": ["preprocessing", "training"],
                "files": [24, 6],
                "bytes": [412_000_000, 14_200_000],
            }
        ),
        "failures": [],
    }


def quality(made=None) -> list[dict]:
    """Quality control of one cohort."""
    generator = np.random.default_rng(0)
    scans = [f"sub-{index:02d}" for index in range(8)]
    table = pd.DataFrame(
        {
            "scan": scans,
            "brain_ml": generator.normal(1400, 60, 8),
            "mask_overlap": generator.normal(0.95, 0.01, 8),
            "similarity": generator.normal(0.8, 0.02, 8),
        }
    )
    table.loc[3, "brain_ml"] = 2104.0
    entry = {
        "cohort": "demo_ms",
        "table": table,
        "flagged": [{"scan": "sub-03", "reason": "brain volume 2,104 ml, far above the cohort"}],
    }
    if made:
        volume = made.volume()
        entry["overview"] = png(quality_overview(table, flagged=["sub-03"]))
        entry["pictures"] = [
            {
                "scan": scan,
                "png": png(scan_montage(volume, atlas=volume > 0, flagged=scan == "sub-03")),
            }
            for scan in scans[:5]
        ]
    return [entry]


def figures(made) -> list[dict]:
    """Figures of all sections."""
    bars = {
        cohort: {TITLES[name]: (area, 0.012) for name, area in AREAS.items()}
        for cohort in ("demo_ms", "demo_tumour")
    }
    rows = [
        made.slice_row(f"{name}\nsub-0{seed}\nDice {dice}", seed)
        for seed, (name, dice) in enumerate((("best", 0.61), ("median", 0.4), ("worst", 0.12)))
    ]
    epochs = np.arange(1, 41)
    return [
        {
            "section": "Curves",
            "title": "Precision and recall, demo_ms",
            "png": png(pr_curves(made.curves("pr"), prevalence=0.021)),
            "caption": "Voxels of all test patients pooled. Dotted: guessing.",
        },
        {
            "section": "Curves",
            "title": "ROC, demo_ms",
            "png": png(roc_curves(made.curves("roc"))),
            "caption": "Right: the same curves with a logarithmic axis.",
        },
        {
            "section": "Curves",
            "title": "AUPRC of all approaches",
            "png": png(metric_bars(bars, baselines="FLAIR intensity")),
            "caption": "Dashed: the training-free baseline.",
        },
        {
            "section": "Dice",
            "title": "Dice per patient, demo_ms",
            "png": png(dice_distributions(made.dice())),
            "caption": "A point per patient; the diamond is the mean.",
        },
        {
            "section": "Residuals",
            "title": "Residual histograms, demo_ms",
            "png": png(residual_histograms(made.histograms())),
            "caption": "Residuals of exactly zero are left out.",
        },
        {
            "section": "Slices",
            "title": "VAE (restoration), demo_ms",
            "png": png(slice_rows(rows)),
            "caption": "The best, the median and the worst patient by Dice.",
        },
        {
            "section": "Training",
            "title": "VAE, seed 0",
            "png": png(
                training_curve(
                    epochs,
                    0.1 * np.exp(-epochs / 8) + 0.02,
                    0.1 * np.exp(-epochs / 9) + 0.025,
                    best_epoch=37,
                )
            ),
            "caption": "The weights of the marked epoch are kept.",
        },
    ]


def scan_page(made=None) -> dict:
    """A screened scan."""
    components = pd.DataFrame(
        {
            "component": [1, 2, 3],
            "volume_ml": [0.31, 4.2, 0.09],
            "voxels": [39, 525, 11],
            "x_mm": [-22.0, 31.5, 4.0],
            "y_mm": [10.0, -40.0, 2.0],
            "z_mm": [22.0, 18.0, 40.0],
            "mean_score": [0.21, 0.34, 0.19],
            "max_score": [0.3, 0.61, 0.22],
            "atlas_voxels": [5, 66, 1],
            "atlas_x_mm": [-20.0, 30.0, 5.0],
            "atlas_y_mm": [24.0, -27.0, 15.0],
            "atlas_z_mm": [30.0, 26.0, 49.0],
        }
    )
    result = {
        "title": "VAE (restoration)",
        "protocol": "demo",
        "model": "vae",
        "detector": "restoration",
        "contrast": "FLAIR",
        "seed": 0,
        "prior": "hyperintense",
        "postprocessing": {"erosion": 1, "median": 3, "minimum_voxels": 8},
        "components": components,
        "thresholds": [
            {"rule": "best_dice", "value": 0.1804, "false_positive_rate": 0.004, "used": True},
            {"rule": "healthy_fpr_0.01", "value": 0.1432, "false_positive_rate": 0.01},
        ],
        "numbers": {"brain volume (ml)": 1402.0, "voxels screened": 175_000},
        "files": [
            {"title": "Anomaly map", "href": "sub-01/map.nii.gz"},
            {"title": "Detections in native space", "href": "../native/sub-01.nii.gz"},
        ],
    }
    if made:
        rows = [made.slice_row(f"z = {22 + 4 * seed} mm", seed, truth=False) for seed in range(4)]
        result["picture"] = {
            "png": png(slice_rows(rows)),
            "caption": "The slices with most detected voxels.",
        }
    return {
        "cohort": "demo_new",
        "scan": "sub-01",
        "contrast": "FLAIR",
        "results": [result],
        "index": "index.html",
        "next": "sub-02.html",
        "versions": {"normscan": "0.1.0", "torch": "2.13.0"},
    }


def index_page() -> dict:
    """The index of a screened cohort."""
    scans = [
        {
            "scan": f"sub-0{index}",
            "page": f"sub-0{index}.html",
            "approach": "VAE (restoration)",
            "components": 3 - index,
            "volume_ml": 4.6 / (index + 1),
            "largest_ml": 4.2 / (index + 1),
            "max_score": 0.61,
        }
        for index in range(4)
    ]
    return {
        "cohort": "demo_new",
        "scans": scans,
        "excluded": [{"scan": "sub-09", "reason": "no FLAIR"}],
        "facts": {"approach": "VAE (restoration)", "seed": 0},
    }
