"""A recorded camera behind the camera port, `replay://SESSION#camera`: at its own pace, losses included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.camera import CameraInfo
from acquisition.drivers.show import FilmCamera, FilmFrame
from acquisition.errors import RigposeError
from acquisition.frame_stamp import NEW_COUNT
from acquisition.recordings.recording import Recording


class ReplayCamera(FilmCamera):
    """One camera of a session: its pictures, with the distances of the recorded stamps and arrivals.

    Frame ids are the recorded counts, so that what was lost then is lost again; where the camera had begun to
    count anew they begin anew. The stamp is the recorded middle of the exposure, with its recorded
    uncertainty, on the recording's own clock; the rig clock of today is found from the arrivals.
    """

    def __init__(self, name: str, uri: str) -> None:
        super().__init__(name, uri)
        path, _, camera = uri.removeprefix("replay://").partition("#")
        self._folder, self._camera = Path(path), camera or name
        self._recording: Recording | None = None
        self._origin_ns = 0

    def _load(self) -> tuple[str, CameraInfo]:
        recording = Recording.open(self._folder)
        if self._camera not in recording.cameras:
            raise RigposeError(
                f"camera '{self._name}'", expected=f"one of {', '.join(recording.cameras)} after '#'",
                found=f"'{self._uri}'", remedy="Mend 'uri' in the rig file",
            )  # fmt: skip
        tables = {name: recording.frame_table(name) for name in recording.cameras}
        table = tables[self._camera]
        if not len(table):
            raise RigposeError(
                f"camera '{self._name}'", expected="a recorded camera with frames",
                found=f"none in {self._uri}", remedy="Take the camera out of the rig file",
            )  # fmt: skip
        self._origin_ns = min(int(each["t_arrival_ns"][0]) for each in tables.values() if len(each))
        picture = recording.image(self._camera, 0)
        known: dict[str, Any] = recording.session["cameras"].get(self._camera) or {}
        self._recording = recording
        return f"replay of {self._folder.resolve()}", CameraInfo(
            uri=self._uri,
            model=f"replay of {known.get('model') or 'a recorded camera'}",
            serial=str(known.get("serial", "")),
            width_px=picture.shape[1],
            height_px=picture.shape[0],
            channels=1 if picture.ndim == 2 else picture.shape[2],
            rate_hz=float(known.get("rate_hz") or _rate_hz(table)),
            exposure_us=float(known.get("exposure_us") or 0.0),
            id_modulus=None,
            id_first=0,
            has_device_clock=True,
            stamp_to_middle_ns=0,
            stamp_uncertainty_ns=int(table["uncertainty_ns"].max()),
            stamp_meaning="middle of the exposure, clock of the recording",
            # what was lost before the first frame is known where the recorder knew it
            id_start=0 if int(table["lost_before"][0]) != NEW_COUNT else None,
            pixel_format=str(known.get("pixel_format", "")) or "Mono8",
        )

    def _play(self) -> Iterator[FilmFrame]:
        recording = self._recording
        assert recording is not None
        table = recording.frame_table(self._camera)
        counts_from = 0
        for row, image in zip(table, recording.images(self._camera), strict=True):
            if image is None:  # damaged: played as one that the camera lost
                continue
            seq, stamp_ns, arrival_ns = (int(row[key]) for key in ("seq", "t_exposure_ns", "t_arrival_ns"))
            if int(row["lost_before"]) == NEW_COUNT:
                counts_from = seq
            yield FilmFrame(seq - counts_from, stamp_ns, arrival_ns - self._origin_ns, image)

    def close(self) -> None:
        """Put the recording away."""
        super().close()
        if self._recording is not None:
            self._recording.close()
            self._recording = None


def _rate_hz(table: Any) -> float:
    steps = np.diff(table["t_exposure_ns"])
    return float(1e9 / np.median(steps)) if len(steps) and np.median(steps) > 0 else 30.0
