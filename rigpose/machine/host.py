"""This host: kernel settings, groups, clocks of the processor, disk, time; read, never changed."""

from __future__ import annotations

import grp
import os
import resource
import shutil
import subprocess
from pathlib import Path

from rigpose.machine.finding import Finding, ok
from rigpose.machine.hardware_files import LINK, PTP, SYSCTL, UDEV, USBFS, groups, mtu, sysctls, usbfs_mb

_FREE_GB = 20.0
_FILES = 1024
_TIME_KEEPERS = ("chronyd", "systemd-timesyn", "ntpd", "ptp4l", "phc2sys")
_GIGE_MBIT = 1000
_PMC = ("pmc", "-u", "-b", "0")


def host(folder: Path, keep_free_gb: float = _FREE_GB, root: Path = Path("/")) -> list[Finding]:
    """Everything about the machine itself.

    Parameters
    ----------
    folder:
        Where recordings go.
    keep_free_gb:
        What is to stay free there.
    root:
        Of the file system that is looked at.
    """
    return [
        *_sysctls(root), _usbfs(root), *_networks(root), _groups(), _udev(root), _governor(root),
        *_jetson(root), _disk(folder, keep_free_gb), _files(), *_time(root),
    ]  # fmt: skip


def _sysctls(root: Path) -> list[Finding]:
    findings = []
    for key, least in sysctls().items():
        value = _read(root / "proc/sys" / key.replace(".", "/"))
        if not value.isdigit():
            findings.append(
                Finding(key, "note", "not shown here", "Look on the host itself, outside a container")
            )
        elif int(value) < least:
            remedy = f"For GigE cameras: install {SYSCTL} (rigpose configs copy DIR)"
            findings.append(Finding(key, "change", f"{value}, less than {least}", remedy))
        else:
            findings.append(ok(key, value))
    return findings


def _usbfs(root: Path) -> Finding:
    path, least = usbfs_mb()
    value = _read(root / path.lstrip("/"))
    if not value.isdigit():
        return Finding(
            "USB transfer memory", "note", "no USB here", "Nothing, unless USB cameras are to be used"
        )
    if 0 < int(value) < least:  # 0: without limit
        remedy = f"For USB3 Vision cameras: install {USBFS} (rigpose configs copy DIR)"
        return Finding("USB transfer memory", "change", f"{value} MB, less than {least}", remedy)
    return ok("USB transfer memory", f"{value} MB" if value != "0" else "no limit")


def _networks(root: Path) -> list[Finding]:
    """Wired interfaces that are up, gigabit or faster: where GigE cameras would be."""
    findings = []
    for interface in sorted((root / "sys/class/net").glob("*")):
        speed = _read(interface / "speed")
        if _read(interface / "operstate") != "up" or not speed.isdigit() or int(speed) < _GIGE_MBIT:
            continue
        size = _read(interface / "mtu")
        if int(size or 0) < mtu():
            remedy = f"If GigE cameras are on it: install {LINK}, and set the cameras' packet size"
            findings.append(Finding(f"network {interface.name}", "note", f"packets of {size} bytes", remedy))
        else:
            findings.append(ok(f"network {interface.name}", f"{speed} Mbit/s, packets of {size} bytes"))
    return findings


def _groups() -> Finding:
    if os.geteuid() == 0:
        return ok("groups", "root")
    mine = {grp.getgrgid(number).gr_name for number in {*os.getgroups(), os.getegid()} if _known(number)}
    missing = [name for name in groups() if name not in mine]
    if missing:
        remedy = f"Run: sudo usermod -aG {','.join(missing)} $USER; then log in again"
        return Finding("groups", "change", f"not in {', '.join(missing)}", remedy)
    return ok("groups", ", ".join(groups()))


def _known(number: int) -> bool:
    try:
        grp.getgrgid(number)
    except KeyError:
        return False
    return True


def _udev(root: Path) -> Finding:
    name = Path(UDEV).name
    if any((root / place / name).exists() for place in ("etc/udev/rules.d", "usr/lib/udev/rules.d")):
        return ok("udev rules", name)
    remedy = f"To use cameras and trigger without root: install {UDEV} (rigpose configs copy DIR)"
    return Finding("udev rules", "change", "not installed", remedy)


