"""A Linux of its own in QEMU, with modules that the host's kernel does not have: it runs our code on them.

The guest is Debian's stock kernel, taken out of its package and kept in the cache; its root is the host's,
read-only, so that what runs in there is this checkout in this environment.
"""

from __future__ import annotations

import gzip
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
_QEMU = "qemu-system-x86_64"
_BUSYBOX = Path("/bin/busybox")
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rigpose" / "guest"
# For the host's root over virtio, whatever else is wanted.
_ROOT_MODULES = ("virtio_pci", "9pnet_virtio", "9p")

_INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev /h
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
while read line; do $b insmod $line || echo "insmod $line failed" > /dev/ttyS1; done < /modules/order
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=524288,cache=loose host /h
for d in dev proc sys; do $b mount --bind /$d /h/$d; done
$b mount -t tmpfs tmpfs /h/run
$b chroot /h {python} {arguments} > /dev/ttyS1 2>&1
echo "ended with $?" > /dev/ttyS1
$b poweroff -f
"""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel out of its package: `image` boots, its modules lie under `root`."""

    root: Path
    release: str

    @property
    def image(self) -> Path:
        return self.root / "boot" / f"vmlinuz-{self.release}"

    def needed_for(self, module: str) -> list[Path]:
        """The files of a module and of all it needs, in the order of loading."""
        listed = subprocess.run(
            ["modprobe", "-d", self.root, "-S", self.release, "--show-depends", module],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        return [Path(line.split()[1]) for line in listed.splitlines() if line.startswith("insmod")]


def kernel() -> Kernel:
    """Debian's current kernel, fetched once; skips, naming the package, where there is none."""
    for tool, package in ((_QEMU, "qemu-system-x86"), ("cpio", "cpio"), ("modprobe", "kmod")):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}: install {package}")
    if not _BUSYBOX.exists():
        pytest.skip("no busybox: install busybox-static")
    if platform.machine() != "x86_64" or shutil.which("apt-get") is None:
        pytest.skip("the guest wants Debian's linux-image-amd64, which this machine cannot fetch")
    kept = _kept()
    if kept is None:
        _fetch()
        kept = _kept()
    if kept is None:
        pytest.skip("apt-get could not fetch the package that linux-image-amd64 stands for")
    return kept


def run(
    folder: Path, arguments: Sequence[object], modules: dict[str, str], timeout_s: float = 300
) -> list[str]:
    """Run this environment's Python with `arguments` in the guest; the lines it wrote.

    Parameters
    ----------
    folder:
        For the initial RAM disk and what the guest says.
    modules:
        To be loaded, with their parameters.
    """
    guest = kernel()
    console, said = folder / "console.txt", folder / "said.txt"
    words = [
        f"PYTHONPATH={CHECKOUT}",
        "PYTHONDONTWRITEBYTECODE=1",
        sys.executable,
        "-u",
        *map(str, arguments),
    ]
    # The clock of the emulated board is no better than the host's load; nothing needs a network.
    subprocess.run(
        [
            _QEMU, "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-display", "none",
            "-no-reboot", "-nic", "none", "-serial", f"file:{console}", "-serial", f"file:{said}",
            "-kernel", guest.image, "-initrd", _ram_disk(folder, guest, words, modules),
            "-append", "console=ttyS0 quiet panic=-1",
            "-fsdev", "local,id=h,path=/,security_model=none,readonly=on,multidevs=remap",
            "-device", "virtio-9p-pci,fsdev=h,mount_tag=host",
        ],
        stdin=subprocess.DEVNULL, timeout=timeout_s, check=True,
    )  # fmt: skip
    lines = said.read_text(encoding="utf-8", errors="replace").splitlines()
    assert lines and lines[-1] == "ended with 0", "\n".join(
        [*lines, console.read_text(errors="replace")[-2000:]]
    )
    return lines[:-1]


def _ram_disk(folder: Path, guest: Kernel, words: Sequence[str], modules: dict[str, str]) -> Path:
    tree = folder / "ram_disk"
    (tree / "bin").mkdir(parents=True)
    (tree / "modules").mkdir()
    shutil.copy(_BUSYBOX, tree / "bin" / "busybox")
    order: dict[str, str] = {}
    for module, parameters in {**dict.fromkeys(_ROOT_MODULES, ""), **modules}.items():
        for path in guest.needed_for(module):
            shutil.copy(path, tree / "modules" / path.name)
            order.setdefault(path.name, parameters if path.stem == module else "")
    lines = "".join(f"/modules/{name} {parameters}".rstrip() + "\n" for name, parameters in order.items())
    (tree / "modules" / "order").write_text(lines, encoding="ascii")
    init = tree / "init"
    init.write_text(_INIT.format(python="/usr/bin/env", arguments=" ".join(words)), encoding="utf-8")
    init.chmod(0o755)
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*"))) + "\n"
    archive = subprocess.run(
        ["cpio", "--quiet", "-o", "-H", "newc"],
        cwd=tree,
        input=names.encode(),
        capture_output=True,
        check=True,
    ).stdout
    packed = folder / "ram_disk.gz"
    packed.write_bytes(gzip.compress(archive, 1))
    return packed


def _kept() -> Kernel | None:
    found = sorted(_CACHE.glob("*/.complete"))
    return Kernel(found[-1].parent, found[-1].parent.name) if found else None


def _fetch() -> None:
    """The package of the current kernel, unpacked under a temporary name first."""
    asked = subprocess.run(["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True)
    packages = [line.split()[-1] for line in asked.stdout.splitlines() if "Depends:" in line]
    if not packages:
        return
    release = packages[0].removeprefix("linux-image-")
    part = _CACHE / f".{release}.{os.getpid()}"
    part.mkdir(parents=True)
    try:
        steps = (
            ["apt-get", "download", "-qq", packages[0]],
            ["sh", "-c", "dpkg -x *.deb . && rm *.deb"],
            ["depmod", "-b", str(part), release],
        )
        for step in steps:
            if subprocess.run(step, cwd=part, capture_output=True).returncode:
                return
        (part / ".complete").touch()
        if not (_CACHE / release).exists():
            part.rename(_CACHE / release)
    finally:
        shutil.rmtree(part, ignore_errors=True)
