"""One scan on its way through preprocessing: which files hold what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from normscan.errors import NormscanError

NATIVE = "native"


@dataclass(frozen=True)
class Prepared:
    """One scan after some preprocessing steps. All paths are absolute.

    Attributes
    ----------
    scan : scan id, ``sub-01`` or ``sub-01_ses-2``.
    subject, session : labels without prefix; session "" when there is none.
    space : "native" before registration, afterwards the name of the atlas.
    images : contrast -> volume.
    brain : brain mask (0 or 1), "" when not known.
    lesions : lesion label map (0 = healthy), "" when there is none.
    anatomy : label map of anatomical classes as given (0 = none), "" when there is none.
    tissue : tissue label map (``segment_tissue.TISSUES``), "" when none was made.
    transforms : contrast -> files in ANTs order that bring its native volume to the atlas.
    native : contrast -> volume as it came from the scanner.
    quality : numbers about this scan, by name.
    content : contrast -> digest of its native volume's voxels (``checks.check_scan``).
    """

    scan: str
    subject: str
    session: str = ""
    space: str = NATIVE
    images: dict[str, str] = field(default_factory=dict)
    brain: str = ""
    lesions: str = ""
    anatomy: str = ""
    tissue: str = ""
    transforms: dict[str, list[str]] = field(default_factory=dict)
    native: dict[str, str] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=dict)
    content: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_scan(cls, scan) -> Prepared:
        """An unprocessed scan (``normscan.cohorts.scans.Scan``)."""
        images = {contrast: str(path) for contrast, path in scan.images.items()}
        return cls(
            scan=scan.id,
            subject=scan.subject,
            session=scan.session,
            images=images,
            brain=str(scan.brain_mask or ""),
            lesions=str(scan.lesion_mask or ""),
            anatomy=str(scan.anatomy or ""),
            native=dict(images),
        )

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Prepared:
        """An entry of a manifest; keys that are not this class's are ignored."""
        known = {one.name for one in fields(cls)}
        return cls(**{key: value for key, value in entry.items() if key in known})

    def to_json(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        return asdict(self)

    def files(self) -> list[str]:
        """Every file this scan consists of, without transforms and native volumes."""
        maps = (self.brain, self.lesions, self.anatomy, self.tissue)
        return [path for path in (*self.images.values(), *maps) if path]

    def image(self, contrast: str) -> str:
        """Path of a contrast's volume. NormscanError naming scan and contrast when missing."""
        if contrast not in self.images:
            there = ", ".join(sorted(self.images)) or "none"
            raise NormscanError(f"{self.scan}: has no contrast '{contrast}'; it has: {there}")
        return self.images[contrast]

    def reference(self, wanted: str) -> str:
        """The wanted contrast when this scan has it, otherwise its first."""
        if wanted in self.images:
            return wanted
        if not self.images:
            raise NormscanError(f"{self.scan}: has no images")
        return next(iter(self.images))

    def only(self, contrasts: Iterable[str]) -> Prepared:
        """The same scan with no other images than these; native volumes stay known."""
        wanted = set(contrasts)
        return replace(
            self, images={name: path for name, path in self.images.items() if name in wanted}
        )

    def with_quality(self, **numbers: float) -> Prepared:
        """The same scan with further quality numbers."""
        return replace(self, quality={**self.quality, **numbers})

    def with_paths(self, change: Callable[[str], str]) -> Prepared:
        """The same scan with every path replaced by ``change(path)``; empty ones stay empty."""

        def moved(path: str) -> str:
            return change(path) if path else path

        return replace(
            self,
            images={name: moved(path) for name, path in self.images.items()},
            brain=moved(self.brain),
            lesions=moved(self.lesions),
            anatomy=moved(self.anatomy),
            tissue=moved(self.tissue),
            transforms={
                name: [moved(path) for path in paths] for name, paths in self.transforms.items()
            },
            native={name: moved(path) for name, path in self.native.items()},
        )
