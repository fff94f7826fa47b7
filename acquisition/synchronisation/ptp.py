"""The state of PTP (IEEE 1588) on this host, as linuxptp's `pmc` tells it, and a watch over it.

`gmPresent` stays true for seconds after the grandmaster is gone: until its announcements have been missed
three times. What really arrives is counted, so the counts are watched too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOCKET = Path("/var/run/ptp4l")
"""Where ptp4l listens, unless its `uds_address` says otherwise."""

_REQUESTS = ("TIME_STATUS_NP", "PORT_DATA_SET", "PORT_STATS_NP", "CURRENT_DATA_SET")
_ANSWER_S = 5.0
_EACH_S = 0.5
_TOLD_EACH_NS = 10_000_000_000
_MISSED = 2.5  # intervals without a message
_FOLLOWS = ("SLAVE", "UNCALIBRATED")


@dataclass(frozen=True, slots=True)
class PtpState:
    """One reading.

    Attributes
    ----------
    role:
        The port's state in linuxptp's words: SLAVE, UNCALIBRATED, MASTER, LISTENING, FAULTY, ...
    offset_ns:
        This host's clock from the master's, by ptp4l's last sample; 0.0 before the first.
    path_delay_ns:
        From the master to here.
    grandmaster:
        Its identity.
    grandmaster_present:
        Whether ptp4l still believes in it.
    announces, syncs:
        Messages received since ptp4l began.
    silence_s:
        So long without either is too long.
    """

    role: str
    offset_ns: float
    path_delay_ns: float
    grandmaster: str
    grandmaster_present: bool
    announces: int
    syncs: int
    silence_s: float

    @property
    def follows(self) -> bool:
        """Whether this host takes its time from a master."""
        return self.role in _FOLLOWS


def read_ptp(socket: Path = SOCKET) -> PtpState | None:
    """Ask ptp4l behind `socket`; None where it does not answer, or linuxptp is not installed."""
    pmc = shutil.which("pmc", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if pmc is None or not socket.exists():
        return None
    with tempfile.TemporaryDirectory(prefix="rigpose-pmc-") as scratch:
        requests = [f"GET {name}" for name in _REQUESTS]
        command = [pmc, "-u", "-b", "0", "-i", f"{scratch}/pmc", "-s", str(socket), *requests]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_S, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
    return parse_pmc(answer.stdout)


def parse_pmc(text: str) -> PtpState | None:
    """What `pmc` printed for the four requests as a state; None where an answer is missing or broken.

    With several ports the last one that follows a master counts, else the last.
    """
    fields: dict[str, str] = {}
    ports: dict[str, dict[str, str]] = {}
    port: dict[str, str] = fields
    for line in text.splitlines():
        words = line.split()
        if "RESPONSE" in words:
            port = fields
        elif len(words) == 2:
            if words[0] == "portIdentity":
                port = ports.setdefault(words[1], {})
            port[words[0]] = words[1]
    chosen: dict[str, str] = {}
    for one in ports.values():
        if one.get("portState") in _FOLLOWS or chosen.get("portState") not in _FOLLOWS:
            chosen = one
    try:
        intervals_s = [2.0 ** int(chosen[name]) for name in ("logAnnounceInterval", "logSyncInterval")]
        return PtpState(
            role=chosen["portState"],
            offset_ns=float(fields["master_offset"]),
            path_delay_ns=float(fields["meanPathDelay"]),
            grandmaster=fields["gmIdentity"],
            grandmaster_present=fields["gmPresent"] == "true",
            announces=int(chosen["rx_Announce"]),
            syncs=int(chosen["rx_Sync"]),
            silence_s=_MISSED * min(intervals_s),
        )
    except (KeyError, ValueError):
        return None


class PtpWatch:
    """Looks twice a second, and says what happens.

    `note(kind, t_ns, **facts)` (`EventsWriter.append`) is called from its thread with:

    - "ptp", at the start, every ten seconds and when it is over: `role`, `offset_ns`, `path_delay_ns`,
      `grandmaster`, `announcing`;
    - "ptp lost": the master is silent, or ptp4l is gone, or it says that there is no grandmaster: `why`;
    - "ptp back": after that, it follows again.

    Parameters
    ----------
    socket:
        Of ptp4l.
    """

    def __init__(self, note: Callable[..., None], socket: Path = SOCKET) -> None:
        self._note = note
        self._socket = socket
        self._over = threading.Event()
        self._followed = False
        self._lost = False
        self._counted = (-1, -1)
        self._heard_ns = time.monotonic_ns()
        self._told_ns = 0
        self._state: PtpState | None = None
        self._thread = threading.Thread(target=self._run, name="ptp", daemon=True)

    def start(self) -> PtpWatch:
        """Begin to look."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Look no more; may be called twice."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(_ANSWER_S + 1)

    def look(self, state: PtpState | None, now_ns: int) -> None:
        """Take in one reading."""
        self._state = state
        if state is not None and (state.announces, state.syncs) != self._counted:
            self._counted, self._heard_ns = (state.announces, state.syncs), now_ns
        why = self._fault(state, now_ns)
        if not why and state is not None and state.follows:
            self._followed = True
            if self._lost:
                self._lost = False
                self._note("ptp back", now_ns, grandmaster=state.grandmaster)
        elif why and self._followed and not self._lost:
            self._lost = True
            self._note("ptp lost", now_ns, why=why)
        if not self._told_ns or now_ns - self._told_ns >= _TOLD_EACH_NS:
            self._tell(now_ns)

    def _fault(self, state: PtpState | None, now_ns: int) -> str:
        if state is None:
            return "ptp4l does not answer"
        if state.role == "FAULTY":
            return "its port is faulty"
        if not self._followed and not state.follows:
            return ""  # it leads, or there never was anybody to follow
        if not state.grandmaster_present or not state.follows:
            return "there is no grandmaster"
        silent_s = (now_ns - self._heard_ns) * 1e-9
        return f"the master has been silent for {silent_s:.1f} s" if silent_s > state.silence_s else ""

    def _tell(self, now_ns: int) -> None:
        self._told_ns = now_ns
        state = self._state
        facts: dict[str, Any] = {"role": "none", "announcing": False}
        if state is not None:
            facts = {
                "role": state.role, "offset_ns": state.offset_ns, "path_delay_ns": state.path_delay_ns,
                "grandmaster": state.grandmaster, "announcing": state.follows and not self._lost,
            }  # fmt: skip
        self._note("ptp", now_ns, **facts)

    def _run(self) -> None:
        while not self._over.is_set():
            self.look(read_ptp(self._socket), time.monotonic_ns())
            self._over.wait(_EACH_S)
        self._tell(time.monotonic_ns())
