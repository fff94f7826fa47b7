"""Videos, image folders and recordings in; files with the right rows out; bad input in one line."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.recordings.recording import Recording
from deploy.bundles.bundle import Bundle
from deploy.bundles.predictor import Predictor
from deploy.offline import work as work_module
from deploy.offline.analyze import analyze
from deploy.offline.frame_poses import ahead
from deploy.offline.jobs import plan
from deploy.poses_io.deeplabcut import scorer_of
from deploy.poses_io.poses import load_poses
from tests.acquisition.sessions import write_session
from tests.deploy.tracker_runs import picture

GOLDEN = Path(__file__).parents[1] / "golden" / "schema1.bundle"
FRAMES = 30


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(GOLDEN)


def truth() -> np.ndarray:
    """(FRAMES, 2, 2) px: the red and the blue dot, moving."""
    step = np.arange(FRAMES)[:, None]
    red = np.hstack([50 + step, 60 + 2 * step])
    blue = np.hstack([200 - step, 130 - 2 * step])
    return np.stack([red, blue], axis=1).astype(np.float64)


def pictures() -> list[np.ndarray]:
    images = []
    for points in truth():
        image = np.full((192, 256, 3), 80.0)
        for at, channel in zip(points, (0, 2), strict=True):
            squared = (np.arange(256) - at[0]) ** 2 + ((np.arange(192) - at[1]) ** 2)[:, None]
            image[:, :, channel] += 90 * np.exp(-squared / (2 * 14.0**2))
        images.append(np.rint(image).astype(np.uint8))
    return images


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lossless video, and the same pictures as a folder of images."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "stills").mkdir()
    with av.open(str(folder / "dots.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 256, 192, "bgr0"
        for number, image in enumerate(pictures()):
            cv2.imwrite(str(folder / "stills" / f"img{number:03d}.png"), image[:, :, ::-1])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return folder


def test_an_animal_of_another_size_than_in_training_is_said(bundle: Bundle, tmp_path: Path) -> None:
    """In a larger image the dots are nearer to each other, at the network's input, than ever in training."""
    wide = picture((100, 200), (180, 300), (512, 384))
    (tmp_path / "stills").mkdir()
    for number in range(40):
        cv2.imwrite(str(tmp_path / "stills" / f"img{number:03d}.png"), wide[:, :, ::-1])
    (video,) = analyze(bundle, [tmp_path / "stills"], tmp_path / "poses")["videos"]
    assert video["warning"].startswith("stills: the animal is ") and "rigpose video crop" in video["warning"]


def test_a_video_and_its_pictures_give_the_same_poses(source: Path, bundle: Bundle, tmp_path: Path) -> None:
    result = analyze(bundle, [source / "dots.mkv", source / "stills"], tmp_path)
    assert result["failed"] == []
    assert [video["frames"] for video in result["videos"]] == [FRAMES, FRAMES]
    assert [(video["gap"], video["warning"]) for video in result["videos"]] == [(None, None)] * 2
    scorer = scorer_of(bundle)
    endings = (".h5", ".csv", ".poses.npz", ".meta.json")
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == sorted(
        [f"analyze_{bundle.name}.json"]
        + [f"{stem}{scorer}{ending}" for stem in ("dots", "stills") for ending in endings]
    )
    video, stills = (load_poses(tmp_path / f"{stem}{scorer}.poses.npz") for stem in ("dots", "stills"))
    error = np.linalg.norm(video.values[..., :2] - truth(), axis=-1)
    assert error.max() < 1.0
    np.testing.assert_allclose(video.values, stills.values, atol=1e-4)
    for ending in (".h5", ".csv"):
        np.testing.assert_array_equal(load_poses(tmp_path / f"dots{scorer}{ending}").values, video.values)
    assert video.about["bundle_sha256"] == bundle.sha256
    assert video.about["artifact"] == result["runs"]["artifact"]


def test_a_video_that_breaks_off_keeps_what_came_before(source: Path, bundle: Bundle, tmp_path: Path) -> None:
    whole = (source / "dots.mkv").read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    result = analyze(bundle, [cut], tmp_path / "poses")
    (video,) = result["videos"]
    assert 5 < video["frames"] < FRAMES
    assert "cut.mkv" in video["gap"]
    poses = load_poses(tmp_path / "poses" / f"cut{scorer_of(bundle)}.poses.npz")
    assert len(poses.values) == video["frames"]
    assert np.linalg.norm(poses.values[..., :2] - truth()[: len(poses.values)], axis=-1).max() < 1.0


