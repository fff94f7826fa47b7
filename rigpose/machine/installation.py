"""This installation: Python, packages by extra, cv2, runtimes, encoders."""

from __future__ import annotations

import importlib.metadata as metadata
import importlib.util
import platform
import re
import sys

from rigpose.machine.finding import Finding, ok

_DISTRIBUTION = "rigpose"
_RUNTIMES = {
    "LiteRT": ("ai_edge_litert", "ai-edge-litert", "litert"),
    "ONNX Runtime": ("onnxruntime", "onnxruntime", "onnx"),
    "TensorRT": ("tensorrt", "tensorrt", "tensorrt"),
}
_FOR_DEVELOPERS = ("dev",)
_ELSEWHERE = {"anipose": " (in an environment of its own: it brings a second OpenCV)"}


def installation() -> list[Finding]:
    """Everything about this Python and what is installed in it."""
    return [_python(), *_packages(), _cv2(), *_runtimes(), *_encoders()]


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < (3, 10):  # noqa: UP036 (a wheel may be unpacked anywhere)
        return Finding("Python", "broken", version, "Install Python 3.10 or later, and rigpose into it")
    return ok("Python", f"{version} on {platform.machine()}")


def _packages() -> list[Finding]:
    """The core packages in one line, then each extra."""
    try:
        wanted = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return [
            Finding(
                "packages", "note", "run from a checkout", "Install it to have them checked: pip install ."
            )
        ]
    by_extra: dict[str, list[str]] = {"": []}
    for requirement in wanted:
        name = re.match(r"[\w.-]+", requirement)
        asked_by = re.search(r"extra == [\"']([\w-]+)[\"']", requirement)
        if name is not None and _applies(requirement):
            by_extra.setdefault(asked_by[1] if asked_by else "", []).append(name[0])
    findings = []
    for extra, names in by_extra.items():
        missing = [name for name in names if _version(name) is None]
        if extra in _FOR_DEVELOPERS:
            continue
        if not extra:
            findings.append(
                Finding("packages", "broken", f"without {', '.join(missing)}", "Run: pip install rigpose")
                if missing
                else ok("packages", f"all {len(names)}")
            )
        elif missing:
            found = f"without {', '.join(missing)}"
            remedy = f"Run: pip install 'rigpose[{extra}]'{_ELSEWHERE.get(extra, '')}"
            findings.append(Finding(f"extra {extra}", "note", found, remedy))
        else:
            findings.append(ok(f"extra {extra}", ", ".join(f"{name} {_version(name)}" for name in names)))
    return findings


def _applies(requirement: str) -> bool:
    """Whether a requirement's marker speaks of this Python and machine (only those that we use)."""
    machine = re.search(r"platform_machine == [\"']([\w]+)[\"']", requirement)
    before = re.search(r"python_version < [\"'](\d+)\.(\d+)[\"']", requirement)
    if machine and machine[1] != platform.machine():
        return False
    return not (before and sys.version_info >= (int(before[1]), int(before[2])))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cv2() -> Finding:
    found = sorted({*metadata.packages_distributions().get("cv2", [])})
    listed = ", ".join(f"{name} {_version(name)}" for name in found)
    if len(found) > 1:
        return Finding(
            "OpenCV", "broken", f"{listed}: they overwrite each other's files",
            f"Run: pip uninstall {' '.join(found)}; then: pip install opencv-python-headless",
        )  # fmt: skip
    if not found:
        return Finding("OpenCV", "broken", "none", "Run: pip install opencv-python-headless")
    return ok("OpenCV", listed)


def _runtimes() -> list[Finding]:
    findings = []
    for name, (module, distribution, extra) in _RUNTIMES.items():
        if importlib.util.find_spec(module) is None:
            remedy = f"To run networks with it: pip install 'rigpose[{extra}]'"
            findings.append(Finding(name, "note", "not installed", remedy))
        else:
            findings.append(ok(name, _version(distribution) or "found"))
    if all(one.state != "ok" for one in findings):
        findings.append(
            Finding("runtimes", "change", "none: no network can run", "Run: pip install 'rigpose[litert]'")
        )
    return findings


def _encoders() -> list[Finding]:
    from acquisition.videos.encoder import encoders_found

    found = encoders_found()
    there = [name for name, why in found.items() if not why]
    without = [
        Finding(f"encoder {name}", "note", why, "Needed only for recording.codec of that name")
        for name, why in found.items()
        if why
    ]
    return [ok("encoders", ", ".join(there)), *without]
