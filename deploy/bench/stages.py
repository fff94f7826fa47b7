"""One frame set through every stage of `rigpose live` and `analyze`, each stage timed by itself.

    decode a video -> crop and resize -> inference -> decode heatmaps -> filter -> triangulate -> publish
    and, of the same images, encode

`end to end` is from the images in memory until the measured poses have been handed to ZeroMQ and the filters
have taken them in. Decoding a video and encoding are other processes' work in `live`: they stand beside it.

Triangulation needs points that agree between the cameras, which pictures of one camera do not give. It is fed
a walk with half a pixel of noise, projected into a made-up ring of cameras.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acquisition.synchronisation.clock import clock_anchor
from acquisition.videos.encoder import Encoder
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.poses import Pose3D, PoseSet
from calibration.triangulation import triangulate
from deploy.bench.frames import RATE_HZ, LoopedVideo
from deploy.bundles.predictor import Predictor
from deploy.live.derived_poses import Derived, DerivedPoses
from deploy.stream.messages import CameraView, Session, StreamClock
from deploy.stream.publisher import Publisher, Stamps
from deploy.stream.settings import StreamSettings
from deploy.tracking_settings import TrackingSettings

STAGES = (
    "decode_video", "crop_and_resize", "inference", "decode_heatmaps", "filter", "triangulate", "publish",
    "encode",
)  # fmt: skip
END_TO_END = "end_to_end"

FILTER = TrackingSettings(smooth="kalman", predict=True)
CODEC = "x264"
_WALK_SETS = 64
_PERIOD_NS = round(1e9 / RATE_HZ)


class FrameSetStages:
    """What `rigpose live` does with a frame set, stage by stage in one thread. A context manager.

    Parameters
    ----------
    predictor:
        The network, ready for its number of cameras.
    video:
        What every camera shows.
    folder:
        For the stream's socket and the encoded videos.

    Attributes
    ----------
    endpoint:
        Where the poses are published.
    size_px, channels:
        Of the images.
    """

    def __init__(self, predictor: Predictor, video: Path, folder: Path) -> None:
        cameras = predictor.cameras
        names = tuple(f"cam_{number}" for number in range(cameras))
        self._predictor = predictor
        self._videos = [LoopedVideo(video) for _ in names]
        self.size_px, self.channels = self._videos[0].size_px, self._videos[0].channels
        width, height = self.size_px
        self._even_wh = width // 2 * 2, height // 2 * 2  # as x264 wants them
        self._encoders = [
            Encoder(folder / f"{name}.mkv", CODEC, *self._even_wh, self.channels, RATE_HZ) for name in names
        ]
        count = len(predictor.keypoints)
        self._filters = DerivedPoses(FILTER, cameras, count, _PERIOD_NS)
        self._filters.warm_up()
        self._rig = ring_of_cameras(cameras, self.size_px) if cameras > 1 else None
        self._walk = itertools.cycle(walk(self._rig, count) if self._rig is not None else [])
        self.endpoint = f"ipc://{folder}/stream"
        anchor = clock_anchor()
        clock = StreamClock(anchor.boot_id, "", anchor.t_ns, anchor.realtime_ns, anchor.uncertainty_ns)
        views = tuple(CameraView(name, width, height) for name in names)
        session = Session("bench", views, predictor.keypoints, clock)
        self._publisher = Publisher(StreamSettings(endpoint=self.endpoint), lambda: session)
        self._index = 0

    def __enter__(self) -> FrameSetStages:
        return self

    def __exit__(self, *_: object) -> None:
        self._publisher.close()
        for video in self._videos:
            video.close()
        for encoder in self._encoders:
            encoder.close()

    @property
    def stages(self) -> tuple[str, ...]:
        """Those that are timed: one camera is not triangulated."""
        return tuple(name for name in STAGES if self._rig is not None or name != "triangulate")

    def service(self) -> None:
        """Let subscribers in; between frame sets."""
        self._publisher.service()

    def run(self) -> dict[str, int]:
        """One frame set; the time of each stage and end to end, ns."""
        index, self._index = self._index, self._index + 1
        read = [video.read() for video in self._videos]
        images = [image for image, _ in read]
        spent = {"decode_video": sum(took_ns for _, took_ns in read)}

        start_ns = time.monotonic_ns()
        t_ns = index * _PERIOD_NS  # the filters' time: as if the sets came at their rate
        poses = PoseSet(index, t_ns, self._predictor.predict(images))
        predicted_ns = time.monotonic_ns()
        points = None if self._rig is None else Pose3D(index, t_ns, triangulate(self._rig, next(self._walk)))
        triangulated_ns = time.monotonic_ns()
        stamps = Stamps(start_ns, start_ns, predicted_ns)
        self._publisher.pose(poses, stamps)
        if points is not None:
            self._publisher.pose(points, stamps)
        published_ns = time.monotonic_ns()
        _exhaust(self._filters.of_2d(poses, t_ns))
        if points is not None:
            _exhaust(self._filters.of_3d(points, t_ns))
        filtered_ns = time.monotonic_ns()
        width, height = self._even_wh
        for encoder, image in zip(self._encoders, images, strict=True):
            encoder.write(np.ascontiguousarray(image[:height, :width]), round(1e3 * index / RATE_HZ))
        encoded_ns = time.monotonic_ns()

        times = self._predictor.times
        spent |= {
            "crop_and_resize": times.preprocess_ns, "inference": times.network_ns,
            "decode_heatmaps": times.decode_ns, "filter": filtered_ns - published_ns,
            "publish": published_ns - triangulated_ns, "encode": encoded_ns - filtered_ns,
            END_TO_END: filtered_ns - start_ns,
        }  # fmt: skip
        if points is not None:
            spent["triangulate"] = triangulated_ns - predicted_ns
        return spent


def _exhaust(derived: Iterator[Derived]) -> None:
    for _ in derived:
        pass


def ring_of_cameras(cameras: int, size_px: tuple[int, int]) -> CalibratedRig:
    """Cameras half a metre from the origin, which they look at, turned about the vertical."""
    focal_px = 0.95 * size_px[0]
    matrix = np.array([[focal_px, 0, size_px[0] / 2], [0, focal_px, size_px[1] / 2], [0, 0, 1.0]])
    distance = np.array([0.0, 0.0, 500.0])
    return CalibratedRig(
        tuple(
            CameraModel(f"cam_{n}", size_px, matrix, np.zeros(5), np.array([0.0, turn, 0.0]), distance)
            for n, turn in enumerate(np.linspace(-0.6, 0.6, cameras))
        )
    )


def walk(rig: CalibratedRig, keypoints: int) -> Iterator[npt.NDArray[np.float32]]:
    """Noisy keypoints float32 (cameras, K, 3) of something that walks through the middle of a rig."""
    rng = np.random.default_rng(0)
    body = rng.normal(0, 20, (keypoints, 3))
    for step in np.linspace(0, 2 * np.pi, _WALK_SETS, endpoint=False):
        at = body + np.array([80 * np.sin(step), 50 * np.cos(step), 20 * np.sin(2 * step)])
        seen = np.stack([camera.project(at) for camera in rig.cameras])
        found = np.full((len(rig.cameras), keypoints, 3), 0.9, np.float32)
        found[..., :2] = seen + rng.normal(0, 0.5, seen.shape)
        yield found
