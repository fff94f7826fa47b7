from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from calibration.inputs import open_input
from calibration.still_names import natural, numbers_of
from tests.acquisition.sessions import number_of, rewrite_packets, write_session


def grey(value, size=(48, 32)):
    return np.full(size[::-1], value, np.uint8)


def write_stills(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / name), grey(10 * number))


def write_video(path, values):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 48, 32, "yuv420p", 4
        for value in values:
            frame = av.VideoFrame.from_ndarray(np.stack([grey(value)] * 3, axis=-1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("names", "cameras"),
    [
        (["left01.jpg", "left02.jpg", "right01.jpg", "right02.jpg"], ("left", "right")),
        (
            ["camera-1-01.jpg", "camera-1-2.jpg", "camera-2-01.jpg", "camera-2-02.jpg"],
            ("camera-1", "camera-2"),
        ),
        (["A_7.png", "A_12.png", "B_07.png", "B_12.png"], ("A", "B")),
    ],
)
def test_stills_by_prefix(tmp_path, names, cameras):
    write_stills(tmp_path / "in", names)
    source = open_input(tmp_path / "in")
    assert source.cameras == cameras
    np.testing.assert_array_equal(source.rows, [[0, 0], [1, 1]])
    assert not source.free_running
    assert [row for row, _ in source.images(1, [0, 1])] == [0, 1]


def test_stills_by_folder_join_by_name_and_may_miss(tmp_path):
    write_stills(tmp_path / "top", ["1.png", "2.png", "10.png"])
    write_stills(tmp_path / "side", ["2.png", "10.png"])
    source = open_input(tmp_path)
    assert source.cameras == ("side", "top")
    np.testing.assert_array_equal(source.rows, [[-1, 0], [0, 1], [1, 2]])


@pytest.mark.parametrize(
    ("names", "sets", "called"),
    [
        (["0001.png", "0002.png", "0012.png"], [1, 2, 12], {}),
        (["frame_2.png", "frame_10.png"], [2, 10], {}),
        (["0.png", "1.png"], [0, 1], {}),
        (["1.png", "01.png"], [0, 1], {0: "01", 1: "1"}),  # one number twice
        (["a1.png", "b2.png"], [0, 1], {0: "a1", 1: "b2"}),
        (["first.png", "second.png"], [0, 1], {0: "first", 1: "second"}),
        (["20240501120000000000001.png"], [0], {0: "20240501120000000000001"}),  # no int64
    ],
)
def test_stills_are_frame_sets_of_their_own_numbers(tmp_path, names, sets, called):
    for camera in ("top", "side"):
        write_stills(tmp_path / "in" / camera, names)
    source = open_input(tmp_path / "in")
    assert source.sets.tolist() == sets
    assert source.names == called
    stems = [source.sources[0][row].stem for row in source.rows[:, 0]]
    assert stems == (list(called.values()) or [Path(name).stem for name in names])


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 10**15 - 1), min_size=1, max_size=8), st.sampled_from(["", "img_", "2024-"]))
def test_numbers_of_instants_are_theirs(numbers, word):
    instants = sorted((f"{word}{number:04d}" for number in numbers), key=natural)
    assert numbers_of(instants).tolist() == sorted(numbers)


def test_videos_join_by_frame_number(tmp_path):
    for name in ("2024_boards_cam_0.mp4", "2024_boards_cam_1.mp4"):
        write_video(tmp_path / name, range(0, 200, 20))
    source = open_input(tmp_path)
    assert source.cameras == ("cam_0", "cam_1")
    assert source.rows.shape == (10, 2)
    got = list(source.images(0, [0, 3, 9]))
    assert [row for row, _ in got] == [0, 3, 9]
    for row, image in got:
        assert image.shape == (32, 48)
        assert abs(float(image.mean()) - 20 * row) < 4


