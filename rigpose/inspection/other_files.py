"""Calibrations, settings, videos, tables of a recording, keys, pages and pictures."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from rigpose.inspection.links import Facts, description, joined, of_calibration

_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_PAGE_BYTES = 1 << 16


def calibration(path: Path) -> Facts:
    """Anipose's TOML, with what stands beside it."""
    from calibration.formats.anipose import calibration_hash, load_calibration, load_details

    rig = load_calibration(path)
    beside: dict[str, Any] = load_details(path) or {}
    report, board = beside.get("report") or {}, beside.get("board")
    facts: Facts = {
        "cameras": ", ".join(camera.name for camera in rig.cameras), "hash": calibration_hash(path),
        "verdict": report.get("verdict"), "frame sets": report.get("frame_sets"),
        "reprojection error": f"{report['rms_px']:.2f} px RMS" if report.get("rms_px") is not None else None,
        "board": f"{board['kind']}, squares of {board['square_mm']:g} mm" if board else None,
    }  # fmt: skip
    chain = [
        f"camera {name}: serial number {camera['serial']}"
        for name, camera in beside.get("cameras", {}).items()
        if camera.get("serial")
    ]
    return description("calibration", facts, chain)


def yaml(path: Path) -> Facts:
    """A rig file, a board, fuse.yaml, or a calibration of OpenCV."""
    from acquisition.settings import read_settings, read_yaml
    from calibration.boards import BoardSettings

    with path.open("rb") as stream:
        of_opencv = stream.read(5) == b"%YAML"
    if of_opencv:
        from calibration.formats.opencv_yaml import load_opencv

        rig = load_opencv(path)
        return description("calibration in OpenCV's form", {"cameras": joined(rig.names)})
    said = read_yaml(path)
    if "hosts" in said:
        from deploy.fusion.settings import load_fuse

        fuse = load_fuse(path)
        facts: Facts = {"name": fuse.name, "hosts": joined(fuse.hosts), "stream": fuse.stream.endpoint}
        return description("file of rigpose fuse", facts, _calibrated(fuse.calibration))
    if "cameras" in said and "name" in said:
        from rigpose.rig_file import load_rig

        file = load_rig(path)
        settings = file.acquisition
        facts = {"name": settings.name, "cameras": joined(settings.cameras)}
        if settings.trigger is not None:
            facts["trigger"] = f"{settings.trigger.port}, {settings.trigger.rate_hz:g} Hz"
        chain = [f"camera {name}: {camera.uri}" for name, camera in settings.cameras.items()]
        return description("rig file", facts, chain + _calibrated(file.calibration))
    if "kind" in said and "square_mm" in said:
        board = read_settings(BoardSettings, path)
        facts = {"kind": board.kind, "squares of": f"{board.square_mm:g} mm", "corners": joined(board.grid)}
        return description("calibration board", facts)
    if "camera_seed" in said:
        facts = {name: said.get(name) for name in ("seed", "camera_seed", "cameras", "rate_hz", "frame_sets")}
        return description("scene of a simulated rig", facts)
    raise RigposeError(
        path, expected="a rig file, a board or a calibration", found="another YAML file",
        remedy="A project is inspected by its folder",
    )  # fmt: skip


def _calibrated(path: Path | None) -> list[str]:
    """The calibration that a settings file names."""
    from calibration.formats.anipose import calibration_hash

    if path is None:
        return []
    if not path.is_file():
        return [f"calibration {path}, which is not there yet"]
    return [f"{link} at {path}" for link in of_calibration(calibration_hash(path))]


def video(path: Path) -> Facts:
    """A video file; of a recording or a packed copy also which camera's."""
    from acquisition.videos.decoded import count_frames
    from acquisition.videos.video import open_video

    info = open_video(path).info
    facts = {
        "frames": count_frames(path), "size": f"{info.width_px} x {info.height_px} px",
        "colours": "grey" if info.channels == 1 else "RGB", "rate": f"{info.rate_hz:.4g} Hz",
    }  # fmt: skip
    return description("video", facts, _of_session(path) or _of_pack(path))


