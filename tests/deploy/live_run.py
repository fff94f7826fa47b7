"""`rigpose live --page-control` in a process of its own, its recording paused: addresses, tokens, its end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from http.client import HTTPResponse
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


class LiveRun:
    """Runs until `end`, four minutes at most; its page, its report and its recording lie in `folder`.

    Attributes
    ----------
    address, control:
        The page to look at, and the one that may end the run, as the command prints them.
    base, token, control_token:
        The parts of them.
    """

    def __init__(self, folder: Path, rig: Path, model: Path, *words: str | Path) -> None:
        self.report, self.session = folder / "report.json", folder / "day1"
        command = [
            "live", rig, "--model", model, "--page-control", "--page-port", "0", "--json", self.report,
            "--record", self.session, "--record-paused", "--endpoint", f"ipc://{folder}/stream",
            "--seconds", "240", *words,
        ]  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rigpose", *map(str, command)],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        said = []
        for line in self.process.stdout:
            said.append(line)
            if "may end the run and switch its recording" in line:
                break
        else:
            self.end()
            raise AssertionError(f"no page: {''.join(said)}")
        self.address, self.control = re.findall(r"http://\S+", "".join(said))[:2]
        self.base = self.address.split("/?")[0]
        self.token, self.control_token = re.findall(r"token=([^&\s]+)&control=(\S+)", self.control)[0]

    def get(self, path: str, method: str = "GET", **headers: str) -> HTTPResponse:
        request = urllib.request.Request(self.base + path, method=method, headers=headers)
        return urllib.request.urlopen(request, timeout=30)

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(60)
        self.process.stdout.close()
        return code
