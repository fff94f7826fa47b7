"""A live rig with everything on, as processes of its own, and ways to hurt it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from acquisition.recordings.recording import Recording
from acquisition.simulation.scene import write_scene
from deploy.stream.messages import Health
from deploy.stream.subscriber import PoseSubscriber

CHECKOUT = Path(__file__).resolve().parents[2]
BUNDLE = CHECKOUT / "tests" / "deploy" / "golden" / "six_artifacts.bundle"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
WITHIN_S = 20.0


class ChaosRig:
    """`rigpose live` of two simulated cameras, recorded, with the page and a subscriber. A context manager.

    Attributes
    ----------
    poses:
        (t_received_ns, index) of every 2D pose heard.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.session = folder / "session"
        self.report = folder / "report.json"
        self.endpoint = f"ipc://{folder}/stream"
        self.poses: list[tuple[int, int]] = []
        self.health: dict[str, dict[str, int | float]] = {}
        self._ending = threading.Event()
        self._ears = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> ChaosRig:
        rig = {"recording": {"codec": "ffv1"}, "sync": {"tolerance_ms": 4.0, "max_delay_ms": 500.0}}
        write_scene(self.folder, kind="animal", seed=5, frame_sets=60, cameras=2, size=(160, 120), rig=rig)
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "rigpose", "live", str(self.folder / "rig.yaml"),
                "--model", str(BUNDLE), "--record", str(self.session),
                "--page", "--page-port", "0", "--endpoint", self.endpoint,
                "--seconds", "900", "--json", str(self.report),
            ],
            env=ENVIRONMENT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        said = []
        for line in self.process.stdout:
            said.append(line)
            if line.startswith("page:"):
                break
        else:
            self.close()
            raise AssertionError(f"no page: {''.join(said)}")
        address = re.search(r"http://\S+", said[-1])[0]
        self._base, self._token = address.split("/?token=")
        self._ears.start()
        self.wait(lambda: len(self.poses) > 20 and self.pids().get("tracker"), "the first poses")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Whatever happened, nothing is left running."""
        self._ending.set()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)
        self.process.stdout.close()
        if self._ears.is_alive():
            self._ears.join(5)

    def end(self) -> dict[str, Any]:
        """Stop it as a person would; its report."""
        self._ending.set()
        self._ears.join(5)
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        return {**json.loads(self.report.read_text()), "exit_code": code}

    def state(self) -> dict[str, Any]:
        """What the page tells."""
        request = urllib.request.Request(f"{self._base}/state", headers={"X-Rigpose-Token": self._token})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def pids(self) -> dict[str, int]:
        """Of the processes that are there, by name; {} while the page does not answer."""
        try:
            return {name: pid for name, pid in self.state()["pids"].items() if pid}
        except OSError:
            return {}

    def wait(self, condition, what: str, within_s: float = WITHIN_S) -> float:
        """Seconds until it is so."""
        begun = time.monotonic()
        while not condition():
            assert self.process.poll() is None, f"rigpose ended ({self.process.returncode}) before {what}"
            assert time.monotonic() - begun < within_s, f"not within {within_s:g} s: {what}"
            time.sleep(0.02)
        return time.monotonic() - begun

    def recovered(self, since_ns: int) -> float:
        """Seconds from an instant until ten poses of frames exposed after it have come."""
        self.wait(lambda: sum(t_ns > since_ns for t_ns, _ in self.poses) >= 10, "poses again")
        return (next(t_ns for t_ns, _ in self.poses if t_ns > since_ns) - since_ns) * 1e-9

    def playable(self) -> dict[str, tuple[int, int]]:
        """By camera: rows of its frame table, and pictures that can be read."""
        with Recording.open(self.session) as recording:
            return {
                name: (
                    len(recording.frame_table(name)),
                    sum(image is not None for image in recording.images(name)),
                )
                for name in recording.cameras
            }

    def _listen(self) -> None:
        with PoseSubscriber(self.endpoint, ("session", "pose2d", "health")) as stream:
            while not self._ending.is_set():
                message = stream.receive(timeout_ms=100)
                if message is None:
                    continue
                if isinstance(message.body, Health):
                    self.health = message.body.counters
                elif message.topic == "pose2d":
                    self.poses.append((message.t_received_ns, message.header.index))
