"""Videos, image folders and recordings in; files with the right rows out; bad input in one line."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.recordings.recording import Recording
from deploy.bundles.bundle import Bundle
from deploy.bundles.predictor import Predictor
from deploy.offline import work as work_module
from deploy.offline.analyze import analyze
from deploy.offline.frame_poses import Rows, ahead, said_of_holes
from deploy.offline.jobs import plan
from deploy.poses_io.deeplabcut import scorer_of
from deploy.poses_io.readers import load_poses
from tests.acquisition.sessions import rewrite_packets, write_session
from tests.deploy.offline.dots import BUNDLE, FRAMES, pictures, truth, write_stills, write_video
from tests.deploy.tracker_runs import picture


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(BUNDLE)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lossless video, and the same pictures as a folder of images."""
    folder = tmp_path_factory.mktemp("source")
    write_video(folder / "dots.mkv", pictures())
    write_stills(folder / "stills", pictures())
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


def test_a_file_that_is_no_video_is_an_error_and_leaves_nothing(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(RigposeError, match="expected a video"):
        analyze(bundle, [tmp_path / "text.mp4"], tmp_path / "poses")
    assert not (tmp_path / "poses").exists()


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


def test_rows_by_frame_are_the_same_poses_without_the_gaps(bundle: Bundle, tmp_path: Path) -> None:
    write_session(tmp_path / "day1")
    by_set = analyze(bundle, [tmp_path / "day1"], tmp_path / "sets")
    by_frame = analyze(bundle, [tmp_path / "day1"], tmp_path / "frames", rows="frames")
    assert (by_set["rows"], by_frame["rows"]) == ("sets", "frames")
    with Recording.open(tmp_path / "day1") as recording:
        for one, other in zip(by_set["videos"], by_frame["videos"], strict=True):
            sets, frames = (load_poses(next(f for f in v["files"] if "npz" in f)) for v in (one, other))
            table = recording.frame_table(one["camera"])
            assert len(frames.values) == len(table) < len(sets.values)
            np.testing.assert_array_equal(frames.frame, np.arange(len(table)))
            np.testing.assert_array_equal(frames.t_exposure_ns, table["t_exposure_ns"])
            there = sets.frame >= 0
            np.testing.assert_array_equal(frames.values[sets.frame[there]], sets.values[there])
            np.testing.assert_array_equal(frames.index[sets.frame[there]], sets.index[there])
            np.testing.assert_array_equal(frames.t_exposure_ns[sets.frame[there]], sets.t_exposure_ns[there])
            for result, said in ((one, "frame sets"), (other, "frames")):
                meta = next(Path(result["files"][0]).parent.glob(f"day1_{one['camera']}*.meta.json"))
                assert json.loads(meta.read_text())["about"]["rows"] == said


def test_frames_of_a_variable_rate_all_have_their_row(bundle: Bundle, tmp_path: Path) -> None:
    times_ms = np.cumsum(np.random.default_rng(1).integers(5, 400, FRAMES)).tolist()
    video = write_video(tmp_path / "vfr.mkv", pictures(), times_ms)
    (measured,) = analyze(bundle, [video], tmp_path / "poses")["videos"]
    assert (measured["frames"], measured["gap"]) == (FRAMES, None)
    poses = load_poses(measured["files"][0])
    assert np.linalg.norm(poses.values[..., :2] - truth(), axis=-1).max() < 1.0


def test_images_of_16_bits_and_of_odd_and_differing_sizes_are_read(bundle: Bundle, tmp_path: Path) -> None:
    images = pictures(3, (257, 193))
    write_stills(tmp_path / "stills", images)
    deep = images[1][:, :, ::-1].astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "stills" / "img001.png"), deep)
    larger = np.full((301, 399, 3), 80, np.uint8)
    larger[:193, :257] = images[2]
    cv2.imwrite(str(tmp_path / "stills" / "img002.png"), larger[:, :, ::-1])
    (measured,) = analyze(bundle, [tmp_path / "stills"], tmp_path / "poses")["videos"]
    poses = load_poses(measured["files"][0])
    error = np.linalg.norm(poses.values[..., :2] - truth(3), axis=-1)
    assert error[:2].max() < 1.0
    assert error[2].max() < 6.0  # there the dots are smaller than in training


def test_a_video_without_frames_is_refused(source: Path, bundle: Bundle, tmp_path: Path) -> None:
    head = (source / "dots.mkv").read_bytes()
    (tmp_path / "empty.mkv").write_bytes(head[: head.index(bytes.fromhex("1f43b675"))])  # before any cluster
    (tmp_path / "nothing.mp4").write_bytes(b"")
    result = analyze(bundle, [tmp_path / "empty.mkv", tmp_path / "nothing.mp4"], tmp_path / "poses")
    assert result["videos"] == []
    assert all("expected a video" in failure["why"] for failure in result["failed"])
    assert len(result["failed"]) == 2


