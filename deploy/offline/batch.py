"""A batch: one bundle, one folder, one `Execution`, and one status file that says what became of every video.

    DIR/analyze_<bundle>.json            the status file: a view, written anew as things change
    DIR/.analyze_<bundle>/execution.json what runs, settled by whoever came first
    DIR/.analyze_<bundle>/*.claim        who works on what (`deploy.offline.claims`)
    DIR/.analyze_<bundle>/*.failed.json  why a job failed
    DIR/<video><S>.meta.json             a job that is done, or done as far as its source goes

Several processes and hosts may work on one batch. None of them needs the others: each claims a job, looks
whether it was done meanwhile, does it, notes the outcome, and lets go.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from deploy.bundles.bundle import Bundle
from deploy.bundles.execution import Execution
from deploy.bundles.runtimes.table import AUTO
from deploy.offline.claims import Claims
from deploy.offline.jobs import Job
from deploy.offline.work import Orders, Outcome, made_from, read_outcome, save_json
from deploy.poses_io.columns import META_SUFFIX

FAILED_SUFFIX = ".failed.json"
FORMAT = "rigpose analysis"
VERSION = 1
_STATUS_NS = 2_000_000_000
_LONGEST_NS = 600_000_000_000
_WRITTEN_S = 0.2
# What file systems without hard links say: FAT and many network shares.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


def batch_folder(output: Path, bundle: Bundle) -> Path:
    """Where a batch keeps what its workers tell each other."""
    return output / f".analyze_{bundle.name}"


def status_file(output: Path, bundle: Bundle) -> Path:
    """The status file of a batch."""
    return output / f"analyze_{bundle.name}.json"


def settle(
    output: Path, bundle: Bundle, runtime: str, precision: str, threads: int, *, shared: bool
) -> Execution:
    """What this batch runs on: as settled by whoever began it, or settled now.

    Asking by name for something else begins anew, except where others may be at work (`shared`).

    Raises
    ------
    RigposeError
        If that cannot run on this machine, or it is not what is asked for.
    """
    path = batch_folder(output, bundle) / "execution.json"
    settled = _read_execution(path)
    if settled is None or settled.bundle_sha256 != bundle.sha256:
        execution = Execution.resolve(bundle, runtime, precision, threads=threads)
        if not _save_first(path, execution):  # somebody was faster
            return settle(output, bundle, runtime, precision, threads, shared=shared)
        return execution
    asked = runtime in (AUTO, settled.runtime) and precision in (AUTO, settled.precision)
    if asked:
        execution = replace(settled, threads=threads)
        try:
            execution.predictor(bundle)
        except RigposeError as error:
            raise RigposeError(
                error.whose, expected=f"{settled.runtime} {settled.precision}, on which this batch runs",
                found=error.found, remedy=f"{error.remedy}; or begin another batch: another -o",
            ) from None  # fmt: skip
        return execution
    if shared:
        raise RigposeError(
            output, expected=f"{settled.runtime} {settled.precision}, on which this batch runs",
            found=f"--runtime {runtime} --precision {precision}",
            remedy="Give all shards the same, or begin another batch: another -o",
        )  # fmt: skip
    execution = Execution.resolve(bundle, runtime, precision, threads=threads)
    save_json(path, execution.as_json())
    return execution


class Batch:
    """The jobs of a batch as one process sees them.

    Parameters
    ----------
    orders:
        What all jobs have in common.
    bundle:
        The loaded bundle.
    jobs:
        All of the batch that are known here.
    mine:
        Those this process begins with, and tries again where they failed before. Then it helps with others.
    claims:
        In the batch's folder.
    """

    def __init__(
        self, orders: Orders, bundle: Bundle, jobs: Sequence[Job], mine: Sequence[Job], claims: Claims
    ) -> None:
        self.orders = orders
        self.status = status_file(orders.output, bundle)
        self.outcomes: dict[str, Outcome] = {}
        self.kept: set[str] = set()
        self.full = False
        self.refused: RigposeError | None = None
        self._folder = batch_folder(orders.output, bundle)
        self._jobs = {job.stem: job for job in jobs}
        self._mine = [job.stem for job in mine]
        self._claims = claims
        self._failed_here: set[str] = set()
        self._depends: dict[str, dict[str, Any]] = {}
        self._others = self._of_other_commands()
        self._lock = threading.Lock()
        self._tell_again_ns = 0

    def to_do(self) -> Iterator[Job]:
        """Claimed jobs, one after the other, as long as there are any and there is room on the disk."""
        own, claimed = set(self._mine), self._claims.names()
        for stem in [*self._mine, *(stem for stem in self._jobs if stem not in own)]:
            if self.full:
                return
            outcome = self.look(stem)
            failed_is_final = stem not in own or stem in self._failed_here
            if outcome.state in ("done", "partial"):
                if stem in claimed and self._claims.take(stem):  # left by one that was killed
                    self._claims.release(stem)
                continue
            if outcome.state == "failed" and failed_is_final:
                continue
            if not self._claims.take(stem):
                continue
            if self.look(stem).state in ("done", "partial"):  # while we looked and claimed
                self._claims.release(stem)
                continue
            self.tell()
            yield self._jobs[stem]

    def unsure(self) -> bool:
        """Whether something is left whose owner, on another host, may be alive or not."""
        left = (stem for stem in self._jobs if self.look(stem).state in ("waiting", "running"))
        return not self.full and any(self._claims.view(stem) != "alive" for stem in left)

    def finished(self, outcome: Outcome) -> None:
        """Note what became of a job of ours, and let go of it. Called from any thread."""
        note = self._folder / f"{outcome.stem}{FAILED_SUFFIX}"
        if not outcome.made_from:  # its worker died of it: the others need not, too
            outcome = replace(outcome, made_from=self._depends.get(outcome.stem, {}))
        with self._lock:
            self.outcomes[outcome.stem] = outcome
            if outcome.state == "failed":
                self._failed_here.add(outcome.stem)
                self.full = self.full or outcome.disk_full
                if outcome.error is not None:
                    whose, expected, found, remedy = outcome.error
                    self.refused = RigposeError(whose, expected=expected, found=found, remedy=remedy)
        if outcome.state == "failed":
            with contextlib.suppress(RigposeError):  # on a full disk
                save_json(note, asdict(outcome))
        else:
            note.unlink(missing_ok=True)
        self._claims.release(outcome.stem)
        self.tell()

    def tell(self, now: bool = False) -> None:
        """Write the status file, at most every two seconds unless `now`; a full disk keeps the one before."""
        with self._lock:
            begun_ns = time.monotonic_ns()
            if not now and begun_ns < self._tell_again_ns:
                return
            self._tell_again_ns = begun_ns + _LONGEST_NS
        with contextlib.suppress(RigposeError):
            content, written = self.report(), None
            while content != written:  # until nobody has written, after us, what they saw before
                save_json(self.status, content)
                content, written = self.report() if now else content, content
        took_ns = time.monotonic_ns() - begun_ns
        with self._lock:  # ten thousand videos on a slow disk are looked at more rarely
            self._tell_again_ns = begun_ns + max(_STATUS_NS, 20 * took_ns)

    def report(self) -> dict[str, Any]:
        """What the status file holds."""
        claimed = self._claims.names()
        outcomes = [self.look(stem, stem in claimed) for stem in self._jobs]
        videos = [_row(str(self._jobs[outcome.stem].source), outcome) for outcome in outcomes]
        videos += [_row(outcome.stem, outcome) for outcome in self._others]
        states = [row["state"] for row in videos]
        return {
            "format": FORMAT, "version": VERSION, "bundle": str(self.orders.bundle),
            "scorer": self.orders.scorer, "rows": self.orders.rows,
            "execution": self.orders.execution.as_json(),
            "counts": {state: states.count(state) for state in dict.fromkeys(sorted(states))},
            "videos": videos,
        }  # fmt: skip

    def _of_other_commands(self) -> list[Outcome]:
        """What was made, or failed, of videos that this command does not name."""
        metas = self.orders.output.glob(f"*{self.orders.scorer}{META_SUFFIX}")
        told = [read_outcome(path) for path in (*metas, *self._folder.glob(f"*{FAILED_SUFFIX}"))]
        others = {outcome.stem: outcome for outcome in reversed(told) if outcome is not None}
        return [outcome for stem, outcome in sorted(others.items()) if stem not in self._jobs]

    def look(self, stem: str, claimed: bool = True) -> Outcome:
        """What is known of a job now: of ours, of another process's, of an earlier run's.

        `claimed` may be False where it is known that nobody has claimed it, which saves looking.
        """
        with self._lock:
            known = self.outcomes.get(stem)
        if known is not None:
            return known
        job = self._jobs[stem]
        try:
            depends = self._depends.get(stem) or made_from(job, self.orders)
        except OSError as error:
            return Outcome.failed(job, error)
        self._depends[stem] = depends
        done = read_outcome(self.orders.meta(job))
        if done is not None and done.made_from == depends:
            with self._lock:
                self.outcomes[stem] = done
                self.kept.add(stem)
            return done
        if claimed and self._claims.view(stem) in ("mine", "alive", "unsure"):
            return Outcome(stem, "running")
        failed = read_outcome(self._folder / f"{stem}{FAILED_SUFFIX}")
        if failed is not None and failed.made_from == depends:
            return failed
        return Outcome(stem, "waiting")


def _row(video: str, outcome: Outcome) -> dict[str, Any]:
    """One line of the status file."""
    return {
        "name": outcome.stem,
        "state": outcome.state,
        "why": outcome.why,
        "video": video,
        **outcome.figures,
    }


def _read_execution(path: Path) -> Execution | None:
    try:
        return Execution.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _save_first(path: Path, execution: Execution) -> bool:
    """Write the file, whole from its first moment, unless it is there; whether what stands is this one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            _put_aside(path, Path(folder) / "aside", execution.bundle_sha256)
            whole = Path(folder) / path.name
            save_json(whole, execution.as_json())
            _link(whole, path)
    except FileExistsError:
        return False
    except OSError as error:
        raise RigposeError(
            path.parent, expected="a folder to write into", found=error.strerror or str(error),
            remedy="Choose another -o",
        ) from None  # fmt: skip
    stands = _read_execution(path)
    return stands is not None and stands.as_json() == execution.as_json()


def _put_aside(path: Path, aside: Path, bundle_sha256: str) -> None:
    """Move a file that settles nothing: one that does not read, or of another bundle.

    What somebody puts there meanwhile stays. Raises `FileExistsError` where the file is in force.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    settled = _read_execution(path)
    if settled is None:  # where there are no links it appears empty, for a moment
        time.sleep(_WRITTEN_S)
        settled = _read_execution(path)
    if settled is not None and settled.bundle_sha256 == bundle_sha256:
        raise FileExistsError(path)
    with contextlib.suppress(FileNotFoundError):  # somebody else moved it
        path.rename(aside)
        if aside.read_bytes() != content:
            _link(aside, path)


def _link(whole: Path, path: Path) -> None:
    """Give `whole` the name `path`, too; raises `FileExistsError` where that is taken."""
    try:
        os.link(whole, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with path.open("xb") as stream:  # whole in one write, if not from its first moment
            stream.write(whole.read_bytes())
