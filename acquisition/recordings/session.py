"""A session folder: made before work starts, its session.json rewritten whole when it has ended.

Recordings are written in place, so that a crash leaves what there was; what makes a folder a session
is its session.json, there from the first moment with `ended: null`.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import time
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import av
import numpy as np

from acquisition.errors import RigposeError
from acquisition.rig import RigSettings, without_password
from acquisition.synchronisation.clock import clock_anchor

FILE = "session.json"
FORMAT = "rigpose session"
VERSION = 1


# How a session ends when nothing went wrong: all that was counted is on the disk.
CLEAN_ENDS = ("time is over", "interrupted", "stopped", "asked to", "adopted")


class Session:
    """The session being written.

    Attributes
    ----------
    folder:
        Its folder, absolute; its name is the session's.
    facts:
        What session.json holds.
    """

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self.folder = folder
        self.facts = facts

    @classmethod
    def create(cls, output: Path, rig: RigSettings, *, subject: str = "", notes: str = "") -> Session:
        """Make the folder and its first session.json.

        Raises
        ------
        RigposeError
            If `output` exists and is not empty, is no folder, or cannot be written.
        """
        output = Path(output).resolve()
        check_output(output)
        try:
            output.mkdir(parents=True, exist_ok=True)
            settings = rig.model_dump(mode="json")
            for camera in settings["cameras"].values():
                camera["uri"] = without_password(camera["uri"])  # a session is made to be shared
            session = cls(output, {
                "format": FORMAT, "version": VERSION, "name": output.name,
                "subject": subject, "notes": notes,
                "started": asdict(clock_anchor()),
                "rig": settings,
                "versions": {
                    "python": platform.python_version(), "av": av.__version__, "numpy": np.__version__,
                },
                "hashes": _hashes(rig, settings),
                "cameras": {}, "pulses": None, "ended": None,
            })  # fmt: skip
            session.write()
        except OSError as error:
            raise _not_writable(output, error) from None
        return session

    def began(self, cameras: dict[str, Any], pulses: dict[str, int | None]) -> None:
        """The cameras as they were opened (`CameraInfo` mappings) and the pulses they follow."""
        self.facts.update(cameras=cameras, pulses=pulses)
        self.write()

    def end(self, how: str, **figures: Any) -> None:
        """How it ended, with JSON-able figures."""
        self.facts["ended"] = {"how": how, "t_ns": time.monotonic_ns(), **figures}
        self.write()

    def remove(self) -> None:
        """Take the folder away again: nothing was recorded."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self) -> None:
        """Write session.json: the old one stays until the new one is whole."""
        temporary = self.folder / f".{FILE}.part"
        with temporary.open("w", encoding="utf-8") as stream:
            json.dump(self.facts, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self.folder / FILE)


def check_output(output: Path) -> None:
    """Refuse an output that exists or cannot be made; raises `RigposeError` before any work starts."""
    if output.exists() and not output.is_dir():
        raise RigposeError(
            output, expected="a new folder for the session", found="a file of that name",
            remedy="Give another name after -o",
        )  # fmt: skip
    if output.is_dir() and any(output.iterdir()):
        raise RigposeError(
            output, expected="a new folder for the session", found="a folder that is not empty",
            remedy="Give another name after -o",
        )  # fmt: skip
    parent = output
    while not parent.exists():
        parent = parent.parent
    if not os.access(parent, os.W_OK | os.X_OK) or not parent.is_dir():
        raise _not_writable(output, None)


def new_folder(directory: Path, rig: str) -> Path:
    """A name for the next session of a rig: the day, and which of it, as in desk-2026-11-23-2."""
    stem, count = f"{rig}-{date.today().isoformat()}", 1
    while (directory / f"{stem}-{count}").exists():
        count += 1
    return directory / f"{stem}-{count}"


def read_session(folder: Path) -> dict[str, Any]:
    """What session.json holds; raises `RigposeError` where `folder` is no session."""
    path = Path(folder) / FILE
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        right = facts["format"] == FORMAT and facts["version"] == VERSION
        right = right and isinstance(facts["name"], str) and isinstance(facts["rig"], dict)
    except OSError as error:
        raise RigposeError(
            folder, expected=f"a recorded session, with {FILE}", found=error.strerror or "none",
            remedy="Give a folder that 'rigpose record' has written",
        ) from None  # fmt: skip
    except (ValueError, KeyError, TypeError):
        right = False
    if not right:
        raise RigposeError(
            path, expected=f"a {FORMAT}, version {VERSION}", found="something else",
            remedy="Restore the file from a copy, or record anew",
        )  # fmt: skip
    result: dict[str, Any] = facts
    return result


def recorded_frames(session: dict[str, Any]) -> dict[str, int]:
    """How many frames of each camera were on the disk at the end; none where it did not end well."""
    ended = session["ended"] or {}
    if ended.get("how") not in CLEAN_ENDS and "recovered" not in ended:
        return {}
    counted = {camera: figures.get("recorded") for camera, figures in ended.get("cameras", {}).items()}
    return {camera: int(frames) for camera, frames in counted.items() if frames is not None}


def _hashes(rig: RigSettings, settings: dict[str, Any]) -> dict[str, str]:
    """SHA-256 of the rig's settings and of every feature file it names."""
    hashes = {"rig": hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()}
    for name, camera in rig.cameras.items():
        if camera.settings is not None and camera.settings.is_file():
            hashes[f"settings of {name}"] = hashlib.sha256(camera.settings.read_bytes()).hexdigest()
    return hashes


def _not_writable(output: Path, error: OSError | None) -> RigposeError:
    return RigposeError(
        output, expected="a folder that can be written",
        found=(error.strerror or str(error)) if error else "no permission to write there",
        remedy="Give another place after -o",
    )  # fmt: skip
