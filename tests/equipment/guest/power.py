"""Losing power: a guest that writes to a disk of its own is not there any more from one moment to the next.

The guest's memory goes with it, and what its kernel had not yet written to the disk with that. (Killing a
process shows nothing of the kind: the page cache survives.)
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.equipment.guest import linux

_DISK_MB = 128


def cut_power(
    folder: Path, arguments: Sequence[object], when: Callable[[list[str]], bool], timeout_s: float = 300
) -> tuple[list[str], Path]:
    """Run this environment's Python in a guest with an ext4 disk on /dev/vda, until `when` says to cut.

    Parameters
    ----------
    arguments:
        Of Python.
    when:
        Asked again and again, with the lines the guest has written so far.

    Returns
    -------
    lines, disk
        What the guest wrote, and a folder with a copy of what is on its disk, its journal replayed as at a
        next boot.
    """
    for tool in ("mkfs.ext4", "e2fsck", "debugfs"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}: install e2fsprogs")
    guest = linux.kernel()
    image, said = folder / "disk.img", folder / "said.txt"
    with image.open("wb") as stream:
        stream.truncate(_DISK_MB << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True, capture_output=True)
    said.touch()
    words = [f"PYTHONPATH={linux.CHECKOUT}", "PYTHONDONTWRITEBYTECODE=1", linux.sys.executable, "-u"]
    words += [str(argument) for argument in arguments]
    modules = {"virtio_blk": "", "ext4": ""}
    machine = subprocess.Popen(
        [
            linux._QEMU, "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-display", "none",
            "-no-reboot", "-nic", "none", "-serial", f"file:{folder / 'console.txt'}",
            "-serial", f"file:{said}", "-kernel", guest.image,
            "-initrd", linux._ram_disk(folder, guest, words, modules),
            "-append", "console=ttyS0 quiet panic=-1",
            "-fsdev", "local,id=h,path=/,security_model=none,readonly=on,multidevs=remap",
            "-device", "virtio-9p-pci,fsdev=h,mount_tag=host",
            "-drive", f"file={image},format=raw,if=virtio",
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until_s = time.monotonic() + timeout_s
    try:
        while not when(_lines(said)):
            assert machine.poll() is None and time.monotonic() < until_s, "\n".join(_lines(said)[-40:])
            time.sleep(0.02)
    finally:
        machine.kill()
        machine.wait()
    lines = _lines(said)
    # Exit code 1: it mended something, as it should after a loss of power.
    assert subprocess.run(["e2fsck", "-f", "-y", image], capture_output=True, check=False).returncode <= 1
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["debugfs", "-R", f"rdump / {disk}", image], check=True, capture_output=True)
    return lines, disk


def _lines(said: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return said.read_text(encoding="utf-8", errors="replace").splitlines()
    return []
