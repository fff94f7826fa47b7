"""One job from its source to its files: what a worker does, wherever it runs.

The files of a job are written one by one, each whole or not at all, the meta file last: a job is done when
its meta file is there. It tells what made the poses and of what, and for what change they are made again.
"""

from __future__ import annotations

import errno
import importlib.util
import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from acquisition.errors import RigposeError
from deploy.bundles.bundle import Bundle
from deploy.bundles.execution import Execution
from deploy.bundles.predictor import Predictor
from deploy.offline.frame_poses import Rows, Tracked, track
from deploy.offline.jobs import Job, source_bytes, source_state
from deploy.poses_io.columns import META_SUFFIX, SUFFIX, save_columns
from deploy.poses_io.deeplabcut import save_csv, save_h5
from deploy.poses_io.poses import Poses
from deploy.whole_file import whole_file

FORMAT = "rigpose analysis of a video"
VERSION = 1

State = Literal["waiting", "running", "done", "partial", "failed"]


@dataclass(frozen=True, slots=True)
class Orders:
    """What all jobs of a batch have in common.

    Attributes
    ----------
    bundle, output:
        The bundle, and the folder that is written into.
    execution:
        What runs the bundle.
    scorer:
        S in the files' names.
    rows:
        Of recordings.
    decoder_core:
        The only core that decodes; None: any.
    """

    bundle: Path
    output: Path
    execution: Execution
    scorer: str
    rows: Rows = "sets"
    decoder_core: int | None = None

    def stem(self, job: Job) -> Path:
        """What the paths of a job's files begin with."""
        return self.output / f"{job.stem}{self.scorer}"

    def meta(self, job: Job) -> Path:
        """The meta file of a job."""
        return self.output / f"{job.stem}{self.scorer}{META_SUFFIX}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job.

    Attributes
    ----------
    why:
        What its source lacks, or why it failed; "" otherwise.
    figures:
        JSON, of a job that did not fail: `video`, `camera`, `files`, `frames`, `rows`, `frames_per_s`, `gap`,
        `warning`.
    made_from:
        As in its meta file: it is made again when this changes.
    disk_full:
        Whether it failed because there is no room: so would all others.
    error:
        `why` in the parts of a `RigposeError`: whose, expected, found, remedy.
    """

    stem: str
    state: State
    why: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    made_from: dict[str, Any] = field(default_factory=dict)
    disk_full: bool = False
    error: tuple[str, str, str, str] | None = None

    @classmethod
    def failed(
        cls, job: Job, error: RigposeError | OSError, depends: dict[str, Any] | None = None
    ) -> Outcome:
        """A job that came to this error."""
        room = error.__cause__ if isinstance(error, RigposeError) else error
        full = isinstance(room, OSError) and room.errno in (errno.ENOSPC, errno.EDQUOT)
        if isinstance(error, RigposeError):
            parts = (error.whose, error.expected, error.found, error.remedy)
            return cls(job.stem, "failed", str(error), {}, depends or {}, full, parts)
        return cls(job.stem, "failed", f"{job.name}: {error.strerror or error}", {}, depends or {}, full)


def made_from(job: Job, orders: Orders) -> dict[str, Any]:
    """What the poses of a job depend on, as JSON. Raises `OSError` where the source cannot be looked at."""
    return {
        "source": source_state(job), "execution": list(orders.execution.key),
        "rows": orders.rows if job.camera is not None else "frames",
        "window": None if job.window is None else list(job.window),
    }  # fmt: skip


def work(
    jobs: Iterable[Job], orders: Orders, finished: Callable[[Outcome], None],
    predictor: Predictor | None = None,
) -> None:  # fmt: skip
    """Do `jobs` one after the other, writing one while the next is decoded.

    `finished` is called once a job, from the writing thread. `jobs` is asked for the next when the one before
    is found, not yet written.

    Raises
    ------
    RigposeError
        If what the batch runs on cannot run here. What is wrong with one job is its outcome instead.
    """
    with ThreadPoolExecutor(1, "writer") as writer:
        writer.submit(_warm_up)
        written: Future[None] | None = None
        for job in jobs:
            if predictor is None:
                predictor = load(orders)
            outcome = _found(job, orders, predictor)
            if written is not None:
                written.result()
            if isinstance(outcome, Outcome):
                written = writer.submit(finished, outcome)
            else:
                written = writer.submit(_finish, job, orders, *outcome, finished)
        if written is not None:
            written.result()


def load(orders: Orders) -> Predictor:
    """The predictor of a batch, on this machine; raises `RigposeError` where it cannot run."""
    return orders.execution.predictor(Bundle.load(orders.bundle))


def _found(job: Job, orders: Orders, predictor: Predictor) -> Outcome | tuple[Tracked, dict[str, Any]]:
    try:
        depends = made_from(job, orders)
    except OSError as error:
        return Outcome.failed(job, error)
    about = {"scorer": orders.scorer, **predictor.describe()}
    try:
        return track(job, predictor, about, orders.rows, orders.decoder_core), depends
    except (RigposeError, OSError) as error:
        return Outcome.failed(job, error, depends)


def _finish(
    job: Job, orders: Orders, tracked: Tracked, depends: dict[str, Any], finished: Callable[[Outcome], None]
) -> None:
    try:
        outcome = _write(job, orders, tracked, depends)
    except (RigposeError, OSError) as error:
        outcome = Outcome.failed(job, error, depends)
    finished(outcome)


def _write(job: Job, orders: Orders, tracked: Tracked, depends: dict[str, Any]) -> Outcome:
    """Write every format this installation can, and the meta file."""
    poses, stem, meta = tracked.poses, orders.stem(job), orders.meta(job)
    h5 = stem.with_name(stem.name + ".h5")
    meta.unlink(missing_ok=True)  # of an earlier input: its files are about to be replaced
    files: list[tuple[Path, Callable[[Poses, Path], None]]] = [
        (stem.with_name(stem.name + SUFFIX), save_columns),
        (stem.with_name(stem.name + ".csv"), lambda poses, path: save_csv(poses, orders.scorer, path)),
    ]
    if _can_write_h5():
        files.append((h5, lambda poses, path: save_h5(poses, orders.scorer, path)))
    else:
        h5.unlink(missing_ok=True)  # of an earlier input, too
    for path, save in files:
        save(poses, path)
    figures = {
        "video": poses.about["video"], "camera": job.camera, "files": [str(path) for path, _ in files],
        "frames": tracked.frames, "rows": len(poses.values), "frames_per_s": tracked.frames_per_s,
        "gap": tracked.gap, "warning": tracked.warning,
    }  # fmt: skip
    outcome = Outcome(
        job.stem, "partial" if tracked.gap else "done", tracked.gap or "", figures, made_from=depends
    )
    sizes = {path.name: path.stat().st_size for path, _ in files}
    save_json(
        meta, {"format": FORMAT, "version": VERSION, "about": poses.about,
               "execution": orders.execution.as_json(), "sizes": sizes, "source": str(job.source.resolve()),
               "source_bytes": source_bytes(job), **asdict(outcome)},
    )  # fmt: skip
    return outcome


def read_outcome(path: Path) -> Outcome | None:
    """What a meta file, or the note of a failure, tells; None where there is none or it is not whole."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        outcome = Outcome(**{name: said[name] for name in Outcome.__dataclass_fields__})
        sizes: Mapping[str, int] = said.get("sizes", {})
        there = all((path.parent / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return outcome if there else None


def save_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON, whole or not at all; raises `RigposeError` where there is no room."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _can_write_h5() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("pandas", "tables"))


def _warm_up() -> None:
    """Import, while the first video is decoded, what writing it takes."""
    if _can_write_h5():
        import pandas  # noqa: F401
        import tables  # noqa: F401
