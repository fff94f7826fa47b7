"""What a file or folder is, and the chain it came from: labels, run, bundle, calibration, poses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError

Facts = dict[str, Any]


def describe(path: Path) -> Facts:
    """`kind`, `facts` (by name) and `chain` (one sentence a link, nearest first) of what is at `path`.

    Raises
    ------
    RigposeError
        If nothing is there, it is nothing rigpose knows, or it is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise RigposeError(
            path, expected="a file or a folder", found="nothing there", remedy="Check the path"
        )
    for fits, read in KINDS:
        if fits(path):
            return read(path)
    raise RigposeError(
        path, expected="a bundle, run, project, recording, calibration or file of poses",
        found="none of these", remedy="Give the folder itself, not one above or below it",
    )  # fmt: skip


def _bundle(path: Path) -> Facts:
    from deploy.bundles.bundle import Bundle

    bundle = Bundle.load(path)
    manifest, origin = bundle.manifest, bundle.manifest.provenance
    facts: Facts = {
        "hash": bundle.sha256, "keypoints": ", ".join(manifest.keypoints),
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
        f"a run of {origin.network} (hash {origin.run_sha256[:12] or 'unknown'}), "
        f"by rigpose {origin.code_version}, seed {origin.seed}, begun from {origin.initialisation}",
        f"labels of {origin.project or 'an unknown project'} "
        f"(hash {origin.dataset_sha256[:12] or 'unknown'}), split: {origin.split or 'unknown'}",
    ]
    return {"kind": "model bundle", "facts": facts, "chain": chain}


def _run(path: Path) -> Facts:
    from training.run import load_settings

    settings = load_settings(path)
    facts = {
        "network": settings.network, "keypoints": ", ".join(settings.keypoints),
        "input": f"{settings.input_size_px[0]} x {settings.input_size_px[1]} px, stride {settings.stride}",
        "finished": (path / "weights.safetensors").exists(),
    }  # fmt: skip
    chain = [
        f"labels of {settings.project or 'an unknown project'} (hash {settings.dataset_sha256[:12]}), "
        f"split: {settings.split}",
        f"weights: {settings.initialisation}",
    ]
    return {"kind": "training run", "facts": facts, "chain": chain}


def _project(path: Path) -> Facts:
    from training.projects.labels import dataset_hash, read_labels
    from training.projects.project import Project

    project = Project.open(path)
    labels = read_labels(project)
    facts = {
        "task": project.task, "scorer": project.scorer, "keypoints": ", ".join(project.keypoints),
        "labelled images": len(labels), "hash": dataset_hash(project, labels),
    }  # fmt: skip
    chain = [f"recording {recording}" for recording in sorted(set(project.recordings.values()))]
    return {"kind": "labelled project", "facts": facts, "chain": chain}


def _recording(path: Path) -> Facts:
    from acquisition.recordings.recording import Recording

    with Recording.open(path) as recording:
        frames = {camera: len(recording.frame_table(camera)) for camera in recording.cameras}
        facts = {
            "session": recording.session["name"],
            "frames": ", ".join(f"{camera} {count}" for camera, count in frames.items()),
            "ended": recording.session["ended"] is not None,
            "gaps": "; ".join(recording.gaps) or "none",
        }
        chain = [f"camera {name}: {camera.uri}" for name, camera in recording.rig.cameras.items()]
    return {"kind": "recording", "facts": facts, "chain": chain}


def _calibration(path: Path) -> Facts:
    from calibration.formats.anipose import calibration_hash, load_calibration

    rig = load_calibration(path)
    facts = {"cameras": ", ".join(camera.name for camera in rig.cameras), "hash": calibration_hash(path)}
    return {"kind": "calibration", "facts": facts, "chain": []}


def _poses(path: Path) -> Facts:
    from deploy.poses_io.poses import load_poses

    poses = load_poses(path)
    about = poses.about
    facts = {
        "rows": len(poses.values), "rows with a frame": int((poses.frame >= 0).sum()),
        "keypoints": ", ".join(poses.keypoints), "scorer": about.get("scorer", "unknown"),
    }  # fmt: skip
    chain = []
    if "bundle_sha256" in about:
        chain.append(
            f"bundle {about['bundle']} (hash {about['bundle_sha256'][:12]}), {about['artifact']} on "
            f"{about['runtime']} {about['version']}"
        )
    if "video" in about:
        chain.append(f"video {about['video']}")
    return {"kind": "file of poses", "facts": facts, "chain": chain}


def _holds(*names: str) -> Callable[[Path], bool]:
    return lambda path: path.is_dir() and all((path / name).exists() for name in names)


def _ends(*endings: str) -> Callable[[Path], bool]:
    return lambda path: path.is_file() and path.name.endswith(endings)


# How each kind is recognised, and who reads it. The first that fits.
KINDS: tuple[tuple[Callable[[Path], bool], Callable[[Path], Facts]], ...] = (
    (_holds("manifest.json"), _bundle),
    (_holds("session.json"), _recording),
    (_holds("config.yaml"), _project),
    (_holds("settings.json"), _run),
    (_ends(".toml"), _calibration),
    (_ends(".poses.npz", ".h5", ".csv"), _poses),
)
