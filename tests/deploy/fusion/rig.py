"""A rig of two hosts and the one that joins them: its files, and the processes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from calibration.formats.anipose import save_toml
from deploy.stream.keys import allow, new_pair
from tests.calibration.synthetic import ring
from tests.deploy.streaming import BOOT_ID

CHECKOUT = Path(__file__).resolve().parents[3]
HOST = Path(__file__).with_name("host_process.py")
PERIOD_NS = 10_000_000
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CHECKOUT)}


class Rig:
    """Two hosts of two cameras each and the one that joins them, in the files they are started with."""

    def __init__(self, folder: Path, addresses: tuple[str, str], *, keys: bool) -> None:
        self.folder = folder
        self.t0_ns = time.monotonic_ns() + 200_000_000
        self.endpoint = f"ipc://{folder}/joint"
        rig = ring(4)
        self.calibration = folder / "calibration.toml"
        save_toml(rig, self.calibration)
        about = {"name": "arena", "calibration": "calibration.toml", "stream": {"endpoint": self.endpoint}}
        if keys:
            public, _ = new_pair(folder / "fuse", "fuse")
            about["key"] = "fuse/fuse.secret"
        hosts = {}
        for n, address in enumerate(addresses):
            name = ("left", "right")[n]
            hosts[name] = {"endpoint": address}
            if keys:
                new_pair(folder / name, "server")
                allow(folder / name, public)
                hosts[name]["server_key"] = f"{name}/server.pub"
            self.settings(n, {
                "endpoint": address.replace("10.77.1.1", "*").replace("10.77.2.1", "*"),
                "keys": str(folder / name) if keys else None, "calibration": str(self.calibration),
                "cameras": [camera.name for camera in rig.cameras[2 * n : 2 * n + 2]],
                # Another boot id with keys: the clocks are compared over the network, and are the same one.
                "boot_id": f"other {n}" if keys else BOOT_ID, "t0_ns": self.t0_ns, "period_ns": PERIOD_NS,
                "first": 0, "late_ms": 0, "bundle": "b" * 64,
            })  # fmt: skip
        self.file = folder / "fuse.yaml"
        self.file.write_text(yaml.safe_dump({**about, "hosts": hosts}, sort_keys=False))

    def settings(self, n: int, change: dict) -> Path:
        """Change what host n is started with."""
        path = self.folder / f"host-{n}.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**known, **change}))
        return path

    def host_command(self, n: int) -> list[str]:
        return [sys.executable, str(HOST), str(self.folder / f"host-{n}.json")]

    def fuse_command(self, *more: str) -> list[str]:
        report = str(self.folder / "report.json")
        return [sys.executable, "-m", "rigpose", "fuse", str(self.file), "--quiet", "--json", report, *more]


@contextmanager
def started(command: list[str], **more) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(command, env=ENVIRONMENT, **more)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(20)