def _of_session(path: Path) -> list[str]:
    from acquisition.recordings.recording import Recording
    from acquisition.recordings.session import FILE

    folder = path.resolve().parent
    if not (folder / FILE).is_file():
        return []
    with Recording.open(folder) as recording:
        for camera in recording.cameras:
            paths = recording.video_paths(camera)
            if folder / path.name in paths:
                segment = f", segment {paths.index(folder / path.name)}" if len(paths) > 1 else ""
                return [f"recording {recording.session['name']}, camera {camera}{segment}"]
    return []


def _of_pack(path: Path) -> list[str]:
    from acquisition.recordings.pack import FILE

    try:
        packed = json.loads((path.parent / FILE).read_text(encoding="utf-8"))
        for camera, each in packed["videos"].items():
            if each["file"] and Path(each["file"]).name == path.name:
                return [f"recording {packed['session']}, camera {camera}, at a constant rate"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return []


def frame_table(path: Path) -> Facts:
    """The truth about one camera's frames."""
    from acquisition.recordings.frame_table import read_frame_table

    table = read_frame_table(path)
    with path.open("rb") as stream:
        header = json.loads(stream.readline())
    facts: Facts = {"camera": header["camera"], "rows": len(table)}
    if len(table):
        facts["frames lost"] = int(np.maximum(table["lost_before"], 0).sum())
        facts["seconds"] = round(float(table["t_exposure_ns"][-1] - table["t_exposure_ns"][0]) / 1e9, 3)
    return description("frame table", facts, [f"recording {path.resolve().parent.name}"])


def events(path: Path) -> Facts:
    """The events of a session."""
    from acquisition.recordings.events import read_events

    kinds = Counter(str(event.get("kind")) for event in read_events(path.parent))
    facts = {"events": sum(kinds.values()), **{kind: count for kind, count in kinds.most_common()}}
    return description("table of events", facts, [f"recording {path.resolve().parent.name}"])


def key(path: Path) -> Facts:
    """A key of the stream; of a secret one nothing is shown."""
    from deploy.stream.keys import SECRET_SUFFIX, read_public, read_secret

    if path.name.endswith(SECRET_SUFFIX):
        kind, public = "secret key of the stream: keep it on this machine", read_secret(path).public
    else:
        kind, public = "public key of the stream", read_public(path)
    return description(kind, {"public key": public})


def received(path: Path) -> Facts:
    """What a subscriber of a stream received: rigpose live --poses."""
    try:
        content = io.BytesIO(path.read_bytes())  # np.load would leave a damaged file open
        with np.load(content, allow_pickle=False) as arrays:
            if "pose2d_index" not in arrays.files:
                raise ValueError(f"no pose2d_index among {joined(sorted(arrays.files)[:5])}")
            facts: Facts = {"2D poses": len(arrays["pose2d_index"]), "3D poses": len(arrays["pose3d_index"])}
            for name in ("cameras", "keypoints"):
                facts[name] = joined(arrays[name].tolist()) if name in arrays.files else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RigposeError(
            path, expected="poses that a subscriber received, or a column file (.poses.npz)",
            found=str(error), remedy="Give a file that rigpose wrote",
        ) from None  # fmt: skip
    return description("poses that a subscriber received", facts)


def csv_rows(path: Path) -> list[list[str]]:
    """The rows of a CSV; raises `RigposeError`."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.reader(stream))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RigposeError(
            path, expected="a CSV that rigpose wrote", found=str(error), remedy="Make the file again"
        ) from None


def table(path: Path) -> Facts:
    """A CSV of figures: a run's learning curve, an evaluation's predictions."""
    rows = csv_rows(path)
    facts = {"rows": max(0, len(rows) - 1), "columns": joined(rows[0]) if rows else ""}
    return description(path.stem.replace("_", " "), facts)


def page(path: Path) -> Facts:
    """A report for a browser."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        title = _TITLE.search(stream.read(_PAGE_BYTES))
    return description(
        "page", {"title": html.unescape(title[1].strip()) if title else "", "open it": "in a browser"}
    )


def picture(path: Path) -> Facts:
    """A chart, a drawn frame, a board to print."""
    return description("picture", {"bytes": path.stat().st_size})
