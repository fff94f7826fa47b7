"""Videos of other programs become sessions: which is whose, when, and what is missing."""

from __future__ import annotations

import hashlib
import json
from csv import DictReader
from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.recordings.adopt import AdoptOptions, adopt
from acquisition.recordings.adopted_files import cameras_of
from acquisition.recordings.recording import Recording
from tests.acquisition.clips import clip
from tests.acquisition.sessions import number_of

MS = 1_000_000


def videos_of(folder: Path, *lengths: int, ending: str = ".mp4", **how) -> list[Path]:
    """m1-cam0, m1-cam1, ... at 25 Hz; frames carry their numbers."""
    return [
        clip(folder / f"m1-cam{n}{ending}", range(0, 40 * length, 40), **how)
        for n, length in enumerate(lengths)
    ]


def stamps_beside(
    video: Path, times: list[float], header: str = "timestamp_ms", name: str = "{}.csv"
) -> None:
    video.with_name(name.format(video.stem)).write_text("\n".join([header, *map(str, times)]) + "\n")


def numbers_in_sets(recording: Recording) -> list[tuple[int | None, ...]]:
    """What each frame set shows: the numbers that its pictures carry."""
    return [
        tuple(
            None if row is None else number_of(recording.image(camera, row))
            for camera, row in zip(recording.cameras, one.payloads, strict=True)
        )
        for one in recording.frame_sets()
    ]


def test_equal_lengths_are_one_instant_by_number(tmp_path: Path) -> None:
    videos = videos_of(tmp_path, 20, 20, bframes=2)
    done = adopt(
        videos, tmp_path / "day1", r"cam(\d)", AdoptOptions(subject="m1", started="2024-05-01T10:00:00Z")
    )
    with Recording.open(tmp_path / "day1") as recording:
        assert recording.cameras == ("0", "1")
        assert numbers_in_sets(recording) == [(n, n) for n in range(20)]
        assert [one.t_exposure_ns for one in recording.frame_sets()] == [n * 40 * MS for n in range(20)]
        assert recording.gaps == []
        session = recording.session
    assert session["subject"] == "m1"
    assert session["started"]["realtime_ns"] == 1_714_557_600 * 10**9
    about = session["adopted"]["videos"]["1"]
    assert about["file"] == str(videos[1])
    assert about["sha256"] == hashlib.sha256(videos[1].read_bytes()).hexdigest()
    assert about["how"] == "remuxed"
    assert (done["frame_sets"], done["complete_sets"], done["synchronised_by"]) == (20, 20, "common grid")


def test_unequal_lengths_are_refused_or_their_tails_absent(tmp_path: Path) -> None:
    videos = videos_of(tmp_path, 12, 20)  # the reference is the shorter one
    with pytest.raises(RigposeError, match="found cam0 12, cam1 20 frames"):
        adopt(videos, tmp_path / "day1", "cam.")
    assert not (tmp_path / "day1").exists()
    done = adopt(videos, tmp_path / "day1", "cam.", AdoptOptions(assume_aligned=True))
    assert done["cameras"]["cam0"]["absent"] == {"ended": 8}
    assert done["cameras"]["cam1"]["in_no_set"] == 0
    assert "ends 8 frames before" in done["times"]["notes"][0]
    with Recording.open(tmp_path / "day1") as recording:
        assert numbers_in_sets(recording) == [(n if n < 12 else None, n) for n in range(20)]


