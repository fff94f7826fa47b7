"""The session announcement of a tracker: what its poses mean and what made them."""

from __future__ import annotations

from pathlib import Path

from acquisition.rings.readers import RingReaders
from deploy.bundles.predictor import Predictor
from deploy.live.tracker_plan import TrackerPlan
from deploy.stream.messages import Artifact, CameraView, Session
from deploy.stream.stream_clock import stream_clock


def announcement(
    plan: TrackerPlan, predictor: Predictor, rings: RingReaders, calibration_sha256: str, period_ns: int
) -> Session:
    """The payload of `session` as things are now; image sizes are 0 until the rings have answered."""
    manifest = predictor.bundle.manifest
    number = {name: n for n, name in enumerate(manifest.keypoints)}
    views = []
    for name, reader in rings.readers.items():
        geometry = reader.geometry
        size = (geometry.width_px, geometry.height_px) if geometry is not None else (0, 0)
        views.append(CameraView(name, *size))
    network = predictor.describe()
    return Session(
        rig=plan.rig,
        cameras=tuple(views),
        keypoints=manifest.keypoints,
        clock=stream_clock(),
        skeleton=tuple((number[a], number[b]) for a, b in manifest.skeleton),
        network=Artifact(
            bundle=predictor.bundle.path.name,
            bundle_sha256=network["bundle_sha256"],
            artifact=network["artifact"],
            artifact_sha256=network["artifact_sha256"],
            runtime=network["runtime"],
            precision=network["precision"],
        ),
        calibration_sha256=calibration_sha256,
        period_ns=period_ns,
        recording=Path(plan.session_dir).name if plan.session_dir else "",
        rigpose=plan.version,
    )