def test_time_stamps_give_the_sets_of_free_running_videos(tmp_path):
    for name in ("port_0.mp4", "port_1.mp4"):
        write_video(tmp_path / name, [0, 50, 100])
    (tmp_path / "timestamps.csv").write_text(
        "sync_index,cam_id,frame_time\n5,1,0.01\n5,0,0.0\n6,0,0.1\n7,1,0.21\n7,0,0.2\n8,1,0.31\n"
    )
    source = open_input(tmp_path)
    assert source.free_running
    np.testing.assert_array_equal(source.sets, [5, 6, 7, 8])
    np.testing.assert_array_equal(source.rows, [[0, 0], [1, -1], [2, 1], [-1, 2]])
    np.testing.assert_array_equal(source.times_s[0], [0.0, 0.01])
    assert np.isnan(source.times_s[1, 1])


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ("5,0,0.0\n6,0,0.1\n5,1,0.0\n6,1,0.1\n7,1,0.2\n", "found 2"),  # a frame that was written has no row
        ("5,0,0\n6,0,1\n7,0,2\n8,0,3\n5,1,0\n6,1,1\n7,1,2\n", "found 4"),  # a row of none that was
        ("5,0,0\n5,0,1\n7,0,2\n5,1,0\n6,1,1\n7,1,2\n", "cam_id 0 twice in 5"),
        ("5,0,nan\n6,0,1\n7,0,2\n5,1,0\n6,1,1\n7,1,2\n", "found nan"),
        ("5,a(,0\n", r"found 'a\('"),
    ],
)
def test_time_stamps_that_do_not_fit_the_videos_are_refused(tmp_path, rows, found):
    for name in ("port_0.mp4", "port_1.mp4"):
        write_video(tmp_path / name, [0, 50, 100])
    (tmp_path / "timestamps.csv").write_text(f"sync_index,cam_id,frame_time\n{rows}")
    with pytest.raises(RigposeError, match=found):
        open_input(tmp_path)


def test_a_camera_with_two_videos_or_two_stills_of_a_number_is_refused(tmp_path):
    for name in ("a/cam1.mp4", "a/cam1.avi", "a/cam2.mp4"):
        (tmp_path / "a").mkdir(exist_ok=True)
        write_video(tmp_path / name, [0, 50])
    with pytest.raises(RigposeError, match="two that are called cam1"):
        open_input(tmp_path / "a")
    write_stills(tmp_path / "b", ["left1.png", "left01.png", "right1.png"])
    with pytest.raises(RigposeError, match=r"found left01\.png as well"):
        open_input(tmp_path / "b")
    write_stills(tmp_path / "c" / "left", ["1.png", "1.jpg"])
    with pytest.raises(RigposeError, match=r"found 1\.jpg as well"):
        open_input(tmp_path / "c")


def test_videos_of_unequal_length_are_not_cut_to_the_shortest(tmp_path):
    write_video(tmp_path / "a.mp4", [0] * 5)
    write_video(tmp_path / "b.mp4", [0] * 4)
    with pytest.raises(RigposeError, match="found a 5, b 4"):
        open_input(tmp_path)


def test_bad_inputs_are_named(tmp_path):
    with pytest.raises(RigposeError, match="found nothing there"):
        open_input(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RigposeError, match="found 0 other entries"):
        open_input(tmp_path / "empty")
    write_stills(tmp_path / "odd", ["left01.png", "cover.png"])
    with pytest.raises(RigposeError, match=r"found 'cover.png'"):
        open_input(tmp_path / "odd")
    (tmp_path / "broken.mp4").write_bytes(b"no video" * 50)
    with pytest.raises(RigposeError, match="expected a video"):
        open_input(tmp_path / "broken.mp4")


def test_a_time_stamp_file_of_other_cameras_is_refused(tmp_path):
    write_video(tmp_path / "cam_0.mp4", [0] * 3)
    write_video(tmp_path / "cam_1.mp4", [0] * 3)
    (tmp_path / "timestamps.csv").write_text("sync_index,cam_id,frame_time\n0,0,0\n0,7,0\n")
    with pytest.raises(RigposeError, match="found '7'"):
        open_input(tmp_path)
    (tmp_path / "timestamps.csv").write_text("frame,time\n0,0\n")
    with pytest.raises(RigposeError, match="columns sync_index"):
        open_input(tmp_path)


def test_damaged_pictures_of_a_recording_take_no_other_row(tmp_path):
    write_session(tmp_path / "day1", codec="mjpeg", cut_at=(20, 41), loss=0, ignored=0)
    rewrite_packets(tmp_path / "day1" / "day1_cam_0.0001.mkv", (5, 6), None)
    source = open_input(tmp_path / "day1")
    got = {row: number_of(image) for row, image in source.images(0, range(3, 60))}
    assert got == {row: row for row in range(3, 60) if row not in (25, 26)}
