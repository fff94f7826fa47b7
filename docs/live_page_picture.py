"""Makes the README's picture, docs/live-page.png: the live page of the demo's rig, as a browser shows it.

    python docs/live_page_picture.py [--demo demo-out]

Wants what `make demo` left, Chromium and Playwright (`make install-dev`).
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).with_name("live-page.png")
SIZE_PX = {"width": 1280, "height": 900}
# Long enough for the curves of latency to be curves.
SECONDS = 40
OPTIONS = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]


def main() -> int:
    """Start the run, look at its page, keep the picture; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--demo", type=Path, default=Path(__file__).parents[1] / "demo-out")
    demo = parser.parse_args().demo
    chromium = shutil.which("chromium")
    if chromium is None or not (demo / "mouse.bundle").is_dir():
        print("no Chromium, or no demo: apt-get install chromium; make demo")
        return 1
    command = [
        sys.executable, "-m", "rigpose", "live", demo / "scenes" / "live" / "rig.yaml",
        "--model", demo / "mouse.bundle", "--calibration", demo / "calibration.toml", "--page",
        "--endpoint", f"ipc:///tmp/rigpose-picture-{time.monotonic_ns()}",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as live, sync_playwright() as driver:
        try:
            assert live.stdout is not None
            address = next(found[0] for line in live.stdout if (found := re.findall(r"http://\S+", line)))
            browser = driver.chromium.launch(executable_path=chromium, args=OPTIONS)
            page = browser.new_page(viewport=SIZE_PX)
            page.goto(address)
            time.sleep(SECONDS)
            page.screenshot(path=PICTURE)
            browser.close()
        finally:
            live.terminate()
    print(PICTURE)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
