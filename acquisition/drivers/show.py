"""Films in place of cameras: what `file://` and `replay://` have in common.

A film delivers its frames when they are due. All films of one show begin together, `lead_s` after the last
of them was armed, so that their times can be compared; a camera that is armed later joins where the show is
then. A film that is over delivers nothing more, as a camera does whose trigger rests: it is not gone, and
opening it again would only begin anew. Where decoding is slower than the film, frames come late and none is
left out.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from acquisition.camera import CameraInfo, CameraTimeout, DeviceFrame, Feature, FoundCamera, Value
from acquisition.errors import RigposeError
from acquisition.frame import Image

_NAP_NS = 20_000_000
_LEAD_S, _LEAD_MAX_S = 1.0, 600.0
_PACE_MAX = 100.0


@dataclass(frozen=True, slots=True)
class FilmFrame:
    """One frame: its id, its stamp on the film's clock, when it arrives after the beginning; both ns."""

    frame_id: int
    stamp_ns: int
    due_ns: int
    image: Image


class Show:
    """The common beginning of several films in one process."""

    _shows: dict[str, Show] = {}  # noqa: RUF012 one a process, on purpose
    _lock = threading.Lock()

    def __init__(self) -> None:
        self.t0_ns: int | None = None
        self._waited_for: set[int] = set()
        self._armed: set[int] = set()

    @classmethod
    def called(cls, name: str) -> Show:
        """The show of that name."""
        with cls._lock:
            return cls._shows.setdefault(name, cls())

    def enter(self, film: int) -> None:
        """A film that will be armed soon; a show that has not begun waits for it."""
        with self._lock:
            self._waited_for.add(film)
            if self.t0_ns is not None and time.monotonic_ns() < self.t0_ns:
                self.t0_ns = None

    def arm(self, film: int, lead_s: float) -> None:
        """This film is ready; the last one sets the beginning."""
        with self._lock:
            self._armed.add(film)
            self._begin(lead_s)

    def stop(self, film: int) -> None:
        """This film is to end; after the last one the next show begins anew."""
        with self._lock:
            self._armed.discard(film)
            if not self._armed:
                self.t0_ns = None

    def leave(self, film: int) -> None:
        """This film is put away, stopped or not."""
        with self._lock:
            self._waited_for.discard(film)
            self._armed.discard(film)
            if self._armed:
                self._begin(_LEAD_S)

    def _begin(self, lead_s: float) -> None:
        if self.t0_ns is None and self._armed >= self._waited_for:
            self.t0_ns = time.monotonic_ns() + round(lead_s * 1e9)