def test_stamps_of_a_common_trigger_find_the_lost_frames(tmp_path: Path) -> None:
    """Each camera lost other frames; videos are shorter for it, and no set is shifted."""
    seen = [n for n in range(20) if n not in (5, 6)], [n for n in range(20) if n != 13]
    videos = videos_of(tmp_path, 18, 19)
    for video, numbers in zip(videos, seen, strict=True):
        stamps_beside(video, [1000 + 40 * n + 0.2 * (n % 3) for n in numbers])
    done = adopt(videos, tmp_path / "day1", "cam.")
    assert done["synchronised_by"] == "common grid"
    assert done["times"]["off_grid_ms"] < 0.5
    assert [done["cameras"][name]["missing"] for name in ("cam0", "cam1")] == [2, 1]
    assert done["cameras"]["cam0"]["absent"] == {"lost": 2}
    assert done["cameras"]["cam1"]["absent"] == {"lost": 1}
    with Recording.open(tmp_path / "day1") as recording:
        shown = numbers_in_sets(recording)  # pictures count frames of the file, not pulses
        assert [a is None for a, _ in shown] == [n in (5, 6) for n in range(20)]
        assert [b is None for _, b in shown] == [n == 13 for n in range(20)]
        assert shown[19] == (17, 18)
        assert recording.frame_table("cam1")["t_exposure_ns"][0] == 1000 * MS


def test_free_running_cameras_are_matched_by_time(tmp_path: Path) -> None:
    videos = videos_of(tmp_path, 20, 20)
    stamps_beside(videos[0], [40.0 * n for n in range(20)], name="{}_timestamps.csv")
    stamps_beside(videos[1], [15 + 41.5 * n for n in range(20)], name="{}_timestamps.csv")
    done = adopt(videos, tmp_path / "day1", "cam.")
    assert done["synchronised_by"] == "nearest exposure"
    # the second camera's exposures wander from 15 ms behind to 20 ms before the next: one changes partners
    with Recording.open(tmp_path / "day1") as recording:
        for one in recording.frame_sets():
            assert one.spread_ns <= 0.45 * 41 * MS
        a, b = (recording.frame_table(name)["t_exposure_ns"] for name in recording.cameras)
        wanted = [int(np.argmin(np.abs(b - t))) for t in a]
        got = [one.payloads[1] for one in recording.frame_sets()]
        assert all(row is None or row == near for row, near in zip(got, wanted, strict=True))
        assert sum(row is not None for row in got) >= 17


def test_stamps_of_different_clocks_want_a_word(tmp_path: Path) -> None:
    videos = videos_of(tmp_path, 10, 10)
    stamps_beside(videos[0], [5_000_000 + 40_000 * n for n in range(10)], "t_us")
    stamps_beside(videos[1], [77_000_000 + 40_000 * n for n in range(10)], "t_us")
    with pytest.raises(RigposeError, match=r"cam1 beginning 72.000 s after cam0.*--assume-aligned"):
        adopt(videos, tmp_path / "day1", "cam.")
    done = adopt(videos, tmp_path / "day1", "cam.", AdoptOptions(assume_aligned=True))
    assert done["complete_sets"] == 10


def test_repeated_stamps_are_named_and_kept(tmp_path: Path) -> None:
    videos = videos_of(tmp_path, 10, 10)
    times = [100 + 40 * n for n in range(10)]
    stamps_beside(videos[0], times)
    stamps_beside(videos[1], [*times[:4], times[3], *times[5:]])
    done = adopt(videos, tmp_path / "day1", "cam.")
    assert done["cameras"]["cam1"]["repeated_stamps"] == [4]
    assert done["cameras"]["cam1"]["in_no_set"] == 1
    assert "first: 4" in done["times"]["notes"][0]
    with Recording.open(tmp_path / "day1") as recording:
        assert recording.frame_table("cam1")["t_exposure_ns"][4] == times[3] * MS
        assert numbers_in_sets(recording)[3] == (3, 3)
        assert numbers_in_sets(recording)[4] == (4, None)
        assert numbers_in_sets(recording)[5] == (5, 5)


def test_the_camera_s_count_says_more_than_the_stamps(tmp_path: Path) -> None:
    videos = videos_of(tmp_path, 6, 6)
    for video, ids in zip(videos, ([0, 1, 2, 3, 4, 5], [0, 1, 4, 5, 6, 7]), strict=True):
        lines = [f"{number},{1000 + 40 * number}" for number in ids]
        video.with_suffix(".csv").write_text("frame_id,timestamp_ms\n" + "\n".join(lines))
    done = adopt(videos, tmp_path / "day1", "cam.")
    assert [done["cameras"][name]["missing"] for name in ("cam0", "cam1")] == [0, 2]
    assert done["frame_sets"] == 8
    with Recording.open(tmp_path / "day1") as recording:
        assert recording.frame_table("cam1")["seq"].tolist() == [0, 1, 4, 5, 6, 7]


