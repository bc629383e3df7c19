"""What the rules of bundles and screening take; nothing here trains anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from normscan import layout as places
from normscan.errors import NormscanError
from normscan.files import file_digest
from normscan.layout import Layout
from normscan.postprocessing.exported import read_record
from normscan.postprocessing.exported_fused import PARTS
from normscan.workflow.configuration import Study
from normscan.workflow.introductions import appearance
from normscan.workflow.plan.cohorts import Cohorts
from normscan.workflow.plan.detection import Detection
from normscan.workflow.plan.fusing import Fusing, any_of
from normscan.workflow.plan.jobs import Job, variant_parts
from normscan.workflow.plan.preprocessing import Preprocessing


class Screening:
    """Bundles of a study, and the cohorts that are screened with them."""

    def __init__(
        self,
        study: Study,
        layout: Layout,
        cohorts: Cohorts,
        preprocessing: Preprocessing,
        detection: Detection,
        fusing: Fusing,
    ):
        self.study, self.layout, self.cohorts = study, layout, cohorts
        self.preprocessing, self.detection, self.fusing = preprocessing, detection, fusing
        self.bundled = {(one.protocol, one.variant, one.seed): one for one in study.bundles}

    # Bundles

    def parts(self, w) -> dict[str, str | list[str]]:
        """Files that make up an approach's bundle."""
        if self.detection.approach_of(w.variant).parts:
            return self._fused_parts(w)
        where = self.detection.where(w.protocol, w.variant, w.seed)
        found: dict[str, str | list[str]] = dict(self.detection.model(where))
        if "bundle" in found:
            found["model"] = found.pop("bundle")
        tuned = self.detection.tuned_file(w.protocol, w.variant, w.seed)
        return found | ({"tuned": tuned} if tuned else {})

    def _fused_parts(self, w) -> dict[str, str | list[str]]:
        """Bundles of what an approach is fused of, and the healthy scores of each under priors."""
        jobs, priors = self.fusing.jobs(w), self.cohorts.priors(w.protocol)
        return {
            "part_bundles": [self.layout.fill(places.EXPORTED, **job.wildcards()) for job in jobs],
            "part_healthy": [
                self.layout.fill(places.HEALTHY_SCORES, **job.wildcards(), prior=prior)
                for job in jobs
                for prior in priors
            ],
        }

    def fused(self, w) -> list[dict[str, Any]]:
        """Variant, seed and weight of what an approach is fused of; empty where it is not."""
        return self.fusing.parts(w) if self.detection.approach_of(w.variant).parts else []

    def healthy_packs(self, w) -> list[str]:
        """Indices of a protocol's healthy cohorts, which have the slice grid."""
        chain, pack = self.preprocessing.chain[w.protocol], self.preprocessing.pack[w.protocol]
        return self.preprocessing.packed(chain, pack, self.cohorts.whole(w.protocol))

    def ages(self, w) -> dict[str, list[float]]:
        """Cohort that a variant is trained on -> lowest and highest age of its subjects."""
        training = self.detection.where(w.protocol, w.variant, w.seed).training
        sets = self.detection.training.sets
        names = sets[training].cohorts() if training in sets else ()
        return {name: found for name in names if (found := self.cohorts.ages(name))}

    def uses(self, w) -> list[str]:
        """Roles of the further models that an approach's detector uses."""
        return list(self.detection.approach_of(w.variant).uses)

    def approach_record(self, w) -> dict[str, Any]:
        """What a bundle says of its approach."""
        name, share = variant_parts(w.variant)
        approach, spec = self.detection.approaches[name], self.study.protocols[w.protocol]
        return {
            "protocol": w.protocol,
            "approach": name,
            "share": share,
            "title": approach.title,
            "model": approach.model,
            "uses": approach.uses,
            "detector": approach.detector,
            "expected": appearance("", approach.detector)["expected"],
            "settings": approach.settings,
            "postprocessing": spec.postprocessing,
            "primary_rule": spec.rules[0].label,
            "contrasts": list(spec.contrasts),
        }

    def bundles(self) -> list[str]:
        """Bundles of every approach of every protocol."""
        return [
            self.layout.fill(places.EXPORTED, **job.wildcards())
            for protocol in self.study.protocols
            for job in self.detection.jobs(protocol)
        ]

    # Screening

    def jobs(self) -> list[Job]:
        """Approaches that unlabelled cohorts are screened with: those with maps, by first seed.

        Without protocols it is bundles that say which there are.
        """
        if self.bundled:
            return [
                Job(one.protocol, one.variant, one.seed)
                for one in self.bundled.values()
                if one.wanted
            ]
        jobs = [
            job
            for name in self.study.protocols
            for job in self.detection.first_jobs(name)
            if "voxel" in self.detection.described(job.variant)["levels"]
        ]
        wanted = self.study.screening["approaches"]
        known = {f"{job.protocol}/{job.variant}": job for job in jobs}
        for name in wanted:
            if name not in known:
                raise NormscanError(
                    f"config.screening.approaches: no approach '{name}' with maps; there are: "
                    + ", ".join(known)
                )
        return [known[name] for name in wanted] if wanted else jobs

    def fused_variants(self) -> str:
        """Expression for the variants whose maps are fused of those of others."""
        if not self.bundled:
            return self.fusing.variants()
        fused = {one.variant for one in self.bundled.values() if one.parts}
        return any_of(fused)

    def other_variants(self) -> str:
        """Expression for all other variants, which a detector makes maps for."""
        return f"(?!{self.fused_variants()}/)[^/]+"

    def part_results(self, w) -> list[str]:
        """Screening results of a shard by what its approach is fused of."""
        return [
            self.layout.fill(
                places.SCREENED,
                protocol=w.protocol,
                variant=part["variant"],
                seed=part["seed"],
                cohort=w.cohort,
                shard=w.shard,
            )
            for part in self._record(w)[PARTS]
        ]

    def bundle(self, w) -> str:
        """Folder of the bundle to screen with; NormscanError when it was never made."""
        root = self.study.screening["bundles"] or self.layout.path(places.BUNDLES)
        where = {"protocol": w.protocol, "variant": w.variant, "seed": w.seed}
        folder = Path(root, places.JOB.format(**where))
        if not (folder / places.APPROACH).is_file():
            raise NormscanError(
                f"{folder}: no trained bundle of approach '{w.protocol}/{w.variant}'; run "
                "'snakemake' first, or name a folder of bundles in config.screening.bundles"
            )
        read_record(folder / places.APPROACH, w.protocol)
        return str(folder.absolute())

    def _record(self, w) -> dict[str, Any]:
        """What the bundle to screen with says of itself."""
        return read_record(Path(self.bundle(w), places.APPROACH), w.protocol)

    def bundle_digest(self, w) -> str:
        """Digest of the bundle's description (which holds its weights' digest)."""
        return file_digest(Path(self.bundle(w), places.APPROACH))

    def cost(self, w) -> float:
        """Time that a scan takes, as of :meth:`Detection.cost`."""
        if bundle := self.bundled.get((w.protocol, w.variant, int(w.seed))):
            return bundle.cost()
        return self.detection.cost(variant_parts(w.variant)[0])

    def modules(self, w) -> list[str]:
        """What the code of the approach behind a variant is made of."""
        if bundle := self.bundled.get((w.protocol, w.variant, int(w.seed))):
            return bundle.modules()
        return self.detection.modules(variant_parts(w.variant)[0])

    def screened(self, w) -> list[str]:
        """Screening results of all shards of a cohort by all chosen approaches."""
        return [
            self.layout.fill(places.SCREENED, **job.wildcards(), cohort=w.cohort, shard=shard)
            for job in self.jobs()
            for shard in self.cohorts.shards[w.cohort]
        ]

    def quality(self, cohort: str) -> list[str]:
        """Quality control of a cohort under the protocols of all chosen approaches."""
        protocols = dict.fromkeys(job.protocol for job in self.jobs())
        return [self.layout.fill(places.QUALITY, protocol=p, cohort=cohort) for p in protocols]

    def report(self) -> str:
        """The report as a link of pages of screened scans; "" where bundles are not this study's.

        Bundles that this study made were there when its report was made.
        """
        if self.bundled or self.study.screening["bundles"]:
            return ""
        return "../" * places.SCREENING_PAGE.count("/") + places.REPORT

    def pages(self) -> list[str]:
        """Index pages of all unlabelled cohorts, or of the one scan that is asked for."""
        asked = self.study.one_scan
        return [
            self.layout.fill(places.SCREENING_PAGE, cohort=cohort)
            for cohort in ([asked] if asked else self.cohorts.named("unlabelled"))
        ]
