"""Reading sessions back, whole and cut off."""

from __future__ import annotations

import json

import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.frame import Absence
from acquisition.recordings.recording import Recording
from acquisition.recordings.session import Session, check_output, read_session
from acquisition.videos import encoder as encoder_module
from acquisition.videos.encoder import CODECS, Codec, Encoder, check_codec
from acquisition.videos.indexed_video import IndexedVideo
from acquisition.videos.video import open_video
from tests.acquisition.sessions import number_of, picture, write_session

SOFTWARE = [name for name, codec in CODECS.items() if not codec.hardware]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "day1"


def test_every_frame_has_its_row_its_pulse_and_its_set(folder):
    line = write_session(folder)
    with Recording.open(folder) as recording:
        assert recording.cameras == ("cam_0", "cam_1") and recording.gaps == []
        pulses = {c: [p for s, p in line.frames if s.camera == c] for c in line.cameras}
        for camera in recording.cameras:
            assert [number_of(image) for image in recording.images(camera)] == pulses[camera]
            assert recording.frame_table(camera)["lost_before"].tolist() == [
                s.lost_before for s, _ in line.frames if s.camera == camera
            ]
            for row in (0, len(pulses[camera]) - 1, 7, 8, 30, 3):
                assert number_of(recording.image(camera, row)) == pulses[camera][row]
        for one in recording.frame_sets():
            for camera, row, absence in zip(recording.cameras, one.payloads, one.absences, strict=True):
                assert absence == line.expected[camera, one.index]
                assert row is None or pulses[camera][row] == one.index
        with pytest.raises(IndexError):
            recording.image("cam_0", 10_000)
        with pytest.raises(RigposeError, match="expected a camera of cam_0, cam_1"):
            recording.frame_table("cam_7")


