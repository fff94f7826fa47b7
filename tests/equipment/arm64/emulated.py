"""A Debian of aarch64, emulated: what a Jetson or a Raspberry Pi installs, without one. Needs root."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
_PACKAGES = ("acquisition", "calibration", "deploy", "training", "rigpose", "firmware_configs", "tests")
# Mounts of its own, gone with its last process.
_INSIDE = """
root=$1; folder=$2; shift 2
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$folder" "$root/mnt"
exec chroot "$root" /usr/bin/env -i -C /mnt HOME=/tmp LANG=C.UTF-8 PATH=/usr/bin:/bin \
    PYTHONPATH=/mnt:/edge:/testing "$@"
"""


class Emulated:
    """The root, with a copy of this checkout in `folder`, which is /mnt inside."""

    def __init__(self, folder: Path) -> None:
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        self._root = Path(os.environ.get("RIGPOSE_ARM64_ROOT", cache / "rigpose" / "arm64"))
        if not (self._root / ".wanted").is_file():
            pytest.skip("no aarch64 root: run tests/equipment/arm64/root.sh, or set RIGPOSE_ARM64_ROOT")
        if os.geteuid() != 0 or platform.machine() != "x86_64":
            pytest.skip("aarch64 is emulated on x86-64, by root")
        self.folder = folder
        for name in _PACKAGES:
            shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(CHECKOUT / "pyproject.toml", folder)

    def python(self, *arguments: str | Path, limit_s: float = 600.0) -> subprocess.CompletedProcess[str]:
        """Run Python there; paths are relative to the folder."""
        return self.run(["python3", *map(str, arguments)], limit_s)

    def run(self, words: Sequence[str], limit_s: float = 600.0) -> subprocess.CompletedProcess[str]:
        """Run a command there, in the folder, as a group that ends with it."""
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", _INSIDE, "sh",
             self._root, self.folder, *words],
            capture_output=True, text=True, check=False, timeout=limit_s,
        )  # fmt: skip
