"""What the hosts of one rig must agree on before their poses are joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from acquisition.errors import RigposeError
from calibration.camera_model import CalibratedRig
from deploy.stream.messages import CameraView, Session


@dataclass(frozen=True, slots=True)
class Agreement:
    """The joint rig, as all hosts announced it at the start.

    Attributes
    ----------
    sessions:
        The announcement of each host, in their order.
    cameras:
        All cameras, host by host.
    rows:
        Of each host: where its cameras stand among `cameras`.
    """

    sessions: tuple[Session, ...]
    cameras: tuple[CameraView, ...]
    rows: tuple[slice, ...]

    def refusal(self, host: int, session: Session) -> str:
        """Why a later announcement of a host does not fit; "" where it does."""
        first = self.sessions[host]
        for name, was, is_now in (
            ("cameras", _named(first), _named(session)),
            ("keypoints", first.keypoints, session.keypoints),
            ("bundle", first.network.bundle_sha256, session.network.bundle_sha256),
            ("artifact", first.network.artifact_sha256, session.network.artifact_sha256),
            ("calibration", first.calibration_sha256, session.calibration_sha256),
        ):
            if was != is_now:
                return f"other {name} than at the start: {_short(is_now)} instead of {_short(was)}"
        return ""


def agree(sessions: Mapping[str, Session], calibration: CalibratedRig, calibration_sha256: str) -> Agreement:
    """The joint rig of what each host announced.

    Raises
    ------
    RigposeError
        If networks, keypoints or calibrations differ, a camera has two hosts or is not calibrated, its images
        have another size than the calibration's, or the first host has no trigger.
    """
    reference, first = next(iter(sessions.items()))
    if not first.period_ns:
        raise RigposeError(
            f"host '{reference}'", expected="the host with the trigger, named first",
            found="a rig that runs freely", remedy="Order 'hosts' so that the one with the trigger leads",
        )  # fmt: skip
    cameras: list[CameraView] = []
    rows = []
    owner: dict[str, str] = {}
    for host, session in sessions.items():
        for what, was, found in (
            ("keypoints", first.keypoints, session.keypoints),
            ("the network of bundle", first.network.bundle_sha256, session.network.bundle_sha256),
            ("the artifact", first.network.artifact_sha256, session.network.artifact_sha256),
        ):
            if was != found:
                raise RigposeError(
                    f"host '{host}'", expected=f"{what} {_short(was)}, as on '{reference}'",
                    found=_short(found), remedy="Start 'rigpose live' on all hosts with the same bundle, "
                    "runtime and precision",
                )  # fmt: skip
        if session.calibration_sha256 not in ("", calibration_sha256):
            raise RigposeError(
                f"host '{host}'", expected=f"the calibration {calibration_sha256[:12]} of the joint rig",
                found=session.calibration_sha256[:12], remedy="Copy one calibration to all hosts",
            )  # fmt: skip
        for view in session.cameras:
            if view.name in owner:
                raise RigposeError(
                    f"camera '{view.name}'", expected="one host for each camera",
                    found=f"it on '{owner[view.name]}' and on '{host}'",
                    remedy="Give cameras names of their own in the hosts' rig files",
                )  # fmt: skip
            owner[view.name] = host
            size = calibration.camera(view.name).size_px
            if size != (view.width_px, view.height_px):
                raise RigposeError(
                    f"camera '{view.name}' of host '{host}'", expected=f"images of {size} px, as calibrated",
                    found=f"{(view.width_px, view.height_px)} px", remedy="Calibrate the rig as it is now",
                )  # fmt: skip
        rows.append(slice(len(cameras), len(cameras) + len(session.cameras)))
        cameras += session.cameras
    return Agreement(tuple(sessions.values()), tuple(cameras), tuple(rows))


def _named(session: Session) -> tuple[str, ...]:
    return tuple(f"{view.name} {view.width_px}x{view.height_px}" for view in session.cameras)


def _short(value: str | tuple[str, ...]) -> str:
    return ", ".join(value) if isinstance(value, tuple) else (value[:12] or "none")