def test_holes_in_the_containers_times_are_not_passed_over(tmp_path: Path) -> None:
    kept = [n for n in range(12) if n != 7]
    one = clip(tmp_path / "cam0.mkv", [40 * n for n in kept])
    other = clip(tmp_path / "cam1.mkv", [40 * n for n in range(11)])
    with pytest.raises(RigposeError, match=r"cam0.mkv: expected a constant rate.*--times container"):
        adopt([one, other], tmp_path / "day1", "cam.")
    done = adopt([one, other], tmp_path / "day1", "cam.", AdoptOptions(times="container"))
    assert done["cameras"]["cam0"]["absent"] == {"lost": 1}
    assert done["cameras"]["cam0"]["how"] == "copied"
    assert done["cameras"]["cam1"]["absent"] == {"ended": 1}
    by_number = adopt([one, other], tmp_path / "day2", "cam.", AdoptOptions(times="number"))
    assert by_number["complete_sets"] == 11


def test_one_file_of_stamps_for_all(tmp_path: Path) -> None:
    videos = [clip(tmp_path / f"{name}.mp4", range(0, 160, 40)) for name in ("top_1", "side_1")]
    rows = [f"{camera},{40 * n + 3}" for camera in ("top_1", "side_1") for n in range(4)]
    (tmp_path / "timestamps.csv").write_text("camera,time_ms\n" + "\n".join(rows))
    done = adopt(videos, tmp_path / "day1", r"(\w+)\.mp4")
    assert (done["times"]["source"], done["complete_sets"]) == ("csv", 4)
    # A number alone is both cameras'.
    (tmp_path / "timestamps.csv").write_text("cam_id,time_ms\n" + "\n".join(f"1,{40 * n}" for n in range(4)))
    with pytest.raises(RigposeError, match="expected one camera that is 'side_1'"):
        adopt(videos, tmp_path / "day2", r"(\w+)\.mp4")
    (tmp_path / "timestamps.csv").write_text("time_ms\n" + "\n".join(str(50 * n) for n in range(4)))
    assert adopt(videos[:1], tmp_path / "day3", "top")["times"]["rate_hz"] == pytest.approx(20)


def test_a_single_video(tmp_path: Path) -> None:
    done = adopt([clip(tmp_path / "a.mp4", [0])], tmp_path / "day1", "a", AdoptOptions(rate_hz=10))
    assert (done["frame_sets"], done["complete_sets"]) == (1, 1)


def test_which_video_is_whose(tmp_path: Path) -> None:
    names = ["m1_cam-top_a.mp4", "m1_cam-side_a.mp4"]
    paths = [tmp_path / name for name in names]
    assert list(cameras_of(paths, "cam-([a-z]+)")) == ["top", "side"]
    assert list(cameras_of(paths, "top|side")) == ["top", "side"]
    folders = [tmp_path / "top" / "v.mp4", tmp_path / "side" / "v.mp4"]
    assert list(cameras_of(folders, "([a-z]+)/v.mp4")) == ["top", "side"]


@pytest.mark.parametrize(
    ("regex", "says"),
    [
        ("view", "m1_cam0.mp4: expected one camera in its name, by 'view', found none"),
        ("[a-z]+", "found 'cam' and 'm' and 'mp'"),
        ("m(1)", "cam1.mp4: expected one video of camera '1'"),
        ("cam[0-9].mp4", "a camera's name of letters"),
        ("cam(", "expected a regular expression"),
        ("(c)(a)", "expected one group"),
    ],
)
def test_names_that_tell_no_camera_or_two_are_refused(tmp_path: Path, regex: str, says: str) -> None:
    with pytest.raises(RigposeError, match=says.replace("(", r"\(")):
        cameras_of([tmp_path / "m1_cam0.mp4", tmp_path / "m1_cam1.mp4"], regex)


