"""A session as a Neurodata Without Borders file: videos by reference, poses by ndx-pose, events.

Times are seconds since the session's start, which is the first pair of (rig clock, calendar) that was
stored. Every camera keeps the times of its own frames; a 3D point has that of its frame set. The videos
stay where they are and are named relative to the file.
"""

from __future__ import annotations

import datetime
import os
import uuid
import warnings
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.recordings.recording import Recording
from calibration.camera_model import CameraModel
from calibration.formats.anipose import load_calibration
from deploy.offline.live_sets import recorded_events
from deploy.offline.nwb_events import events_tables, plain_name
from deploy.offline.nwb_metadata import gather, zone_of
from deploy.offline.nwb_poses import Points3D, Seen, points_of, seen_of
from deploy.offline.skeleton import load_skeleton
from deploy.whole_file import whole_file

COMPRESS_FROM_BYTES = 1_000_000


def export_nwb(
    folder: Path, output: Path, *, poses: Sequence[Path] = (), points: Path | None = None,
    calibration: Path | None = None, skeleton: Path | None = None, metadata: Path | None = None,
    options: dict[str, str | None] | None = None, overwrite: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Write a session's cameras, videos, 2D and 3D poses and events into one file.

    Parameters
    ----------
    poses, points:
        Files of 2D poses, one a camera, and of 3D points. By default what the tracker wrote beside the
        recording.
    calibration:
        Of the cameras: their lenses and places are stored with them. By default the session's own copy.
    skeleton:
        Where bones are listed.
    metadata, options:
        See `deploy.offline.nwb_metadata.gather`.

    Returns
    -------
    dict
        `output`, `start`, and how many frames, instants with 2D poses, 3D points and events it holds.

    Raises
    ------
    RigposeError
        No session, metadata that is missing (all of it in one error), poses of other cameras or of another
        recording, pynwb or ndx-pose that is not installed, an output that exists.
    """
    output = Path(output)
    if output.suffix != ".nwb":
        raise RigposeError(
            output, expected="a name that ends in .nwb", found=f"'{output.name}'",
            remedy="Say for instance -o session.nwb",
        )  # fmt: skip
    if output.exists() and not overwrite:
        raise RigposeError(
            output, expected="an output that does not exist yet", found="a file",
            remedy="Give --overwrite to replace it, or another -o",
        )  # fmt: skip
    with Recording.open(folder) as recording:
        known = gather(recording.session, options or {}, metadata, folder)
        _packages(output)
        seen = seen_of(recording, poses)
        found = points_of(recording, points)
        models = {}
        calibration = calibration or _own_calibration(recording)
        if calibration is not None:
            models = {camera.name: camera for camera in load_calibration(calibration).cameras}
        names = seen[0].keypoints if seen else found.keypoints if found is not None else ()
        bones = () if skeleton is None else load_skeleton(skeleton, names)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what its own dependencies will change
            builder = _Builder(recording, known, output.resolve().parent)
            builder.add_cameras(models)
            builder.add_poses(seen, found, bones)
            builder.add_events()
            builder.write(output)
        return {
            "output": str(output), "start": builder.file.session_start_time.isoformat(),
            "frames": {name: len(recording.frame_table(name)) for name in recording.cameras},
            "poses_2d": {each.camera: len(each.frame) for each in seen},
            "points_3d": 0 if found is None else len(found.t_exposure_ns),
            "events": builder.events, "gaps": recording.gaps,
        }  # fmt: skip


class _Builder:
    """Fills one NWBFile."""

    def __init__(self, recording: Recording, known: dict[str, str], home: Path) -> None:
        from pynwb import NWBFile
        from pynwb.file import Subject

        session = recording.session
        anchor = session["started"]
        start = datetime.datetime.fromtimestamp(anchor["realtime_ns"] / 1e9, zone_of(known))
        identity = f"{anchor['boot_id']} {anchor['t_ns']} {session['name']}"
        born = known.get("date_of_birth")
        self._recording = recording
        self._start_ns = int(anchor["t_ns"])
        self._home = home
        self.events = 0
        self.file = NWBFile(
            session_description=known["description"],
            identifier=str(uuid.uuid5(uuid.NAMESPACE_OID, identity)),
            session_start_time=start, session_id=session["name"].replace("/", "_"),
            experimenter=[name.strip() for name in known["experimenter"].split(";")]
            if "experimenter" in known
            else None,
            institution=known.get("institution"), lab=known.get("lab"),
            keywords=[word.strip() for word in known["keywords"].split(";")] if "keywords" in known else None,
            notes=session["notes"] or None, source_script=None,
            subject=Subject(
                subject_id=known["subject_id"], species=known["species"], sex=known["sex"],
                age=known.get("age"), strain=known.get("strain"), genotype=known.get("genotype"),
                weight=known.get("weight"),
                date_of_birth=None
                if born is None
                else datetime.datetime.fromisoformat(born).replace(tzinfo=zone_of(known)),
            ),
        )  # fmt: skip
        self._devices: dict[str, Any] = {}
        self._videos: dict[str, Any] = {}

    def add_cameras(self, models: dict[str, CameraModel]) -> None:
        """Each camera as a device, and its video by reference with the time of every frame."""
        from ndx_pose import CalibratedCamera
        from pynwb.image import ImageSeries

        for name in self._recording.cameras:
            about = self._recording.session["cameras"].get(name) or {}
            uri = self._recording.rig.cameras[name].uri
            said = ", ".join(f"{key} {about[key]}" for key in ("model", "serial") if about.get(key))
            description = f"camera at {uri}{': ' if said else ''}{said}"
            model = models.get(name)
            if model is None:
                device = self.file.create_device(name=name, description=description)
            else:
                device = CalibratedCamera(
                    name=name, description=f"{description}; world to camera, mm",
                    intrinsic_matrix=model.matrix.astype(np.float32),
                    rotation_matrix=model.rotation_matrix.astype(np.float32),
                    translation_vector=model.translation.astype(np.float32),
                    distortion_coefficients=model.distortion.astype(np.float32),
                )  # fmt: skip
                self.file.add_device(device)
            self._devices[name] = device
            table = self._recording.frame_table(name)
            if not len(table):
                continue
            first = next((image for image in self._recording.images(name) if image is not None), None)
            if first is None:
                raise RigposeError(
                    self._recording.folder, expected=f"pictures of {name}", found="none that decodes",
                    remedy="Restore its videos from a copy",
                )  # fmt: skip
            rows = self._recording.rows_by_video(name)
            self._videos[name] = ImageSeries(
                name=f"video_{name}", description=f"video of camera {name}; times: middle of the exposure",
                external_file=[os.path.relpath(video, self._home) for video in rows],
                format="external", starting_frame=[0, *accumulate(rows.values())][:-1],
                dimension=[first.shape[1], first.shape[0]], unit="n.a.",
                timestamps=self._seconds(table["t_exposure_ns"]), device=device,
            )  # fmt: skip
            self.file.add_acquisition(self._videos[name])

    def add_poses(
        self, seen: Sequence[Seen], found: Points3D | None, bones: Sequence[tuple[str, str]]
    ) -> None:
        """2D poses of each camera at its own times, and 3D points, in the module `behavior`."""
        if not seen and found is None:
            return
        from ndx_pose import MultiCameraPoseEstimation, PoseEstimation, Skeleton, Skeletons

        module = self.file.create_processing_module("behavior", "poses: keypoints of the animal over time")
        skeletons: dict[tuple[str, ...], Any] = {}
        for keypoints in [*(each.keypoints for each in seen), *([found.keypoints] if found else [])]:
            if keypoints not in skeletons:
                own = [bone for bone in bones if set(bone) <= set(keypoints)]
                edges = [[keypoints.index(a), keypoints.index(b)] for a, b in own]
                skeletons[keypoints] = Skeleton(
                    name="skeleton" if not skeletons else f"skeleton_{len(skeletons) + 1}",
                    nodes=list(keypoints), edges=np.array(edges, np.uint8).reshape(-1, 2),
                )  # fmt: skip
        module.add(Skeletons(skeletons=list(skeletons.values())))
        software = {"source_software": "rigpose", "source_software_version": _version()}
        for each in (each for each in seen if len(each.frame)):  # a camera may never have delivered
            module.add(
                PoseEstimation(
                    name=f"PoseEstimation_{each.camera}", description=each.description,
                    pose_estimation_series=self._series(
                        each.keypoints, each.points, each.confidence, self._seconds(each.t_exposure_ns),
                        f"image of camera {each.camera}: (0, 0) is the centre of the top left pixel, y down",
                        {"unit": "pixels"},
                    ),
                    device=self._devices[each.camera], source_video=self._videos[each.camera],
                    scorer=each.scorer, skeleton=skeletons[each.keypoints], **software,
                )
            )  # fmt: skip
        if found is not None:
            module.add(
                MultiCameraPoseEstimation(
                    name="MultiCameraPoseEstimation", description=found.description,
                    pose_estimation_series=self._series(
                        found.keypoints, found.points_mm, found.confidence,
                        self._seconds(found.t_exposure_ns),
                        "world of the rig's calibration", {"unit": "meters", "conversion": 1e-3},
                    ),
                    skeleton=skeletons[found.keypoints], **software,
                )
            )  # fmt: skip

    def add_events(self) -> None:
        """The events of the session, a table a kind."""
        for table in events_tables(recorded_events(self._recording), self._start_ns):
            self.file.add_events_table(table)
            self.events += len(table)

    def write(self, output: Path) -> None:
        """Write the file, whole or not at all."""
        from pynwb import NWBHDF5IO

        with whole_file(output) as temporary, NWBHDF5IO(str(temporary), "w") as io:
            io.write(self.file)

    def _series(
        self, keypoints: tuple[str, ...], points: npt.NDArray[np.floating[Any]],
        confidence: npt.NDArray[np.floating[Any]], times: npt.NDArray[np.float64], frame: str,
        unit: dict[str, Any],
    ) -> list[Any]:  # fmt: skip
        """One series a keypoint; all share the first one's times."""
        from ndx_pose import PoseEstimationSeries

        series: list[Any] = []
        for place, name in enumerate(keypoints):
            series.append(
                PoseEstimationSeries(
                    name=plain_name(name), description=f"keypoint {name}; NaN where it was not found",
                    data=_packed(points[:, place]), confidence=_packed(confidence[:, place]),
                    confidence_definition="the network's, 0 to 1; of 3D points the mean over the views used",
                    reference_frame=frame, timestamps=series[0] if series else times, **unit,
                )
            )  # fmt: skip
        return series

    def _seconds(self, t_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Since the session's start; exact differences first, so that no nanosecond is rounded away."""
        seconds: npt.NDArray[np.float64] = (t_ns - self._start_ns) / 1e9
        return seconds


def _own_calibration(recording: Recording) -> Path | None:
    said = recording.session.get("calibration") or {}
    path = recording.folder / str(said.get("file"))
    return path if said.get("file") and path.is_file() else None


def _packed(values: npt.NDArray[np.floating[Any]]) -> Any:
    from pynwb import H5DataIO

    return H5DataIO(values, compression="gzip") if values.nbytes > COMPRESS_FROM_BYTES else values


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("rigpose")
    except PackageNotFoundError:
        return "unknown"


def _packages(output: Path) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ndx_pose  # noqa: F401
            import pynwb.event  # noqa: F401
    except ModuleNotFoundError as error:
        raise RigposeError(
            output, expected="pynwb 4 and ndx-pose 0.4, which write it", found=str(error),
            remedy="pip install 'rigpose[nwb]'",
        ) from None  # fmt: skip
