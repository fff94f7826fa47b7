"""The values that stand in firmware_configs, so that nothing is checked against a second copy of them."""

from __future__ import annotations

import re
from pathlib import Path

from rigpose.commands.configs import HARDWARE_FILES

SYSCTL = "network/90-rigpose.conf"
USBFS = "network/rigpose-usbfs.conf"
LINK = "network/10-rigpose-gige.link"
UDEV = "udev/99-rigpose.rules"
PTP = "ptp/ptp4l.conf"


def sysctls(folder: Path = HARDWARE_FILES) -> dict[str, int]:
    """Kernel settings and the least they are to be."""
    return {key: int(value) for key, value in re.findall(r"(?m)^([\w.]+) *= *(\d+)$", _text(folder / SYSCTL))}


def usbfs_mb(folder: Path = HARDWARE_FILES) -> tuple[str, int]:
    """The kernel's file for the memory of USB transfers, and the MB that it is to hold."""
    path, value = re.findall(r"(?m)^w +(\S+)(?: +-)+ +(\d+)$", _text(folder / USBFS))[0]
    return path, int(value)


def mtu(folder: Path = HARDWARE_FILES) -> int:
    """Bytes of a packet on a network of GigE cameras."""
    return int(re.findall(r"(?m)^MTUBytes=(\d+)$", _text(folder / LINK))[0])


def groups(folder: Path = HARDWARE_FILES) -> list[str]:
    """Groups that may use cameras and the trigger."""
    return sorted(set(re.findall(r'GROUP="(\w+)"', _text(folder / UDEV))))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
