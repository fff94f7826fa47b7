"""Engines kept on the host that built them.

An engine is timed for one GPU and one version of TensorRT; both are part of its key, so that another's is
never loaded. Beside each lies what it did on the bundle's check/: an engine that failed there is not kept,
but that it failed is, so that it is not built again at every start.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from acquisition.errors import RigposeError
from deploy.bundles.acceptance import Acceptance
from deploy.whole_file import whole_file


@dataclass(frozen=True, slots=True)
class EngineKey:
    """All that an engine depends on.

    Attributes
    ----------
    capability:
        "8.7".
    tensorrt:
        Its version.
    recipe:
        `deploy.bundles.runtimes.tensorrt.engine.RECIPE`.
    """

    artifact_sha256: str
    precision: str
    batch: int
    gpu: str
    capability: str
    tensorrt: str
    recipe: int

    @property
    def name(self) -> str:
        """Of its files: the artifact's hash, precision and batch to read, the rest as a hash."""
        return (
            f"{self.artifact_sha256[:12]}-{self.precision}-{self.batch}-{_digest(dataclasses.asdict(self))}"
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of an engine: its plan (None: it was refused), and what it did on check/ if measured."""

    plan: bytes | None
    acceptance: Acceptance | None


class EngineCache:
    """A folder of engines, by default `~/.cache/rigpose/engines` (or under `XDG_CACHE_HOME`)."""

    def __init__(self, folder: Path | None = None) -> None:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.folder = folder or home / "rigpose" / "engines"

    def load(self, key: EngineKey) -> Kept | None:
        """What is kept under `key`; None where nothing is, or it was changed or damaged."""
        try:
            record = json.loads((self.folder / f"{key.name}.json").read_bytes())
            if record["key"] != dataclasses.asdict(key):
                return None
            measured = record["acceptance"]
            acceptance = None if measured is None else Acceptance.model_validate(measured)
            if acceptance is not None and acceptance.refused:
                return Kept(None, acceptance)
            plan = (self.folder / f"{key.name}.engine").read_bytes()
            whole = hashlib.sha256(plan).hexdigest() == record["plan_sha256"]
        except (OSError, ValueError, KeyError, TypeError, ValidationError):
            return None
        return Kept(plan, acceptance) if whole else None

    def store(self, key: EngineKey, plan: bytes, acceptance: Acceptance | None) -> None:
        """Keep an engine, or that it was refused. A folder that cannot be written costs time, no more."""
        refused = acceptance is not None and acceptance.refused
        record = {
            "key": dataclasses.asdict(key),
            "plan_sha256": hashlib.sha256(plan).hexdigest(),
            "acceptance": None if acceptance is None else acceptance.model_dump(mode="json"),
        }
        with contextlib.suppress(RigposeError):
            if not refused:
                with whole_file(self.folder / f"{key.name}.engine") as unfinished:
                    unfinished.write_bytes(plan)
            with whole_file(self.folder / f"{key.name}.json") as unfinished:
                unfinished.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

    def timing_cache(self, key: EngineKey) -> Path:
        """Where the timings of all engines of this GPU and TensorRT are kept."""
        shared = {"gpu": key.gpu, "capability": key.capability, "tensorrt": key.tensorrt}
        return self.folder / f"timing-{_digest(shared)}.cache"


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
