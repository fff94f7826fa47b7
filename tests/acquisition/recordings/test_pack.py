"""Packed copies: one picture a frame set in every camera, black where one was lost."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.recordings.check import check_video
from acquisition.recordings.pack import pack
from acquisition.recordings.recording import Recording
from acquisition.videos.video import open_video
from tests.acquisition.sessions import number_of, write_session


def test_every_picture_is_its_frame_set_and_lost_ones_are_black_and_listed(tmp_path):
    line = write_session(tmp_path / "day1", pulses=60)
    said = pack(tmp_path / "day1", tmp_path / "packed")
    assert json.loads((tmp_path / "packed" / "packed.json").read_text()) == said
    with Recording.open(tmp_path / "day1") as recording:
        sets = recording.frame_sets()
    assert said["pictures"] == len(sets)
    assert said["t_exposure_ns"] == [each.t_exposure_ns for each in sets]
    listed = 0
    for camera in line.cameras:
        found = said["videos"][camera]
        black = {each["picture"]: each["cause"] for each in found["black"]}
        listed += len(black)
        images = list(open_video(tmp_path / "packed" / f"day1_{camera}.mp4"))
        assert len(images) == said["pictures"]
        for number, image in enumerate(images):
            pulse = said["first_index"] + number
            if number in black:
                assert image.max() < 5
                assert black[number] == line.expected[camera, pulse].value
            else:
                assert line.truth[camera][pulse] is None
                assert number_of(image) == pulse
        check = check_video(tmp_path / "packed" / f"day1_{camera}.mp4")
        assert check["faults"] == []
        assert check["interval_ms"][1] == pytest.approx(1000 / 30, abs=0.01)
    assert listed > 3


def test_opencv_seeks_them_by_number(tmp_path):
    write_session(tmp_path / "day1", pulses=40)
    said = pack(tmp_path / "day1", tmp_path / "packed")
    black = {each["picture"] for each in said["videos"]["cam_0"]["black"]}
    capture = cv2.VideoCapture(said["videos"]["cam_0"]["file"])
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == said["pictures"]
    for wanted in (30, 2, 31, 17):
        if wanted not in black:
            capture.set(cv2.CAP_PROP_POS_FRAMES, wanted)
            assert number_of(capture.read()[1]) == said["first_index"] + wanted
    capture.release()


def test_grey_levels_stay(tmp_path):
    write_session(tmp_path / "day1", pulses=5, loss=0, ignored=0)
    pack(tmp_path / "day1", tmp_path / "p")
    before = open_video(tmp_path / "day1" / "day1_cam_0.mkv")
    capture = cv2.VideoCapture(str(tmp_path / "p" / "day1_cam_0.mp4"))
    for image in before:
        colours = capture.read()[1]
        assert np.abs(colours.astype(int) - image[..., None]).mean() < 2.5
    capture.release()


def test_of_a_recording_that_was_cut_off_the_rest_is_black(tmp_path):
    write_session(tmp_path / "day1", ended=False, loss=0, ignored=0)
    video = tmp_path / "day1" / "day1_cam_1.mkv"
    content = video.read_bytes()
    video.write_bytes(content[: len(content) * 2 // 3])
    said = pack(tmp_path / "day1", tmp_path / "p")
    assert said["videos"]["cam_0"]["black"] == []
    lost = [each["picture"] for each in said["videos"]["cam_1"]["black"]]
    assert lost == list(range(lost[0], 60)) and lost[0] > 10
    assert len(list(open_video(tmp_path / "p" / "day1_cam_1.mp4"))) == 60
    assert "cut off" in said["gaps"][0]


def test_a_camera_without_frames_and_outputs_that_exist(tmp_path):
    write_session(tmp_path / "day1", pulses=10)
    for file in (tmp_path / "day1").glob("*cam_1*"):
        file.unlink()
    said = pack(tmp_path / "day1", tmp_path / "p")
    assert said["videos"]["cam_1"] == {"file": None, "frames": 0, "black": "all: it recorded no frame"}
    with pytest.raises(RigposeError, match="--overwrite"):
        pack(tmp_path / "day1", tmp_path / "p")
    pack(tmp_path / "day1", tmp_path / "p", overwrite=True)
    with pytest.raises(RigposeError, match="outside the recording"):
        pack(tmp_path / "day1", tmp_path / "day1")
    with pytest.raises(RigposeError, match=r"session\.json"):
        pack(tmp_path / "p", tmp_path / "q")
    assert not (tmp_path / "q").exists()