def test_a_file_that_is_no_video_is_an_error_and_leaves_no_poses(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(RigposeError, match="expected a video"):
        analyze(bundle, [tmp_path / "text.mp4"], tmp_path / "poses")
    assert [path.name for path in (tmp_path / "poses").glob("[!.]*")] == [f"analyze_{bundle.name}.json"]


def test_one_bad_video_does_not_stop_the_others(source: Path, bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    result = analyze(bundle, [tmp_path / "text.mp4", source / "dots.mkv"], tmp_path / "poses")
    assert [video["frames"] for video in result["videos"]] == [FRAMES]
    assert "text.mp4" in result["failed"][0]["why"]


def test_two_inputs_that_would_write_one_output_are_refused(source: Path, tmp_path: Path) -> None:
    shutil.copy(source / "dots.mkv", tmp_path / "dots.mkv")
    with pytest.raises(RigposeError, match="Both would write one output"):
        plan([source / "dots.mkv", tmp_path / "dots.mkv"])
    with pytest.raises(RigposeError, match="Both would write one output"):
        plan([source / "dots.mkv", source / "dots.mkv"])


def test_a_missing_input_is_refused_before_the_work(source: Path, bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(RigposeError, match="nothing there"):
        analyze(bundle, [source / "dots.mkv", source / "no.mkv"], tmp_path / "poses")
    assert not (tmp_path / "poses").exists()


def test_a_full_disk_leaves_no_half_file(
    source: Path, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(poses: object, path: Path) -> None:
        from deploy.whole_file import whole_file

        with whole_file(path) as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(work_module, "save_columns", full)
    with pytest.raises(RigposeError, match="No space left on device"):
        analyze(bundle, [source / "stills"], tmp_path)
    assert [path.name for path in tmp_path.glob("[!.]*")] == [f"analyze_{bundle.name}.json"]


def test_reading_ahead_keeps_the_order_and_passes_errors_on() -> None:
    assert list(ahead(iter(range(50)), 4)) == list(range(50))

    def breaks() -> Iterator[int]:
        yield 1
        raise RuntimeError("broken")

    items = ahead(breaks(), 4)
    assert next(items) == 1
    with pytest.raises(RuntimeError, match="broken"):
        next(items)


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    items = ahead(iter(range(1000)), 2)
    assert next(items) == 0
    items.close()
    assert threading.active_count() == before


def test_a_recording_gives_one_row_a_frame_set_for_every_camera(bundle: Bundle, tmp_path: Path) -> None:
    write_session(tmp_path / "day1")
    result = analyze(bundle, [tmp_path / "day1"], tmp_path / "poses")
    assert [video["camera"] for video in result["videos"]] == ["cam_0", "cam_1"]
    assert len({video["rows"] for video in result["videos"]}) == 1
    predictor = Predictor(bundle)
    with Recording.open(tmp_path / "day1") as recording:
        sets = recording.frame_sets()
        absent = 0
        for number, camera in enumerate(recording.cameras):
            poses = load_poses(tmp_path / "poses" / f"day1_{camera}{scorer_of(bundle)}.poses.npz")
            np.testing.assert_array_equal(poses.index, [each.index for each in sets])
            for each, row in zip(sets, range(len(poses.values)), strict=True):
                stamp, frame = each.stamps[number], each.payloads[number]
                if frame is None:
                    absent += 1
                    assert poses.frame[row] == -1
                    assert np.isnan(poses.values[row]).all()
                else:
                    assert poses.frame[row] == frame
                    assert stamp is not None
                    assert poses.t_exposure_ns[row] == stamp.t_exposure_ns
                    expected = predictor.predict([recording.image(camera, frame)])[0]
                    np.testing.assert_allclose(poses.values[row], expected, atol=1e-4)
        assert absent > 0


def test_a_recording_that_was_cut_off_says_so(bundle: Bundle, tmp_path: Path) -> None:
    write_session(tmp_path / "day1", ended=False, loss=0, ignored=0)
    video = tmp_path / "day1" / "day1_cam_0.mkv"
    content = video.read_bytes()
    video.write_bytes(content[: len(content) * 2 // 3])
    result = analyze(bundle, [tmp_path / "day1"], tmp_path / "poses")
    cut, whole = result["videos"]
    assert "were cut off" in cut["gap"]
    assert whole["gap"] is None
    assert cut["rows"] == whole["rows"] > cut["frames"]
