"""Videos of every kind into Matroska: the same pictures, in the same order, each found by its number."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.videos.indexed_video import IndexedVideo
from acquisition.videos.into_matroska import COPIED, REMUXED, into_matroska, scan_video
from tests.acquisition.clips import clip, repeated_stamp, times_of
from tests.acquisition.sessions import number_of

TIMES_MS = [7 + 33 * n for n in range(25)]


def taken_in(video: Path, target: Path, times_ms: list[int] = TIMES_MS) -> str:
    scan = scan_video(video)
    assert scan.frames == len(times_ms)
    how = into_matroska(scan, target, times_ms, 30)
    copy = IndexedVideo(target)
    assert len(copy) == len(times_ms)
    # by number, backwards, as one who seeks
    assert [number_of(copy.image(n)) for n in range(24, -1, -3)] == list(range(24, -1, -3))
    assert [number_of(image) for image in copy] == list(range(len(times_ms)))
    copy.close()
    return how


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".ts", ".avi"])
@pytest.mark.parametrize("bframes", [0, 3])
def test_packets_are_taken_over_and_found_by_number(tmp_path: Path, ending: str, bframes: int) -> None:
    video = clip(tmp_path / f"a{ending}", bframes=bframes)
    how = taken_in(video, tmp_path / "b.mkv")
    if ending == ".avi" and bframes:
        assert how.startswith("transcoded") or how == REMUXED
    else:
        assert how == REMUXED
        assert times_of(tmp_path / "b.mkv") == pytest.approx(TIMES_MS)


@pytest.mark.parametrize("codec", ["mjpeg", "mpeg4", "rawvideo", "ffvhuff"])
def test_older_codecs(tmp_path: Path, codec: str) -> None:
    how = taken_in(clip(tmp_path / "a.avi", codec=codec), tmp_path / "b.mkv")
    assert how == REMUXED or how.startswith("transcoded to lossless H.264")


def test_a_matroska_file_is_copied_byte_by_byte(tmp_path: Path) -> None:
    video = clip(tmp_path / "a.mkv")
    assert taken_in(video, tmp_path / "b.mkv") == COPIED
    assert (tmp_path / "b.mkv").read_bytes() == video.read_bytes()


def test_repeated_times_of_the_container_become_growing_ones(tmp_path: Path) -> None:
    video = repeated_stamp(clip(tmp_path / "a.mkv"), tmp_path / "c.mkv", 9)
    scan = scan_video(video)
    assert scan.times_ns is not None
    assert np.flatnonzero(np.diff(scan.times_ns) == 0).tolist() == [8]
    assert taken_in(video, tmp_path / "b.mkv") == REMUXED


def test_an_edit_list_is_obeyed(tmp_path: Path) -> None:
    """A video that was cut without a key frame hides pictures that others need."""
    video = clip(tmp_path / "a.mp4", bframes=2)
    cut = tmp_path / "cut.mp4"
    with av.open(str(video)) as source, av.open(str(cut), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts -= 5 * 40 * packet.time_base.denominator // 1000
                packet.dts -= 5 * 40 * packet.time_base.denominator // 1000
                packet.stream = stream
                target.mux(packet)
    scan = scan_video(cut)
    how = into_matroska(scan, tmp_path / "b.mkv", [40 * n for n in range(scan.frames)], 25)
    assert scan.same_as(tmp_path / "b.mkv")
    assert scan.frames == 25 or how.startswith("transcoded")


def test_lossless_means_to_the_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "a.gif"  # a container whose pictures Matroska has no name for
    with av.open(str(path), "w") as container:
        stream = container.add_stream("gif", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb8"
        for _ in range(5):
            image = rng.integers(0, 255, (48, 64, 3), np.uint8)
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="rgb8"))
            )
        container.mux(stream.encode(None))
    scan = scan_video(path)
    how = into_matroska(scan, tmp_path / "b.mkv", [40 * n for n in range(scan.frames)], 25)
    assert how.startswith("transcoded to lossless H.264: ")
    with av.open(str(path)) as given:
        wanted = [frame.to_ndarray(format="rgb24") for frame in given.decode(video=0)]
    copy = IndexedVideo(tmp_path / "b.mkv")
    assert all(np.array_equal(copy.image(n), image) for n, image in enumerate(wanted))
    copy.close()


def test_what_breaks_off_is_taken_as_far_as_it_goes(tmp_path: Path) -> None:
    video = clip(tmp_path / "a.avi", range(0, 2000, 40), codec="mjpeg")
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 2 // 3])
    scan = scan_video(video)
    assert 10 < scan.frames < 50
    assert scan.gap is not None
    into_matroska(scan, tmp_path / "b.mkv", [40 * n for n in range(scan.frames)], 25)
    assert scan.same_as(tmp_path / "b.mkv")


def test_no_video(tmp_path: Path) -> None:
    with pytest.raises(RigposeError, match="found a folder"):
        scan_video(tmp_path)
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(RigposeError, match="expected a video"):
        scan_video(tmp_path / "a.mp4")
