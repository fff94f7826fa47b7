"""In the guest: a recorder that writes to the disk, and a source that says what it has published."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from acquisition.recordings.recorder import RecorderPlan, recorder
from tests.acquisition.recordings.test_crash import Source, session

RATES_HZ = {"slow": 5.0, "usual": 30.0}
DISK = Path("/run/disk")


class Link:
    """A recorder's parent that never stops it."""

    stopping = False
    told: dict = {}  # noqa: RUF012

    def wait(self, timeout_s: float) -> bool:
        time.sleep(timeout_s)
        return False

    def report(self, now: bool = False, **counters) -> None:
        if counters.get("ended"):
            print("ended:", counters["ended"], flush=True)


def main() -> None:
    DISK.mkdir()
    subprocess.run(["/bin/mount", "-t", "ext4", "/dev/vda", str(DISK)], check=True)
    plan = session(DISK / "day1", list(RATES_HZ), keep_free_gb=0.01)
    runtime = Path("/run")
    source = Source(runtime, RATES_HZ)
    plan = RecorderPlan(str(runtime), plan.session, plan.cameras, plan.settings)
    threading.Thread(target=recorder, args=(Link(), plan), daemon=True).start()
    source.start()
    while True:
        time.sleep(0.1)
        counts = " ".join(str(count) for count in source.published.values())
        print(f"published {time.monotonic_ns()} {counts}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
