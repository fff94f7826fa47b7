"""`fuse`: the 2D poses of several hosts in, one stream of 2D and 3D poses out."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from acquisition.progress import Progress
from acquisition.running import STARTING, RunFile
from calibration.camera_model import CalibratedRig
from calibration.formats.anipose import calibration_hash, load_calibration
from calibration.triangulation import triangulate
from deploy.fusion.agreement import agree
from deploy.fusion.host import Host
from deploy.fusion.joint_stream import JointStream
from deploy.fusion.settings import FuseSettings
from deploy.stream.keys import client_keys


@dataclass(frozen=True, slots=True)
class FuseOptions:
    """How long to join.

    Attributes
    ----------
    seconds:
        Of joining; None: until interrupted.
    wait_s:
        How long all hosts have, at the start, to be there.
    version:
        Of rigpose, told to subscribers.
    """

    seconds: float | None = None
    wait_s: float = 60.0
    version: str = ""


def fuse(settings: FuseSettings, options: FuseOptions) -> dict[str, Any]:
    """Join the hosts' 2D poses pulse by pulse, triangulate, publish as one stream. Ctrl-C ends it.

    All hosts must be there at the start, and agree (`agreement.agree`). Later one may come and go: sets are
    then published without its cameras. A host that comes back with another network or calibration is left out
    and named. When the host with the trigger counts anew, a new stream session begins.

    Returns
    -------
    dict
        `endpoint`, `ended`, `seconds`; `sets` published, `complete` ones; `added_delay_ms`, p50, p95 and max,
        from the slowest host's publishing to ours; `hosts`: counters of each; `stream`: the publisher's.

    Raises
    ------
    RigposeError
        A host that is not there in time or does not agree, a tolerance of half a period or more, a
        calibration or a key that cannot be read, an endpoint in use.
    """
    calibration = load_calibration(settings.calibration)
    _warm_up(calibration)
    with ExitStack() as stack:
        hosts = [stack.enter_context(_host(settings, name)) for name in settings.hosts]
        stopped = stack.enter_context(_signals())
        run_file = stack.enter_context(RunFile("fuse"))

        def waiting() -> None:
            run_file.tell(lambda: {
                "name": settings.name, "state": STARTING,
                "waits_for": [f"host {host.name} ({host.trouble})" for host in hosts if host.session is None],
            })  # fmt: skip

        _wait_for_all(hosts, options.wait_s, stopped, waiting)
        sessions = {host.name: host.session for host in hosts if host.session is not None}
        if len(sessions) < len(hosts):
            return {"ended": "interrupted", "sets": 0}
        agreement = agree(sessions, calibration, calibration_hash(settings.calibration))
        run = stack.enter_context(JointStream(settings, options.version, hosts, agreement, calibration))
        print(f"joining {' and '.join(sessions)} on {run.publisher.endpoint}", flush=True)
        run.join(options.seconds, stopped, run_file)
        ended = "interrupted" if stopped.is_set() else "time is over"
        return {"endpoint": run.publisher.endpoint, "ended": ended, **run.summary()}


def _warm_up(rig: CalibratedRig) -> None:
    """Kernels are compiled or loaded now, before messages queue up."""
    keypoints = np.ones((len(rig.cameras), 1, 3), np.float32)
    keypoints[..., :2] = np.asarray([camera.size_px for camera in rig.cameras], np.float32)[:, None] / 2
    triangulate(rig, keypoints)


def _host(settings: FuseSettings, name: str) -> Host:
    about = settings.hosts[name]
    keys = None
    if about.server_key is not None and settings.key is not None:
        keys = client_keys(about.server_key, settings.key)
    try:
        return Host(name, about.endpoint, keys)
    except ValueError as error:
        raise RigposeError(
            f"host '{name}'", expected="an address such as tcp://10.0.0.2:5555", found=str(error),
            remedy="Mend 'endpoint' in the file",
        ) from None  # fmt: skip


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """Set by Ctrl-C and SIGTERM, so that what has begun is finished; the second one acts as always."""
    stopped = threading.Event()
    before: dict[signal.Signals, Any] = {}

    def stop(number: int, _: object) -> None:
        stopped.set()
        signal.signal(number, before[signal.Signals(number)])

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_for_all(
    hosts: list[Host], wait_s: float, stopped: threading.Event, waiting: Callable[[], None]
) -> None:
    """Until every host tracks; `waiting` is called often. Raises `RigposeError` naming those that do not."""
    end_ns = time.monotonic_ns() + round(wait_s * 1e9)
    with Progress("waiting for the hosts", total=len(hosts)) as bar:
        there = 0
        while there < len(hosts) and not stopped.is_set():
            waiting()
            if time.monotonic_ns() > end_ns:
                missing = [f"'{host.name}' ({host.trouble})" for host in hosts if host.session is None]
                raise RigposeError(
                    "the hosts", expected=f"all of them tracking within {wait_s:g} s",
                    found=f"not {', '.join(missing)}",
                    remedy="Start 'rigpose live' there, and check addresses and keys",
                )  # fmt: skip
            for host in hosts:
                host.counts["before joining"] += sum(m.topic == "pose2d" for m in host.messages())
            now_there = sum(host.session is not None for host in hosts)
            bar.advance(now_there - there)
            there = now_there
            time.sleep(0.01)