def _governor(root: Path) -> Finding:
    files = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor"))
    found = sorted({_read(file) for file in files})
    if not found:
        return ok("CPU clock", "not ours to set")
    if found != ["performance"]:
        remedy = "For even latencies: sudo cpupower frequency-set -g performance"
        return Finding("CPU clock", "change", f"governor {', '.join(found)}", remedy)
    return ok("CPU clock", "governor performance")


def _jetson(root: Path) -> list[Finding]:
    model = _read(root / "proc/device-tree/model").strip("\0")
    if "Jetson" not in model and "Tegra" not in model:
        return []
    release = _read(root / "etc/nv_tegra_release").partition(",")[0].removeprefix("# ")
    findings = [ok("Jetson", f"{model} {release}".strip())]
    mode = _read(root / "var/lib/nvpmodel/status")
    if mode and not mode.endswith(":0000"):
        remedy = "For full speed: jetson/rigpose-jetson.service (rigpose configs copy DIR)"
        findings.append(Finding("power mode", "change", f"nvpmodel {mode}", remedy))
    elif mode:
        findings.append(ok("power mode", f"nvpmodel {mode}"))
    return findings


def _disk(folder: Path, keep_free_gb: float) -> Finding:
    there = folder.resolve()
    while not there.exists():
        there = there.parent
    free_gb = shutil.disk_usage(there).free / 1e9
    found = f"{free_gb:.0f} GB free for {folder}"
    if not os.access(there, os.W_OK):
        remedy = "Set recording.directory in the rig file, or record with -o"
        return Finding("disk", "change", f"{folder} cannot be written", remedy)
    if free_gb < max(keep_free_gb, _FREE_GB):
        return Finding("disk", "change", found, "Free some space, or record onto another disk")
    return ok("disk", found)


def _files() -> Finding:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < _FILES:
        return Finding("open files", "change", f"{limit} at most", "Run: ulimit -n 4096")
    return ok("open files", f"{limit} at most")


def _time(root: Path) -> list[Finding]:
    """Who keeps the time. Inside one host rigpose needs nobody: its clock is monotonic."""
    running = {_read(file) for file in (root / "proc").glob("[0-9]*/comm")}
    keepers = [name for name in _TIME_KEEPERS if name in running]
    if not keepers:
        remedy = "To compare recordings of several hosts: install chrony, or PTP (rigpose configs copy DIR)"
        return [Finding("time", "note", "nobody keeps the calendar's time", remedy)]
    findings = [ok("time", f"kept by {', '.join(keepers)}")]
    if "ptp4l" in keepers:
        findings.append(_ptp())
    return findings


def _ptp() -> Finding:
    """What ptp4l says through pmc; it may go on naming a grandmaster for some seconds after it went away."""
    facts = dict(_asked("TIME_STATUS_NP"))
    if "gmPresent" not in facts:
        remedy = f"Run as root: {' '.join(_PMC)} 'GET TIME_STATUS_NP'"
        return Finding("PTP", "change", "ptp4l runs, and pmc does not answer", remedy)
    if facts["gmPresent"] != "true":
        # of itself ptp4l says that there is none: it names only those that it hears
        if ("portState", "MASTER") in _asked("PORT_DATA_SET"):
            return ok("PTP", "this host is the grandmaster")
        return Finding("PTP", "change", "no grandmaster is heard", f"Check cables and {PTP} on both hosts")
    return ok("PTP", f"{facts.get('master_offset', '?')} ns from grandmaster {facts.get('gmIdentity', '?')}")


def _asked(what: str) -> list[tuple[str, str]]:
    """Names and values that pmc prints for one request, of every port; none where it does not answer."""
    command = [*_PMC, f"GET {what}"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=3, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    pairs = (line.split(None, 1) for line in said.splitlines())
    return [(pair[0], pair[1].strip()) for pair in pairs if len(pair) == 2]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
