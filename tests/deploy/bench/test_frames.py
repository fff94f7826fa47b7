"""The video a bench works on."""

from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.videos.encoder import Encoder
from deploy.bench.frames import LoopedVideo, write_video
from deploy.bundles.bundle import Bundle

GOLDEN = Path(__file__).parents[1] / "golden" / "six_artifacts.bundle"


def test_it_begins_anew_when_it_ends(tmp_path: Path) -> None:
    encoder = Encoder(tmp_path / "levels.mkv", "ffv1", 64, 48, 1, 30.0)
    for number in range(3):
        encoder.write(np.full((48, 64), 40 * number, np.uint8), 33 * number)
    encoder.close()
    video = LoopedVideo(tmp_path / "levels.mkv")
    assert (video.size_px, video.channels) == ((64, 48), 1)
    read = [video.read() for _ in range(7)]
    video.close()
    assert [int(image[0, 0]) for image, _ in read] == [0, 40, 80, 0, 40, 80, 0]
    assert all(took_ns > 0 for _, took_ns in read)


def test_a_bundle_gives_its_own_frames_and_noise_where_it_has_none(tmp_path: Path) -> None:
    bundle = Bundle.load(GOLDEN)
    check = bundle.check()
    assert check is not None
    said = write_video(bundle, tmp_path / "check.mkv")
    assert said == f"{len(check.images)} held-out frames of the bundle"
    image, _ = LoopedVideo(tmp_path / "check.mkv").read()
    assert np.abs(image.astype(int) - check.images[0][: image.shape[0], : image.shape[1]]).mean() < 4
    without = Bundle(bundle.path, bundle.manifest.model_copy(update={"check_files": {}}), bundle.sha256)
    assert write_video(without, tmp_path / "noise.mkv") == "noise"
    assert LoopedVideo(tmp_path / "noise.mkv").size_px == (640, 480)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.mkv").write_bytes(b"no video")
    with pytest.raises(RigposeError):
        LoopedVideo(tmp_path / "x.mkv")
