"""Whose poses lie in the output folder: they are known by a video's name, which another video may have, too.

Their meta file tells the source (`deploy.offline.work`). Poses of another source are not replaced.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from deploy.offline.jobs import Job, source_bytes, source_state
from deploy.poses_io.columns import META_SUFFIX


def refuse_other_owners(jobs: Sequence[Job], output: Path, scorer: str) -> None:
    """Refuse jobs whose files would replace those of another source of the same name.

    Not another one is what has the same path, names, sizes and times of change, or the size of one that is
    no longer where it was.

    Raises
    ------
    RigposeError
        For the first such job. Nothing is written.
    """
    for job in jobs:
        meta = output / f"{job.stem}{scorer}{META_SUFFIX}"
        try:
            said = json.loads(meta.read_text(encoding="utf-8"))
            owner = _source_of(said)
            there = any((meta.parent / name).exists() for name in said["sizes"])
            same = _is_of(job, owner, said)
            gone = owner.is_absolute() and not owner.exists()  # a relative one is of a folder nobody knows
        except (OSError, ValueError, KeyError, TypeError):  # none, or one that is not whole
            continue
        if there and not same and gone:
            size = " and was another size" if "source_bytes" in said else ""
            raise RigposeError(
                job.source, expected="no poses of another file under its name",
                found=f"those of {owner}, which is gone{size}",
                remedy=f"Delete or move them: {output / (job.stem + scorer)}*",
            )  # fmt: skip
        if there and not same:
            raise RigposeError(
                job.source, expected="a name that no other input of this -o has",
                found=f"the name of {owner}, whose poses are in {meta.parent}",
                remedy="They would be overwritten: give another -o, or move them away",
            )  # fmt: skip


def _source_of(said: dict[str, Any]) -> Path:
    if "source" in said:
        return Path(said["source"])
    video = Path(said["figures"]["video"])  # of an earlier version: as it was given, perhaps relative
    return video if said["figures"]["camera"] is None else video.parent


def _is_of(job: Job, owner: Path, said: dict[str, Any]) -> bool:
    if owner.resolve() == job.source.resolve() or said["made_from"]["source"] == source_state(job):
        return True
    return not owner.exists() and bool(said.get("source_bytes") == source_bytes(job))