@pytest.mark.parametrize(
    ("csv", "options", "says"),
    [
        ("timestamp_ms\n0\n40\n", {}, "expected 10 time stamps"),
        ("timestamp_ms\n" + "\n".join(str(40 * n % 200) for n in range(10)), {}, "frame 5 before frame 4"),
        ("timestamp\n" + "\n".join(str(n) for n in range(10)), {}, "Give --time-unit"),
        (None, {}, "a CSV of time stamps beside every video, found none for cam1"),
        (None, {"times": "csv"}, "a CSV of time stamps beside every video"),
        ("", {"times": "number", "tolerance_ms": 20.0}, "less than half a period, 20 ms"),
        ("", {"times": "container", "rate_hz": 25.0}, "--rate-hz"),
        ("", {"times": "number", "started": "yesterday"}, "--started"),
    ],
)
def test_mistakes_leave_nothing_behind(tmp_path: Path, csv: str | None, options: dict, says: str) -> None:
    videos = videos_of(tmp_path, 10, 10)
    stamps_beside(videos[0], [40 * n for n in range(10)])
    if csv is not None:
        videos[1].with_suffix(".csv").write_text(csv)
    with pytest.raises(RigposeError, match=says):
        adopt(videos, tmp_path / "day1", "cam.", AdoptOptions(**options))
    assert not (tmp_path / "day1").exists()


def test_rates_that_differ_want_a_word(tmp_path: Path) -> None:
    videos = [clip(tmp_path / "cam0.mp4", range(0, 400, 40)), clip(tmp_path / "cam1.mp4", range(0, 500, 50))]
    with pytest.raises(RigposeError, match=r"cam0 25.000, cam1 20.000 Hz"):
        adopt(videos, tmp_path / "day1", "cam.")
    done = adopt(videos, tmp_path / "day1", "cam.", AdoptOptions(rate_hz=50))
    assert done["times"]["rate_hz"] == 50
    assert json.loads((tmp_path / "day1" / "session.json").read_text())["pulses"]["period_ns"] == 20 * MS


@pytest.mark.data
@pytest.mark.long
def test_real_webcams_with_caliscope_s_time_stamps(tmp_path: Path, data_dir: Path) -> None:
    """Four free-running webcams and one timestamps.csv: our frame sets are those that caliscope stored."""
    folder = data_dir / "charuco-4cam"
    done = adopt(sorted(folder.glob("cam_*.mp4")), tmp_path / "day1", r"cam_\d")
    assert done["times"]["source"] == "csv"
    assert [camera["how"] for camera in done["cameras"].values()] == ["remuxed"] * 4
    rows = list(DictReader((folder / "timestamps.csv").read_text().splitlines()))
    stored: dict[str, dict[str, int]] = {}
    for camera in "0123":
        own = sorted((float(row["frame_time"]), row["sync_index"]) for row in rows if row["cam_id"] == camera)
        for number, (_, index) in enumerate(own):
            stored.setdefault(index, {})[f"cam_{camera}"] = number
    with Recording.open(tmp_path / "day1") as recording:
        ours = [dict(zip(recording.cameras, one.payloads, strict=True)) for one in recording.frame_sets()]
    assert len(ours) == 57
    assert all(each in stored.values() for each in ours)


def test_stamps_that_each_begin_at_0_say_nothing_of_the_others(tmp_path: Path) -> None:
    videos = videos_of(tmp_path, 6, 6)
    for video in videos:
        stamps_beside(video, [40 * n for n in range(6)])
    with pytest.raises(RigposeError, match="all begin at 0"):
        adopt(videos, tmp_path / "day1", "cam.")
    assert not (tmp_path / "day1").exists()
    done = adopt(videos, tmp_path / "day1", "cam.", AdoptOptions(assume_aligned=True))
    assert done["frame_sets"] == 6
