"""What runs a bundle, settled once: runtime, artifact, precision, threads.

A batch of videos, whoever works on it and where, has one `Execution`. Whoever cannot run exactly that fails
and says why: results of two precisions in one batch would look alike and differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from acquisition.errors import RigposeError
from deploy.bundles.bundle import Bundle
from deploy.bundles.predictor import Predictor
from deploy.bundles.runtimes.table import AUTO, artifact_for


@dataclass(frozen=True, slots=True)
class Execution:
    """One way to run one bundle.

    Attributes
    ----------
    bundle_sha256:
        Hash of the bundle.
    runtime, precision:
        Names in `deploy.bundles.runtimes.table`, never `auto`.
    artifact, artifact_sha256:
        The bundle's file that runs, and its hash.
    threads:
        Of the inference, in each process.
    within_tolerance:
        Whether the artifact kept its bounds where it was made and, if its engine was built here, here.
    reason:
        Why this one, in words.
    """

    bundle_sha256: str
    runtime: str
    precision: str
    artifact: str
    artifact_sha256: str
    threads: int
    within_tolerance: bool
    reason: str

    @classmethod
    def resolve(
        cls, bundle: Bundle, runtime: str = AUTO, precision: str = AUTO, *, threads: int = 1
    ) -> Execution:
        """Settle what `runtime` and `precision` come to on this machine, by loading it.

        Raises
        ------
        RigposeError
            If no artifact fits or none loads; it names the extra that is missing.
        """
        return cls.of(Predictor(bundle, runtime=runtime, precision=precision, threads=threads))

    @classmethod
    def of(cls, predictor: Predictor) -> Execution:
        """What a predictor runs."""
        said = predictor.describe()
        artifact = artifact_for(predictor.bundle, said["runtime"], said["precision"])
        proved: Mapping[str, Any] = said.get("accepted_here", {})
        within = artifact is not None and artifact.within_tolerance
        return cls(
            bundle_sha256=said["bundle_sha256"], runtime=said["runtime"], precision=said["precision"],
            artifact=said["artifact"], artifact_sha256=said["artifact_sha256"], threads=said["threads"],
            within_tolerance=within and bool(proved.get("within_tolerance", True)),
            reason=said["reason"],
        )  # fmt: skip

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Execution:
        """The inverse of `as_json`; raises `KeyError` where a field is missing."""
        return cls(**{field.name: said[field.name] for field in fields(cls)})

    def as_json(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return asdict(self)

    @property
    def key(self) -> tuple[str, ...]:
        """What the result depends on: equal keys, equal poses."""
        return self.bundle_sha256, self.runtime, self.precision, self.artifact_sha256

    def predictor(self, bundle: Bundle) -> Predictor:
        """This very bundle on this very runtime and artifact, for one image a call.

        Raises
        ------
        RigposeError
            If that cannot be run here, or the bundle is another one.
        """
        if bundle.sha256 != self.bundle_sha256:
            raise RigposeError(
                bundle.path, expected=f"the bundle of this batch, {self.bundle_sha256[:16]}…",
                found=f"{bundle.sha256[:16]}…",
                remedy="Let everyone who works on a batch use one bundle, or give another -o",
            )  # fmt: skip
        predictor = Predictor(bundle, runtime=self.runtime, precision=self.precision, threads=self.threads)
        if self.within_tolerance and not Execution.of(predictor).within_tolerance:
            raise RigposeError(
                bundle.path,
                expected=f"{self.runtime} {self.precision} within tolerance, as where it was chosen",
                found=predictor.describe()["reason"],
                remedy="Work on this batch on another machine, or choose a --precision for all of it",
            )  # fmt: skip
        return predictor
