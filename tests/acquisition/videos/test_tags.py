"""Tags that are no UTF-8, which old programs write and damage makes: the pictures are read all the same."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from acquisition.recordings.check import check_video
from acquisition.videos.decoded import DecodedFrames, count_frames
from acquisition.videos.indexed_video import IndexedVideo
from acquisition.videos.tools import shorten
from acquisition.videos.video import open_video
from tests.acquisition.clips import clip
from tests.acquisition.sessions import number_of
from training.projects.video_frames import VideoFrames

TITLE = "23 °C"


@pytest.fixture(params=[".mkv", ".mp4", ".avi"])
def film(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """25 pictures and a title in Latin-1."""
    plain = clip(tmp_path / f"plain{request.param}", codec="mpeg4" if request.param == ".avi" else "libx264")
    path = tmp_path / f"film{request.param}"
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        target.metadata["title"] = TITLE
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    content = path.read_bytes()
    assert content.count(TITLE.encode()) == 1
    path.write_bytes(content.replace(TITLE.encode(), TITLE.replace(" ", "  ").encode("latin-1")))
    with pytest.raises(UnicodeDecodeError):
        av.open(str(path))
    return path


def test_every_reader_reads_it(film: Path, tmp_path: Path) -> None:
    numbers = list(range(25))
    assert [number_of(image) for image in open_video(film)] == numbers
    assert count_frames(film) == len(list(DecodedFrames(film))) == check_video(film)["frames"] == 25
    assert [number_of(image) for image in VideoFrames(film).images([3, 20])] == [3, 20]
    if film.suffix == ".mkv":
        video = IndexedVideo(film)
        assert number_of(video.image(7)) == 7
        video.close()
    assert shorten(film, tmp_path / "c.mp4", start="0.2", stop="0.4")["frames"] == 5
