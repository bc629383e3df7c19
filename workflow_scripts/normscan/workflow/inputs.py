"""What rules take: inputs and parameters by wildcards.

Parameters hold exactly the values a rule uses, so that a change of one makes only that rule and
what follows it stale.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from normscan.cohorts.scans import CONTRASTS
from normscan.detectors.registry import describe
from normscan.errors import NormscanError
from normscan.files import file_digest
from normscan.workflow.plan import RAW, Job, Plan, variant_parts
from normscan.workflow.protocols import NO_MODEL

# Every job of some rules asks, and a folder would be looked through each time.
described = cache(describe)


class Inputs(Plan):
    """The plan with one method per question a rule asks."""

    # Cohorts and preprocessing

    def simulation_settings(self, cohort: str) -> dict[str, Any]:
        """How a cohort's scans are simulated; their number has no part in any one of them."""
        settings = self.study.simulation[cohort]
        return {key: value for key, value in settings.items() if key != "subjects"}

    def scan_files(self, cohort: str, shard: str) -> list[str]:
        """Every file of a shard's scans."""
        found = []
        for scan in self.shards[cohort][shard]:
            found += [*scan.images.values(), scan.brain_mask, scan.lesion_mask]
        return [path for path in dict.fromkeys(found) if path]

    def scan_records(self, cohort: str, shard: str) -> list[dict[str, Any]]:
        """A shard's scans as plain values."""
        return [
            {
                "cohort": cohort,
                "subject": scan.subject,
                "session": scan.session,
                "images": dict(scan.images),
                "brain_mask": scan.brain_mask,
                "lesion_mask": scan.lesion_mask,
            }
            for scan in self.shards[cohort][shard]
        ]

    def needed_contrasts(self, cohort: str) -> list[str]:
        """Contrasts that the protocols which use a cohort need."""
        role = self.study.cohorts[cohort].role
        users = [p for p in self.study.protocols.values() if p.uses(cohort, role)]
        return sorted({contrast for protocol in users for contrast in protocol.contrasts})

    def chain_contrasts(self, chain: str, cohort: str) -> list[str]:
        """Contrasts to carry through a chain: those needed and the reference of any step."""
        role = self.study.cohorts[cohort].role
        needed: set[str] = set()
        for name, protocol in self.study.protocols.items():
            mine = self.chain[name]
            if protocol.uses(cohort, role) and (mine == chain or mine.startswith(chain + "+")):
                references = {step.settings.get("reference") for step in protocol.steps}
                needed |= {*protocol.contrasts, *(set(CONTRASTS) & references)}
        return sorted(needed)

    def cohort_context(self, cohort: str) -> dict[str, Any]:
        """What registration and skull stripping must know of a cohort."""
        found = self.study.cohorts[cohort]
        return {"skull_stripped": found.skull_stripped, "cohort_space": found.space}

    def reference_manifest(self, chain: str, reference: str) -> list[str]:
        """Manifest of the shard that holds ``cohort/scan``; nothing when a file is meant."""
        cohort, _, scan = (reference or "").partition("/")
        if cohort not in self.shards:
            return []
        for shard, scans in self.shards[cohort].items():
            if scan in {one.id for one in scans}:
                return [self.path("preprocessed", chain, cohort, f"{shard}.json")]
        raise NormscanError(
            f"match_histogram.reference: cohort '{cohort}' has no scan '{scan}'; "
            "write cohort/sub-LABEL or a path"
        )

    def preprocessing_fingerprint(self, chain: str) -> list[dict[str, Any]]:
        """The steps of a chain with all their settings: what scans must have in common."""
        steps = [self.steps[label] for label in chain.split("+")[1:]]
        return [{"step": step.kind, **step.settings} for step in steps]

    def all_packs(self) -> list[str]:
        """Slice packs of all cohorts, the unlabelled ones as well, for the protocols they serve."""
        found = []
        for name, protocol in self.study.protocols.items():
            used = [
                cohort
                for cohort, entry in self.study.cohorts.items()
                if protocol.uses(cohort, entry.role)
            ]
            found += self.packed(self.chain[name], self.pack[name], used)
        return list(dict.fromkeys(found))

    # Maps and detections

    def map_manifest(self, w) -> str:
        """Anomaly maps of one shard."""
        return f"{self.map_folder(w.protocol, w.variant, w.seed)}/{w.cohort}/{w.shard}.json"

    def pack_index(self, w) -> str:
        """Index of the slice pack of one shard."""
        chain, pack = self.chain[w.protocol], self.pack[w.protocol]
        return self.path("slices", chain, pack, w.cohort, f"{w.shard}.json")

    def pack_array(self, w) -> str:
        """Slices of one shard."""
        return self.pack_index(w).removesuffix(".json") + ".npy"

    def lesion_labels(self, cohort: str) -> list[int]:
        """Mask labels that count as lesion; empty: all but 0."""
        classes = self.study.cohorts[cohort].lesion_classes
        labels = [one if isinstance(one, list) else [one] for one in classes.values()]
        return sorted({label for group in labels for label in group})

    def healthy_histograms(self, w) -> list[str]:
        """Score histograms of healthy scans under every prior in use."""
        job = Job(w.protocol, w.variant, w.seed)
        return [
            path
            for prior in self.priors(w.protocol)
            for cohort in self.training_cohorts(w.protocol)
            for path in self.filtered(job, cohort, prior, ".npz")
        ]

    def validation_histograms(self, w) -> list[str]:
        """Score histograms of the patient cohorts that calibrate operating points."""
        job = Job(w.protocol, w.variant, w.seed)
        return [
            path
            for cohort in self.calibration_cohorts(w.protocol)
            for path in self.filtered(job, cohort, self.study.cohorts[cohort].prior, ".npz")
        ]

    def calibration_subjects(self, w) -> list[str]:
        """Split tables of all cohorts that thresholds are found on."""
        names = [*self.training_cohorts(w.protocol), *self.calibration_cohorts(w.protocol)]
        return [self.path("cohorts", name, "subjects.tsv") for name in names]

    def rule_records(self, protocol: str) -> list[dict[str, Any]]:
        """Threshold rules as plain values, with the cohorts that calibrate them filled in."""
        calibrating = self.calibration_cohorts(protocol)
        records = []
        for rule in self.study.protocols[protocol].rules:
            settings = dict(rule.settings)
            if "cohorts" in settings:
                chosen = settings["cohorts"] or self.evaluation_cohorts(protocol)
                settings["cohorts"] = [name for name in chosen if name in calibrating]
            records.append({"label": rule.label, "kind": rule.kind, "settings": settings})
        return records

    def calibration_priors(self, protocol: str) -> dict[str, str]:
        """Sign prior of every patient cohort that calibrates operating points."""
        return {name: self.study.cohorts[name].prior for name in self.calibration_cohorts(protocol)}

    def filtered_manifest(self, w) -> str:
        """Filtered maps of one shard under its cohort's prior."""
        prior = self.study.cohorts[w.cohort].prior
        folder = Job(w.protocol, w.variant, w.seed).folder
        return self.path("detections", folder, f"filtered-{prior}", w.cohort, f"{w.shard}.json")

    # Evaluation

    def evaluated_histograms(self, w, suffix: str = ".npz") -> list[str]:
        """Score histograms of a patient cohort under its own prior, or what stands beside them."""
        job = Job(w.protocol, w.variant, w.seed)
        return self.filtered(job, w.cohort, self.study.cohorts[w.cohort].prior, suffix)

    def is_residual(self, variant: str) -> bool:
        """Whether a variant's maps are residuals of a reconstruction, as its detector says."""
        return self._detector(variant)["residual"]

    def _detector(self, variant: str) -> dict[str, Any]:
        """What a variant's detector says of itself."""
        approach, _ = variant_parts(variant)
        return described(self.approach(approach).detector)

    def is_signed(self, variant: str) -> bool:
        """Whether the sign of a variant's maps says brighter or darker, as its detector says."""
        return self._detector(variant)["signed"]

    def scores_voxels(self, variant: str) -> bool:
        """Whether a variant makes maps; a detector may score slices only."""
        return "voxel" in self._detector(variant)["levels"]

    def detected_scores(self, w, suffix: str = ".tsv") -> list[str]:
        """Segmentation scores of a patient cohort, or what else stands beside them."""
        folder = Job(w.protocol, w.variant, w.seed).folder
        return [
            self.path("detections", folder, "detected", w.cohort, f"{shard}{suffix}")
            for shard in self.shards[w.cohort]
        ]

    def evaluation_files(self, protocol: str, cohort: str, suffix: str) -> list[str]:
        """Evaluations of a cohort by every variant and seed of a protocol."""
        return [self.path("evaluation", job.folder, cohort + suffix) for job in self.jobs(protocol)]

    def evaluation_tables(self) -> list[str]:
        """Every evaluation of every protocol."""
        return [
            path
            for protocol in self.study.protocols
            for cohort in self.evaluation_cohorts(protocol)
            for path in self.evaluation_files(protocol, cohort, ".tsv")
        ]

    # Bundles and screening

    def bundle_parts(self, w) -> dict[str, str]:
        """Files that make up an approach's bundle."""
        approach, _ = variant_parts(w.variant)
        if self.approach(approach).model == NO_MODEL:
            return {}
        folder = self.model_folder(w.protocol, w.variant, w.seed)
        parts = {"weights": f"{folder}/weights.safetensors", "model": f"{folder}/bundle.json"}
        if "auto" in self.approach(approach).settings.values():
            parts["tuned"] = f"{self.map_folder(w.protocol, w.variant, w.seed)}/tuned.json"
        return parts

    def approach_record(self, protocol: str, variant: str) -> dict[str, Any]:
        """What a bundle says of its approach."""
        name, share = variant_parts(variant)
        approach, spec = self.approach(name), self.study.protocols[protocol]
        return {
            "protocol": protocol,
            "approach": name,
            "share": share,
            "title": approach.title,
            "model": approach.model,
            "detector": approach.detector,
            "settings": approach.settings,
            "postprocessing": spec.postprocessing,
            "primary_rule": spec.rules[0].label,
            "contrasts": list(spec.contrasts),
        }

    def pack_fingerprint(self, protocol: str) -> dict[str, Any]:
        """What a scan must have in common with the scans a bundle was made from."""
        spec = self.study.protocols[protocol]
        return {
            "preprocessing": self.preprocessing_fingerprint(self.chain[protocol]),
            "contrasts": list(spec.contrasts),
            "slices": spec.slices,
        }

    def bundles(self) -> list[str]:
        """Bundles of every approach of every protocol."""
        return [
            self.path("bundles", job.folder, "approach.json")
            for protocol in self.study.protocols
            for job in self.jobs(protocol)
        ]

    def screening_jobs(self) -> list[Job]:
        """Approaches that unlabelled cohorts are screened with: those with maps, by first seed."""
        first = self.study.seeds[0]
        jobs = [job for name in self.study.protocols for job in self.jobs(name)]
        jobs = [job for job in jobs if job.seed == first and self.scores_voxels(job.variant)]
        wanted = self.study.screening["approaches"]
        known = {f"{job.protocol}/{job.variant}": job for job in jobs}
        for name in wanted:
            if name not in known:
                raise NormscanError(
                    f"config.screening.approaches: no approach '{name}' with maps; there are: "
                    + ", ".join(known)
                )
        return [known[name] for name in wanted] if wanted else jobs

    def screening_bundle(self, w) -> str:
        """Folder of the bundle to screen with; NormscanError when it was never made."""
        root = self.study.screening["bundles"] or self.path("bundles")
        folder = Path(root, Job(w.protocol, w.variant, w.seed).folder)
        if not (folder / "approach.json").is_file():
            raise NormscanError(
                f"{folder}: no trained bundle of approach '{w.protocol}/{w.variant}'; run "
                "'snakemake' first, or name a folder of bundles in config.screening.bundles"
            )
        return str(folder.absolute())

    def screening_bundle_digest(self, w) -> str:
        """Digest of the bundle's description (which holds its weights' digest)."""
        return file_digest(Path(self.screening_bundle(w), "approach.json"))

    def screening_wildcards(self, w) -> SimpleNamespace:
        """The approach behind a variant, as rules name it."""
        return SimpleNamespace(approach=variant_parts(w.variant)[0])

    def curve_files(self, protocol: str, cohort: str) -> list[str]:
        """Curves of a cohort in the order of :meth:`figure_approaches`."""
        return self.evaluation_files(protocol, cohort, ".json")

    def screened(self, cohort: str) -> list[str]:
        """Screening results of all shards of a cohort by all chosen approaches."""
        return [
            self.path("screening", cohort, job.folder, f"{shard}.json")
            for job in self.screening_jobs()
            for shard in self.shards[cohort]
        ]


__all__ = ["RAW", "Inputs"]