def test_damage_in_the_middle_keeps_the_rest_and_is_told(bundle: Bundle, tmp_path: Path) -> None:
    video = write_video(tmp_path / "dots.mkv", pictures())
    content = bytearray(video.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    video.write_bytes(content)
    (measured,) = analyze(bundle, [video], tmp_path / "poses")["videos"]
    poses = load_poses(measured["files"][0])
    there = [np.linalg.norm(truth() - row[None, :, :2], axis=-1).max(axis=1).argmin() for row in poses.values]
    lost = sorted(set(range(FRAMES)) - set(there))
    assert 0 < len(lost) < FRAMES / 2
    said = re.match(r"dots: (\d+) pictures are missing after frame (\d+), by the file", measured["warning"])
    assert said is not None
    assert FRAMES - len(poses.values) == int(said[1])
    assert abs(lost[0] - int(said[2])) <= 1  # the picture at the edge is there, and broken


def test_a_read_only_bundle_runs(bundle: Bundle, source: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle.path, tmp_path / "ro.bundle")
    for path in (*copy.rglob("*"), copy):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        before = {path: path.stat().st_mtime_ns for path in (copy, *copy.rglob("*"))}
        result = analyze(copy, [source / "dots.mkv"], tmp_path / "poses")
        assert result["videos"][0]["frames"] == FRAMES
        assert {path: path.stat().st_mtime_ns for path in (copy, *copy.rglob("*"))} == before
    finally:
        for path in (copy, copy / "check"):
            path.chmod(0o755)


def test_a_bundle_of_a_future_version_is_refused(bundle: Bundle, source: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle.path, tmp_path / "future.bundle")
    copy.joinpath("manifest.json").chmod(0o644)
    copy.joinpath("manifest.sha256").chmod(0o644)
    manifest = json.loads((copy / "manifest.json").read_text()) | {"schema_version": 99}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    digest = hashlib.sha256((copy / "manifest.json").read_bytes()).hexdigest()
    (copy / "manifest.sha256").write_text(digest)
    with pytest.raises(RigposeError, match=r"version 99.*Update rigpose"):
        analyze(copy, [source / "dots.mkv"], tmp_path / "poses")
    assert not (tmp_path / "poses").exists()


def test_missing_pictures_are_told_of_constant_rates_only() -> None:
    constant = [round(n / 30, 3) for n in range(100)]
    assert said_of_holes("v", constant) == ""
    assert "v: 4 pictures are missing after frame 19, 48," in said_of_holes(
        "v", constant[:20] + constant[23:52] + constant[53:]
    )
    varying = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.3, 100)).tolist()
    assert said_of_holes("v", varying) == ""
    assert said_of_holes("v", [None, *constant]) == said_of_holes("v", []) == ""


def test_a_recording_in_segments_gives_what_one_piece_gives(bundle: Bundle, tmp_path: Path) -> None:
    for name, cut_at in (("whole", ()), ("cut", (20, 41))):
        (tmp_path / name).mkdir()
        write_session(tmp_path / name / "day1", codec="ffv1", cut_at=cut_at)
        analyze(bundle, [tmp_path / name / "day1"], tmp_path / name / "poses")
    for path in (tmp_path / "whole" / "poses").glob("*.poses.npz"):
        whole, cut = load_poses(path), load_poses(tmp_path / "cut" / "poses" / path.name)
        assert len(cut.about["videos"]) == 3
        for column in ("values", "frame", "index", "t_exposure_ns"):
            np.testing.assert_array_equal(getattr(cut, column), getattr(whole, column))


@pytest.mark.parametrize("by", ["sets", "frames"])
def test_pictures_damaged_after_the_end_shift_no_row_and_are_told(
    bundle: Bundle, tmp_path: Path, by: Rows
) -> None:
    write_session(tmp_path / "day1", codec="mjpeg", cut_at=(20, 41), loss=0, ignored=0)
    whole = analyze(bundle, [tmp_path / "day1"], tmp_path / "whole", rows=by)["videos"][0]
    rewrite_packets(tmp_path / "day1" / "day1_cam_0.0001.mkv", (5, 6), None)
    last = tmp_path / "day1" / "day1_cam_0.0002.mkv"
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    status = analyze(bundle, [tmp_path / "day1"], tmp_path / "poses", rows=by)["status"]
    states = {video["name"]: video for video in json.loads(Path(status).read_text())["videos"]}
    damaged = states["day1_cam_0"]
    assert damaged["state"] == "partial" and states["day1_cam_1"]["state"] == "done"
    assert "segment 1: 2 of 21 pictures do not decode, the first of them number 5" in damaged["why"]
    assert "segment 2: " in damaged["why"]
    one, other = (load_poses(video["files"][0]) for video in (whole, damaged))
    lacking = np.isnan(other.values).all((1, 2))
    assert lacking[[25, 26]].all() and not lacking[:25].any() and not lacking[27:42].any() and lacking[59]
    np.testing.assert_array_equal(other.values[~lacking], one.values[~lacking])
    np.testing.assert_array_equal(other.frame, np.where(lacking, -1, one.frame))
    np.testing.assert_array_equal(other.index, one.index)
    assert damaged["frames"] == 60 - lacking.sum()


def test_an_h5_that_cannot_be_written_again_does_not_stay(
    source: Path, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = tmp_path / "dots.mkv"
    shutil.copy(source / "dots.mkv", video)
    analyze(bundle, [video], tmp_path / "poses")
    assert len(list((tmp_path / "poses").glob("*.h5"))) == 1
    write_video(video, pictures(5))
    monkeypatch.setattr(work_module, "_can_write_h5", lambda: False)
    (again,) = analyze(bundle, [video], tmp_path / "poses")["videos"]
    assert again["rows"] == 5
    assert list((tmp_path / "poses").glob("*.h5")) == []


def test_one_bad_session_in_a_folder_does_not_stop_the_others(bundle: Bundle, tmp_path: Path) -> None:
    for name in ("day1", "day2"):
        write_session(tmp_path / "all" / name, pulses=3)
    (tmp_path / "all" / "day1" / "session.json").write_text("{}")
    result = analyze(bundle, [tmp_path / "all"], tmp_path / "poses")
    assert [video["camera"] for video in result["videos"]] == ["cam_0", "cam_1"]
    (failed,) = result["failed"]
    assert failed["video"] == str(tmp_path / "all" / "day1") and "session.json: expected" in failed["why"]
