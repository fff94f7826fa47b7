"""The accounts of frame sets: every one that came in went out somewhere, and every absence has its cause."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from acquisition.frame import Absence
from acquisition.synchronisation.synchronise import Resolved, StampSet

_COUNTS = (
    "sets_in", "published", "skipped", "empty",
    "complete_in", "complete_published", "complete_skipped", "uncertain_in",
)  # fmt: skip
ABSENCES_LISTED = 10_000  # later ones are counted, no longer listed one by one


class SetAccounts:
    """Counts of one tracker.

    `sets_in = published + skipped + empty` once every set has been dealt with. A set is empty where no
    camera has a frame; incomplete ones are tracked with what is there, uncertain ones (`StampSet.uncertain`)
    are counted and tracked like any other.

    Parameters
    ----------
    cameras:
        Names in rig order.
    """

    def __init__(self, cameras: Sequence[str]) -> None:
        self.cameras = tuple(cameras)
        self.sets_in = self.published = self.skipped = self.empty = 0
        self.complete_in = self.complete_published = self.complete_skipped = self.uncertain_in = 0
        self.causes: dict[str, dict[str, int]] = {camera: {} for camera in self.cameras}
        self._listed: dict[tuple[int, str], str] = {}

    def arrived(self, sets: Iterable[StampSet]) -> None:
        """Sets left the synchroniser."""
        for frame_set in sets:
            self.sets_in += 1
            self.complete_in += frame_set.complete
            self.uncertain_in += bool(frame_set.uncertain)
            for camera, cause in zip(self.cameras, frame_set.absences, strict=True):
                if cause is not None:
                    self._count(camera, cause, 1)
                    if len(self._listed) < ABSENCES_LISTED:
                        self._listed[frame_set.index, camera] = cause.value

    def resolved(self, news: Iterable[Resolved]) -> None:
        """The causes of late frames became known."""
        for item in news:
            self._count(item.camera, Absence.LATE, -1)
            self._count(item.camera, item.absence, 1)
            if (item.index, item.camera) in self._listed:
                self._listed[item.index, item.camera] = item.absence.value

    def was_published(self, frame_set: StampSet) -> None:
        """The set's poses went out."""
        self.published += 1
        self.complete_published += frame_set.complete

    def was_skipped(self, frame_set: StampSet) -> None:
        """The set was given up in favour of a newer one, or because the tracker stopped."""
        self.skipped += 1
        self.complete_skipped += frame_set.complete

    def was_empty(self) -> None:
        """There was nothing in it to track."""
        self.empty += 1

    @property
    def balanced(self) -> bool:
        """Whether what came in went out."""
        complete = self.complete_in == self.complete_published + self.complete_skipped
        return complete and self.sets_in == self.published + self.skipped + self.empty

    def counters(self) -> dict[str, int]:
        """The counts, flat, for `health`."""
        return {name: int(getattr(self, name)) for name in _COUNTS}

    def lost(self) -> dict[str, dict[str, int]]:
        """Absent frames by camera and cause."""
        return {
            camera: {cause: count for cause, count in causes.items() if count}
            for camera, causes in self.causes.items()
        }

    def summary(self) -> dict[str, Any]:
        """Everything: counts, absences by camera and cause, and the list [index, camera, cause]."""
        return {
            **self.counters(),
            "balanced": self.balanced,
            "lost": self.lost(),
            "absences": [[index, camera, cause] for (index, camera), cause in sorted(self._listed.items())],
        }

    def _count(self, camera: str, cause: Absence, by: int) -> None:
        causes = self.causes[camera]
        causes[cause.value] = causes.get(cause.value, 0) + by
