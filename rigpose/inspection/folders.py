"""Folders: bundles, runs, projects, recordings, comparisons, evaluations, poses, copies, demos, keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acquisition.progress import track
from rigpose.inspection.links import Facts, description, joined, of_bundle, of_calibration, of_labels, of_run
from training.files import read_json


def bundle(path: Path) -> Facts:
    """A model bundle, every hash checked."""
    from deploy.bundles.bundle import Bundle

    loaded = Bundle.load(path)
    manifest, origin = loaded.manifest, loaded.manifest.provenance
    facts: Facts = {
        "hash": loaded.sha256, "keypoints": ", ".join(manifest.keypoints),
        "input": f"{manifest.input.width_px} x {manifest.input.height_px} px, stride {manifest.stride_px}",
    }  # fmt: skip
    if manifest.animal_size is not None:
        size = manifest.animal_size
        facts["animal in the input"] = f"{size.p5_px:.0f} to {size.p95_px:.0f} px"
    for artifact in manifest.artifacts:
        held_out = artifact.held_out
        error = "not measured" if held_out is None else f"{held_out.mean_px:.2f} px on held-out labels"
        facts[artifact.file] = f"{artifact.runtime} {artifact.precision}, {error}; {artifact.verdict}"
    chain = [
        f"{of_run(origin.network, origin.run_sha256)}, by rigpose {origin.code_version}, "
        f"seed {origin.seed}, begun from {origin.initialisation}",
        of_labels(origin.project, origin.dataset_sha256, origin.split or "unknown"),
    ]
    return description("model bundle", facts, chain)


def run(path: Path) -> Facts:
    """A training run, finished or not."""
    from training.run import WEIGHTS_FILE, load_settings

    settings = load_settings(path)
    facts = {
        "network": settings.network, "keypoints": ", ".join(settings.keypoints),
        "input": f"{settings.input_size_px[0]} x {settings.input_size_px[1]} px, stride {settings.stride}",
        "finished": (path / WEIGHTS_FILE).exists(),
    }  # fmt: skip
    chain = [
        of_labels(settings.project, settings.dataset_sha256, settings.split),
        f"weights: {settings.initialisation}",
        *(f"taught by {teacher}" for teacher in settings.teacher),
    ]
    return description("training run", facts, chain)


def project(path: Path) -> Facts:
    """A project in DeepLabCut's layout, by its folder or its config.yaml."""
    from training.projects.labels import dataset_hash, read_labels
    from training.projects.project import Project

    opened = Project.open(path)
    labels = read_labels(opened)
    facts = {
        "task": opened.task, "scorer": opened.scorer, "keypoints": ", ".join(opened.keypoints),
        "labelled images": len(labels), "hash": dataset_hash(opened, labels),
    }  # fmt: skip
    chain = [f"recording {recording}" for recording in sorted(set(opened.recordings.values()))]
    return description("labelled project", facts, chain)


def recording(path: Path) -> Facts:
    """A session, by its folder."""
    from acquisition.recordings.recording import Recording

    with Recording.open(path) as opened:
        frames = {camera: len(opened.frame_table(camera)) for camera in opened.cameras}
        session: dict[str, Any] = opened.session
        for name in track(opened.cameras, "looking for every picture"):
            opened.picture_numbers(name)  # gaps tell only of cameras whose pictures were asked for
        facts = {
            "session": session["name"], "subject": session.get("subject"), "notes": session.get("notes"),
            "frames": ", ".join(f"{camera} {count}" for camera, count in frames.items()),
            "ended": session["ended"] is not None, "gaps": "; ".join(opened.gaps) or "none",
        }  # fmt: skip
        chain = []
        for name, camera in opened.rig.cameras.items():
            serial = (session["cameras"].get(name) or {}).get("serial")
            chain.append(f"camera {name}: {camera.uri}" + (f", serial number {serial}" if serial else ""))
        tracked = session.get("bundle") or {}
        known = {"bundle": Path(str(tracked.get("path", ""))).name, "bundle_sha256": tracked.get("sha256")}
        chain += of_bundle(known) + of_calibration((session.get("calibration") or {}).get("sha256"))
    return description("recording", facts, chain)


def poses(path: Path) -> Facts:
    """What rigpose analyze wrote into: the newest batch's status file tells."""
    from rigpose.inspection.json_files import json_file

    status = max(path.glob("analyze_*.json"), key=lambda file: file.stat().st_mtime_ns)
    return {**json_file(status), "kind": "folder of poses"}


def comparison(path: Path) -> Facts:
    """Of rigpose compare, finished or not."""
    from rigpose.inspection.json_files import json_file

    finished = path / "comparison.json"
    said = json_file(finished if finished.exists() else path / "plan.json")
    return {
        **said,
        "kind": "comparison of networks",
        "facts": {**said["facts"], "finished": finished.exists()},
    }


def evaluation(path: Path) -> Facts:
    """Of rigpose evaluate -o."""
    from rigpose.inspection.json_files import json_file

    return json_file(path / "evaluation.json")


def packed(path: Path) -> Facts:
    """Of rigpose video pack."""
    from rigpose.inspection.json_files import json_file

    return json_file(path / "packed.json")


def demo(path: Path) -> Facts:
    """Of rigpose demo: its report, and each folder in it is a thing of its own."""
    facts: Facts = {"finished": (path / "report.html").exists()}
    if (path / "figures.json").exists():
        bounds = read_json(path / "figures.json").get("bounds", [])
        facts["bounds held"] = f"{sum(bool(each.get('held')) for each in bounds)} of {len(bounds)}"
    facts["holds"] = joined(sorted(each.name for each in path.iterdir() if not each.name.startswith(".")))
    return description("output of rigpose demo", facts)


def keys(path: Path) -> Facts:
    """A machine's keys, and who may listen to it."""
    from deploy.stream.keys import allowed_files

    names = [file.stem for file in allowed_files(path)]
    return description("folder of keys", {"may listen": joined(names) or "nobody"})


def scene(path: Path) -> Facts:
    """The world of a simulated rig."""
    said = read_json(path / "scene.json")
    facts = {name: said.get(name) for name in ("seed", "cameras", "rate_hz", "frame_sets")}
    return description("world of a simulated rig", facts)


def bundle_of(path: Path) -> Facts:
    """manifest.json stands for its bundle."""
    return bundle(path.parent)


def recording_of(path: Path) -> Facts:
    """session.json stands for its recording."""
    return recording(path.parent)


def run_of(path: Path) -> Facts:
    """settings.json stands for its run."""
    return run(path.parent)


def project_of(path: Path) -> Facts:
    """rigpose.yaml stands for its project."""
    return project(path.parent)


def scene_of(path: Path) -> Facts:
    """scene.json stands for its world."""
    return scene(path.parent)
