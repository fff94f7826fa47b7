"""What hosts must agree on, and how a disagreement is told."""

from __future__ import annotations

import msgspec
import pytest

from acquisition.errors import RigposeError
from deploy.fusion.agreement import agree
from deploy.stream.messages import Artifact, CameraView, Session, StreamClock
from tests.calibration.synthetic import ring

RIG = ring(4)
CLOCK = StreamClock("boot", "host", 0, 0, 0)


def announced(*cameras: int, **change) -> Session:
    views = tuple(CameraView(RIG.cameras[n].name, *RIG.cameras[n].size_px) for n in cameras)
    session = Session(
        "part", views, ("nose", "tail"), CLOCK, period_ns=10_000_000,
        network=Artifact(bundle_sha256="b" * 64, artifact_sha256="a" * 64),
    )  # fmt: skip
    return msgspec.structs.replace(session, **change)


def test_cameras_stand_host_by_host() -> None:
    agreement = agree({"left": announced(2, 0), "right": announced(1)}, RIG, "hash")
    assert [view.name for view in agreement.cameras] == [RIG.cameras[n].name for n in (2, 0, 1)]
    assert agreement.rows == (slice(0, 2), slice(2, 3))
    assert agreement.refusal(1, announced(1)) == ""
    assert "bundle" in agreement.refusal(1, announced(1, network=Artifact(bundle_sha256="c" * 64)))
    assert "cameras" in agreement.refusal(1, announced(3))


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        (announced(1, keypoints=("nose",)), "keypoints"),
        (announced(1, network=Artifact(bundle_sha256="c" * 64, artifact_sha256="a" * 64)), "bundle"),
        (announced(1, network=Artifact(bundle_sha256="b" * 64, artifact_sha256="c" * 64)), "artifact"),
        (announced(1, calibration_sha256="other"), "calibration"),
        (announced(0), "one host for each camera"),
        (announced(1, cameras=(CameraView(RIG.cameras[1].name, 320, 240),)), "calibrated"),
        (announced(1, cameras=(CameraView("nobody", 640, 480),)), "camera 'nobody'"),
    ],
)
def test_a_disagreement_is_refused_by_name(right: Session, expected: str) -> None:
    with pytest.raises(RigposeError, match=expected):
        agree({"left": announced(0), "right": right}, RIG, "hash")


def test_the_host_with_the_trigger_comes_first() -> None:
    with pytest.raises(RigposeError, match="the host with the trigger"):
        agree({"left": announced(0, period_ns=0), "right": announced(1)}, RIG, "hash")