class FilmCamera(ABC):
    """A film behind the camera port. Subclasses load it and iterate over its frames.

    Its features: `pace`, 1 as it was filmed, 2 twice as fast, 0 as fast as it is read; and `lead_s`, how long
    after the last camera was armed the show begins (readers that load a network take longer than a second).
    """

    def __init__(self, name: str, uri: str) -> None:
        self._name, self._uri = name, uri
        self._show: Show | None = None
        self._info: CameraInfo | None = None
        self._wishes: dict[str, Value] = {}
        self._frames: Iterator[FilmFrame] | None = None
        self._next: FilmFrame | None = None
        self._first_ns: int | None = None
        self._shown = 0
        self._over = False
        self._latest_ns = 0

    @staticmethod
    def find() -> list[FoundCamera]:
        """None: a film is where somebody has put it."""
        return []

    @abstractmethod
    def _load(self) -> tuple[str, CameraInfo]:
        """The name of the show, and the camera as it was filmed. Raises `RigposeError`."""

    @abstractmethod
    def _play(self) -> Iterator[FilmFrame]:
        """The frames from the beginning."""

    def _defaults(self) -> dict[str, Value]:
        return {"pace": 1.0, "lead_s": _LEAD_S}

    def open(self, wished: dict[str, Value]) -> CameraInfo:
        """Look at the film; nothing of it can be set but its pace and the like."""
        self._wishes = {**self._defaults(), **self._settled(wished)}
        name, info = self._load()
        pace = float(self._wishes["pace"])
        self._show = Show.called(name)
        self._show.enter(id(self))
        self._info = replace(
            info,
            rate_hz=info.rate_hz * (pace or 1.0),
            has_device_clock=pace > 0,
            stamp_meaning=info.stamp_meaning if pace > 0 else "arrival: the film runs as fast as it is read",
            features=dict(self._wishes),
        )
        return self._info

    def features(self) -> list[Feature]:
        """What can be set."""
        limits: dict[str, tuple[float, float]] = {"pace": (0.0, _PACE_MAX), "lead_s": (0.0, _LEAD_MAX_S)}
        found = []
        for key, value in self._wishes.items():
            low, high = limits.get(key, (None, None))
            found.append(Feature(key, value, low, high, unit="s" if key.endswith("_s") else ""))
        return found

    def start(self) -> None:
        """Wait for the show to begin, or join it."""
        if self._show is None:
            raise RuntimeError("start before open")
        self._frames, self._next, self._first_ns = self._play(), None, None
        self._over, self._shown, self._latest_ns = False, 0, 0
        self._show.arm(id(self), float(self._wishes["lead_s"]))

    def read(self, timeout_ms: int) -> DeviceFrame:
        """The next frame once it is due; raises `CameraTimeout`, for ever when the film is over."""
        if self._show is None or self._frames is None or self._info is None:
            raise RuntimeError("read before start")
        deadline_ns = time.monotonic_ns() + timeout_ms * 1_000_000
        pace = float(self._wishes["pace"])
        while True:
            now_ns = time.monotonic_ns()
            wake_ns = deadline_ns
            t0_ns = self._show.t0_ns
            if t0_ns is not None and now_ns >= t0_ns and self._ahead(now_ns - t0_ns, pace):
                assert self._next is not None
                wake_ns = t0_ns + round(self._next.due_ns / pace) if pace else now_ns
                now_ns = time.monotonic_ns()  # decoding took its time
                if now_ns >= wake_ns:
                    return self._deliver(self._next, wake_ns, pace)
            if now_ns >= deadline_ns:
                raise CameraTimeout(f"camera '{self._name}': no frame within {timeout_ms} ms")
            time.sleep(max(0, min(wake_ns, deadline_ns, now_ns + _NAP_NS) - now_ns) * 1e-9)

    def counts(self) -> dict[str, int]:
        """Frames shown, whether the film is over, and how late the latest frame was, us."""
        return {"shown": self._shown, "over": int(self._over), "late_us_max": self._latest_ns // 1000}

    def stop(self) -> None:
        """No more frames; `start` begins the film anew."""
        self._frames = None
        if self._show is not None:
            self._show.stop(id(self))

    def close(self) -> None:
        """Put the film away."""
        self._frames = None
        if self._show is not None:
            self._show.leave(id(self))
            self._show = None

    def _ahead(self, elapsed_ns: int, pace: float) -> bool:
        """Have the next frame decoded; False at the end. A film that joins late is wound forward first."""
        assert self._frames is not None
        while self._next is None and not self._over:
            self._next = next(self._frames, None)
            self._over = self._next is None
            joins = self._shown == 0 and self._next is not None and pace
            if joins and self._next is not None and self._next.due_ns / pace < elapsed_ns - _NAP_NS * 5:
                self._next = None
        return self._next is not None

    def _deliver(self, frame: FilmFrame, due_ns: int, pace: float) -> DeviceFrame:
        self._next = None
        self._shown += 1
        now_ns = time.monotonic_ns()
        self._latest_ns = max(self._latest_ns, now_ns - due_ns if pace else 0)
        if self._first_ns is None:
            self._first_ns = frame.stamp_ns
        # On a film that runs twice as fast a second of its clock takes half of one.
        stamp_ns = self._first_ns + round((frame.stamp_ns - self._first_ns) / pace) if pace else None
        return DeviceFrame(frame.frame_id, stamp_ns, now_ns, frame.image)

    def _settled(self, wished: Mapping[str, Value]) -> dict[str, Value]:
        known = self._defaults()
        for key, value in wished.items():
            if key in ("exposure_us", "rate_hz"):
                raise RigposeError(
                    f"camera '{self._name}'", expected="no exposure and no rate to set: the film is made",
                    found=f"'{key}'", remedy="Remove the trigger section, or the line in the settings file",
                )  # fmt: skip
            if key not in known:
                raise RigposeError(
                    f"camera '{self._name}'", expected=f"the features {', '.join(known)}", found=f"'{key}'",
                    remedy="Remove it from the camera's settings file",
                )  # fmt: skip
            if isinstance(known[key], bool) is not isinstance(value, bool) or isinstance(value, str):
                raise RigposeError(
                    f"camera '{self._name}'",
                    expected=f"{'true or false' if isinstance(known[key], bool) else 'a number'} for '{key}'",
                    found=repr(value), remedy="Mend the camera's settings file",
                )  # fmt: skip
        for key, high in (("pace", _PACE_MAX), ("lead_s", _LEAD_MAX_S)):
            if key in wished and not 0 <= float(wished[key]) <= high:
                raise RigposeError(
                    f"camera '{self._name}'", expected=f"'{key}' from 0 to {high:g}", found=f"{wished[key]}",
                    remedy="Mend the camera's settings file",
                )  # fmt: skip
        return dict(wished)