def test_session_cut_off_in_the_middle_is_read_to_the_cut(folder):
    line = write_session(folder, ended=False, loss=0, ignored=0)
    video = folder / "day1_cam_0.mkv"
    content = video.read_bytes()
    video.write_bytes(content[: len(content) * 2 // 3])
    with Recording.open(folder) as recording:
        assert recording.session["ended"] is None
        rows = len(recording.frame_table("cam_0"))
        assert 10 < rows < 60 and len(recording.frame_table("cam_1")) == 60
        assert recording.gaps == [f"cam_0: the last {60 - rows} of 60 frames were cut off"]
        assert [number_of(image) for image in recording.images("cam_0")] == list(range(rows))
        sets = recording.frame_sets()
        assert len(sets) == 60 and [one.complete for one in sets] == [i < rows for i in range(60)]
        assert sets[-1].absences == (Absence.ENDED, None)
    assert line.cameras


def test_camera_that_never_delivered(folder):
    write_session(folder, ended=False)
    for suffix in ("mkv", "frames"):
        (folder / f"day1_cam_1.{suffix}").unlink()
    with Recording.open(folder) as recording:
        assert len(recording.frame_table("cam_1")) == 0 and list(recording.images("cam_1")) == []
        assert {one.absences[1] for one in recording.frame_sets()} == {Absence.NOT_STARTED}
        assert recording.gaps == ["cam_1: recorded no frame"]


@pytest.mark.parametrize("codec", SOFTWARE)
@pytest.mark.parametrize("channels", [1, 3])
def test_codecs_give_back_what_they_were_given(tmp_path, codec, channels):
    rng = np.random.default_rng(1)
    shape = (48, 64) if channels == 1 else (48, 64, 3)
    images = [rng.integers(90, 110, shape).astype(np.uint8) for _ in range(12)]
    encoder = Encoder(tmp_path / "v.mkv", codec, 64, 48, channels, 30)
    for n, image in enumerate(images):
        encoder.write(image, n * 33)
    encoder.close()
    video = open_video(tmp_path / "v.mkv")
    assert video.info.channels == channels
    back = list(video)
    assert len(back) == 12 and video.gap is None
    lossless = codec in ("x264-lossless", "ffv1", "raw")
    for image, read in zip(images, back, strict=True):
        off = np.abs(read.astype(int) - image)
        assert off.max() == 0 if lossless else off.mean() < 6


@pytest.mark.parametrize("codec", SOFTWARE)
def test_grey_levels_are_the_same_for_who_reads_colour(tmp_path, codec):
    """Other programs read our mono videos as BGR: no level may be stretched on the way."""
    import cv2

    ramp = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[None], 48, 0)
    encoder = Encoder(tmp_path / "v.mkv", codec, 64, 48, 1, 30)
    for n in range(3):
        encoder.write(ramp, n * 33)
    encoder.close()
    capture = cv2.VideoCapture(str(tmp_path / "v.mkv"))
    found, colours = capture.read()
    capture.release()
    assert found
    assert np.abs(colours.astype(int) - ramp[..., None]).mean() < (4 if codec == "mjpeg" else 1.5)
    assert np.abs(next(iter(open_video(tmp_path / "v.mkv"))).astype(int) - ramp).mean() < 4


def test_times_in_the_file_are_the_true_ones(tmp_path):
    import av

    encoder = Encoder(tmp_path / "v.mkv", "x264", 64, 48, 1, 30)
    times = [0, 33, 67, 400, 400, 401, 900]
    for t_ms in times:
        encoder.write(picture(1), t_ms)
    encoder.close()
    with av.open(str(tmp_path / "v.mkv")) as container:
        assert [round(float(f.pts * f.time_base) * 1000) for f in container.decode(video=0)] == [
            0, 33, 67, 400, 401, 402, 900,
        ]  # fmt: skip


def test_nth_frame_is_the_nth_decoded_one_where_frames_are_missing(tmp_path):
    encoder = Encoder(tmp_path / "v.mkv", "x264", 64, 48, 1, 30)
    times = [n for n in range(300) if n % 7]
    for n in times:
        encoder.write(picture(n), n * 33)
    encoder.close()
    video = IndexedVideo(tmp_path / "v.mkv")
    assert len(video) == len(times)
    for row in (250, 3, 251, 252, 100, 0, 1, len(times) - 1):
        assert number_of(video.image(row)) == times[row]
    video.close()


@pytest.mark.parametrize("content", [b"", b"not a video at all" * 50])
def test_file_that_is_no_video(tmp_path, content):
    (tmp_path / "v.mp4").write_bytes(content)
    with pytest.raises(RigposeError, match="cannot be decoded"):
        open_video(tmp_path / "v.mp4")


def test_video_that_is_missing_or_a_folder_without_images(tmp_path):
    with pytest.raises(RigposeError, match="nothing there"):
        open_video(tmp_path / "none.mp4")
    with pytest.raises(RigposeError, match="none in the folder"):
        open_video(tmp_path)


def test_truncated_video_gives_what_there_is_and_says_so(tmp_path):
    import av

    with av.open(str(tmp_path / "v.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for n in range(40):
            frame = av.VideoFrame.from_ndarray(picture(n), format="gray")
            container.mux(stream.encode(frame.reformat(format="yuvj420p")))
        container.mux(stream.encode(None))
    content = (tmp_path / "v.avi").read_bytes()
    (tmp_path / "v.avi").write_bytes(content[: len(content) // 2])
    video = open_video(tmp_path / "v.avi")
    numbers = [number_of(image) for image in video]
    assert numbers == list(range(len(numbers))) and 5 < len(numbers) < 35
    assert video.gap is not None and str(tmp_path / "v.avi") in video.gap


def test_folder_of_images_is_a_video(tmp_path):
    import cv2

    colours = np.zeros((4, 6, 3), np.uint8)
    colours[..., 0] = 200  # red, read back as RGB
    for name in ("b.png", "a.png"):
        cv2.imwrite(str(tmp_path / name), cv2.cvtColor(colours, cv2.COLOR_RGB2BGR))
    video = open_video(tmp_path)
    assert video.info.frames == 2 and (video.info.width_px, video.info.channels) == (6, 3)
    assert all((image == colours).all() for image in video)
    (tmp_path / "c.png").write_bytes(b"no")
    with pytest.raises(RigposeError, match=r"c\.png: expected an image"):
        list(video if video.info.frames == 3 else open_video(tmp_path))


def test_other_folders_are_no_sessions(tmp_path):
    with pytest.raises(RigposeError, match=r"expected a recorded session, with session\.json"):
        Recording.open(tmp_path)
    (tmp_path / "session.json").write_text(json.dumps({"format": "else"}))
    with pytest.raises(RigposeError, match="something else"):
        Recording.open(tmp_path)


def test_output_that_exists_or_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RigposeError, match="a file of that name"):
        check_output(tmp_path / "file")
    with pytest.raises(RigposeError, match="not empty"):
        check_output(tmp_path)
    with pytest.raises(RigposeError, match="a folder that can be written"):
        check_output(tmp_path / "file" / "below")
    check_output(tmp_path / "new" / "deep")
    assert not (tmp_path / "new").exists()


def test_session_json_is_never_half_written(folder, monkeypatch):
    write_session(folder, ended=False, pulses=3)
    session = Session(folder, read_session(folder))

    def torn(content, stream, **_):
        stream.write('{"format": "rig')
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("acquisition.recordings.session.json.dump", torn)
    with pytest.raises(OSError, match="No space"):
        session.end("time is over")
    assert read_session(folder)["ended"] is None


def test_a_codec_without_an_encoder_is_refused_naming_those_there_are(monkeypatch):
    monkeypatch.setitem(encoder_module.CODECS, "nvenc", Codec(("h264_none", "nv12"), ("", ""), hardware=True))
    with pytest.raises(
        RigposeError, match=r"found no h264_none in this FFmpeg\. This machine has x264,.* raw"
    ):
        check_codec("nvenc")
    check_codec("ffv1")
    assert set(encoder_module.encoders_found()) == set(CODECS)


def test_grey_levels_survive_an_encoder_that_wants_nv12(tmp_path, monkeypatch):
    """Hardware encoders take NV12; here x264 stands in their place."""
    plan = Codec(("libx264", "nv12"), ("libx264", "nv12"), {"qp": "0", "preset": "ultrafast"})
    monkeypatch.setitem(encoder_module.CODECS, "nvenc", plan)
    ramp = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[None], 48, 0)
    encoder = Encoder(tmp_path / "v.mkv", "nvenc", 64, 48, 1, 30)
    for n in range(3):
        encoder.write(ramp, n * 33)
    encoder.close()
    assert all((image == ramp).all() for image in open_video(tmp_path / "v.mkv"))
