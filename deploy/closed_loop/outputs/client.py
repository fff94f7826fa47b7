"""The processor's side of the outputs: handles that know the pose a command is decided on."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from calibration.poses import POSE3D_COLUMNS
from deploy.closed_loop.outputs.port import Beat, Command, encode
from deploy.closed_loop.outputs.serve import SOCKET
from deploy.closed_loop.outputs.settings import OutputSettings
from deploy.closed_loop.processor import Moment

_VIEWS = POSE3D_COLUMNS.index("views")
_NOTE_LENGTH = 1000


class OutputHandle:
    """One output, as a processor has it.

    Attributes
    ----------
    settings:
        Its policy.
    """

    def __init__(self, outputs: Outputs, name: str, settings: OutputSettings, places: list[int]) -> None:
        self.settings = settings
        self._outputs, self._name, self._places = outputs, name, places

    def set(self, on: bool, note: object = "") -> None:
        """Ask for high or low, on the pose that is being processed, with a note for the log.

        Say it with every pose: it is sent on at once, and what is so already costs nothing. Whether it is
        followed depends on the policy. Of the note the first 1000 characters of `str(note)` are kept.
        """
        # Whatever a processor notes, its command must arrive: in one packet, and readable.
        text = str(note)[:_NOTE_LENGTH].encode(errors="replace").decode()
        self._outputs.send(self._name, bool(on), self._places, self.settings.min_confidence, text)


class Outputs(Mapping[str, OutputHandle]):
    """All outputs by name.

    Attributes
    ----------
    evidence:
        The pose that is being processed; None in between.
    runtime:
        As given.

    Parameters
    ----------
    runtime:
        Runtime folder; None: there is nobody to send to (no outputs).
    settings:
        By name.
    keypoints:
        Of the network, in order.
    """

    def __init__(
        self, runtime: Path | None, settings: Mapping[str, OutputSettings], keypoints: tuple[str, ...]
    ) -> None:
        self.evidence: Moment | None = None
        self.runtime = runtime
        self._path = None if runtime is None else runtime / SOCKET
        self._socket: socket.socket | None = None
        everything = list(range(len(keypoints)))
        self._handles = {
            name: OutputHandle(
                self, name, one, [keypoints.index(keypoint) for keypoint in one.keypoints] or everything
            )
            for name, one in settings.items()
        }

    def __getitem__(self, name: str) -> OutputHandle:
        return self._handles[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._handles)

    def __len__(self) -> int:
        return len(self._handles)

    def send(self, name: str, on: bool, places: list[int], min_confidence: float, note: str) -> None:
        """A command on the present evidence."""
        evidence = self.evidence
        if evidence is None:
            raise RuntimeError("an output is set while a pose is processed, not before or after")
        confidence, views = support(evidence, places, min_confidence)
        self._post(
            encode(
                Command(
                    name,
                    on,
                    evidence.index,
                    evidence.t_exposure_ns,
                    evidence.t_valid_ns,
                    confidence,
                    views,
                    note,
                )
            )
        )

    def beat(self, t_exposure_ns: int) -> None:
        """A pose of this exposure was dealt with."""
        self._post(encode(Beat(t_exposure_ns)))

    def close(self) -> None:
        """Gone: every output falls."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _post(self, packet: bytes) -> None:
        """To the outputs' process; one that was restarted is found again with the next packet."""
        if self._path is None:
            return
        if self._socket is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            connection.setblocking(False)  # a process that hangs there is no reason to hang here
            try:
                connection.connect(str(self._path))
            except OSError:
                connection.close()
                return
            self._socket = connection
        try:
            self._socket.send(packet, socket.MSG_NOSIGNAL)
        except OSError:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None


def support(evidence: Moment, places: list[int], min_confidence: float) -> tuple[float, int]:
    """The least confidence and number of views among keypoints.

    A keypoint's confidence is that of its best camera. Its views are those of its 3D point, none where there
    is no point; without 3D the cameras in which it is confident enough.
    """
    if not places:
        return 0.0, 0
    confidences = evidence.keypoints[:, places, 2]  # NaN where a camera does not have it
    best = float(np.nan_to_num(confidences).max(axis=0).min())
    if evidence.points is None:
        return best, int((confidences >= min_confidence).sum(axis=0).min())
    # Views that contradict each other are counted all the same, and have no place.
    points = evidence.points[places]
    return best, int(np.where(np.isfinite(points[:, :3]).all(axis=1), points[:, _VIEWS], 0).min())
