"""The sentences of which a chain is made; each names a thing and, where it is known, its hash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Facts = dict[str, Any]
Chain = list[str]

HASH_DIGITS = 12


def description(kind: str, facts: Mapping[str, Any], chain: Chain | None = None) -> Facts:
    """`kind`, `facts` and `chain` of one thing; facts that are not known (None, "") are left out."""
    known = {name: value for name, value in facts.items() if value not in (None, "")}
    return {"kind": kind, "facts": known, "chain": chain or []}


def short(sha256: object) -> str:
    """The beginning of a hash, 'unknown' where there is none."""
    return str(sha256)[:HASH_DIGITS] if sha256 else "unknown"


def joined(items: object) -> str:
    """A list of names as one text."""
    return ", ".join(map(str, items)) if isinstance(items, (list, tuple, dict)) else str(items or "")


def of_bundle(said: Mapping[str, Any]) -> Chain:
    """The bundle of poses, executions, tables, benches: whatever has `bundle_sha256`, and what ran it."""
    if not said.get("bundle_sha256"):
        return []
    name = f" {said['bundle']}" if said.get("bundle") else ""
    runs = [str(said[key]) for key in ("artifact", "precision") if said.get(key)][:1]
    on = " ".join(str(said[key]) for key in ("runtime", "version") if said.get(key))
    words = " on ".join([*runs, *([on] if on else [])])
    return [f"bundle{name} (hash {short(said['bundle_sha256'])}){', ' + words if words else ''}"]


def of_run(network: object, sha256: object) -> str:
    """A training run."""
    return f"a run of {network} (hash {short(sha256)})"


def of_labels(project: object, sha256: object, split: object = None) -> str:
    """The labels of a project."""
    name = project or "an unknown project"
    return f"labels of {name} (hash {short(sha256)})" + (f", split: {split}" if split else "")


def of_calibration(sha256: object) -> Chain:
    """A calibration, where a hash names one."""
    return [f"calibration (hash {short(sha256)})"] if sha256 else []


def of_footage(said: Mapping[str, Any]) -> Chain:
    """What poses are of: a recording's camera, or a video."""
    chain = []
    if said.get("session"):
        device = said.get("device")
        serial = device.get("serial") if isinstance(device, dict) else None
        chain.append(
            f"recording {said['session']}, camera {said.get('camera')}"
            + (f" (serial number {serial})" if serial else "")
        )
    videos = said.get("videos") or ([said["video"]] if said.get("video") else [])
    return [*chain, *(f"video {video}" for video in videos)]
