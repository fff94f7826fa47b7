"""What is said of a host, on file systems laid out for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rigpose.machine import host as host_module
from rigpose.machine.finding import Finding
from rigpose.machine.hardware_files import groups, mtu, sysctls, usbfs_mb
from rigpose.machine.host import host

CPU = "sys/devices/system/cpu"


@pytest.fixture
def root(tmp_path) -> Path:
    """A host on which all is as the hardware files want it."""
    files = {
        **{f"proc/sys/{key.replace('.', '/')}": str(value) for key, value in sysctls().items()},
        usbfs_mb()[0].lstrip("/"): str(usbfs_mb()[1]),
        "sys/class/net/eth1/speed": "1000", "sys/class/net/eth1/operstate": "up",
        "sys/class/net/eth1/mtu": str(mtu()), "sys/class/net/lo/operstate": "unknown",
        "etc/udev/rules.d/99-rigpose.rules": "", "proc/77/comm": "chronyd",
        **{f"{CPU}/cpu{n}/cpufreq/scaling_governor": "performance" for n in range(4)},
    }  # fmt: skip
    for name, content in files.items():
        write(tmp_path / name, content)
    return tmp_path


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content + "\n")


def by_name(root: Path) -> dict[str, Finding]:
    return {one.what: one for one in host(root, 0.0, root)}


def test_a_host_that_has_everything_has_nothing_to_change(root, monkeypatch):
    monkeypatch.setattr(host_module, "_FREE_GB", 0.0)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found = by_name(root)
    assert {one.state for one in found.values()} == {"ok"}, found
    assert found["time"].found == "kept by chronyd" and "net.core.rmem_max" in found
    assert found["network eth1"].found == f"1000 Mbit/s, packets of {mtu()} bytes"


@pytest.mark.parametrize(
    ("file", "content", "what", "state", "remedy"),
    [
        ("proc/sys/net/core/rmem_max", "212992", "net.core.rmem_max", "change", "network/90-rigpose.conf"),
        (usbfs_mb()[0].lstrip("/"), "16", "USB transfer memory", "change", "usbfs"),
        ("sys/class/net/eth1/mtu", "1500", "network eth1", "note", "network/10-rigpose-gige.link"),
        (f"{CPU}/cpu2/cpufreq/scaling_governor", "powersave", "CPU clock", "change", "cpupower"),
        ("proc/77/comm", "bash", "time", "note", "chrony"),
    ],
)  # fmt: skip
def test_what_is_not_as_it_should_be_has_a_remedy(root, file, content, what, state, remedy):
    write(root / file, content)
    one = by_name(root)[what]
    assert one.state == state and remedy in one.remedy


def test_no_limit_of_usb_memory_is_enough(root):
    write(root / usbfs_mb()[0].lstrip("/"), "0")
    assert by_name(root)["USB transfer memory"] == Finding("USB transfer memory", "ok", "no limit")


def test_groups_that_a_person_is_not_in(root, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getegid", lambda: 60000)
    monkeypatch.setattr(os, "getgroups", lambda: [60001])
    one = by_name(root)["groups"]
    assert one.state == "change" and one.found == "not in dialout, video"
    assert "usermod -aG dialout,video" in one.remedy and groups() == ["dialout", "video"]


def test_a_jetson_says_its_power_mode(root):
    write(root / "proc/device-tree/model", "NVIDIA Jetson AGX Orin Developer Kit\0")
    write(root / "etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 1")
    write(root / "var/lib/nvpmodel/status", "pmode:0003")
    found = by_name(root)
    assert found["Jetson"].found == "NVIDIA Jetson AGX Orin Developer Kit R36 (release)"
    assert found["power mode"].state == "change" and "rigpose-jetson.service" in found["power mode"].remedy
    write(root / "var/lib/nvpmodel/status", "pmode:0000")
    assert by_name(root)["power mode"].state == "ok"


def test_ptp_is_asked_where_ptp4l_runs(root, monkeypatch, tmp_path):
    write(root / "proc/78/comm", "ptp4l")
    programs = tmp_path / "programs"
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    assert by_name(root)["PTP"].state == "change"  # whoever answers here is no ptp4l
    lines = [
        "\tmaster_offset              -37",
        "\tgmPresent                  true",
        "\tgmIdentity  0a0b0c.fffe.1",
    ]
    write(
        programs / "pmc", "#!/bin/sh\ncat << END\nsending: GET TIME_STATUS_NP\n" + "\n".join(lines) + "\nEND"
    )
    (programs / "pmc").chmod(0o755)
    assert by_name(root)["PTP"] == Finding("PTP", "ok", "-37 ns from grandmaster 0a0b0c.fffe.1")
    write(programs / "pmc", "#!/bin/sh\necho gmPresent false")
    assert by_name(root)["PTP"].found == "no grandmaster is heard"
    write(programs / "pmc", "#!/bin/sh\necho sending: GET TIME_STATUS_NP")
    assert by_name(root)["PTP"].found == "ptp4l runs, and pmc does not answer"


@pytest.mark.parametrize(
    ("ports", "state", "found"),
    [
        (["MASTER"], "ok", "this host is the grandmaster"),
        (["LISTENING", "MASTER"], "ok", "this host is the grandmaster"),
        (["LISTENING"], "change", "no grandmaster is heard"),
        (["FAULTY", "PASSIVE"], "change", "no grandmaster is heard"),
    ],
)
def test_the_grandmaster_itself_hears_none(root, monkeypatch, tmp_path, ports, state, found):
    """What linuxptp's pmc prints where ptp4l of firmware_configs/ptp leads."""
    write(root / "proc/78/comm", "ptp4l")
    monkeypatch.setenv("PATH", str(tmp_path / "programs"), prepend=os.pathsep)
    status = "\t\tmaster_offset              0\n\t\tgmPresent                  false"
    states = "\n".join(
        f"\t\tportIdentity  0a0b0c.fffe.1-{n}\n\t\tportState  {one}" for n, one in enumerate(ports)
    )
    write(
        tmp_path / "programs/pmc",
        f'#!/bin/sh\ncase "$*" in *PORT_DATA_SET*) cat << END\n{states}\nEND\n'
        f";; *) cat << END\n{status}\nEND\nesac",
    )
    (tmp_path / "programs/pmc").chmod(0o755)
    one = by_name(root)["PTP"]
    assert (one.state, one.found) == (state, found)


def test_a_disk_that_is_nearly_full(root):
    (one,) = [one for one in host(root / "new" / "folder", 1e9, root) if one.what == "disk"]
    assert one.state == "change" and "Free some space" in one.remedy
