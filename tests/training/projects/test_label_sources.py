"""Videos and images that a label file names are found where they are now, and never another one's."""

from __future__ import annotations

from pathlib import Path

import pytest

from acquisition.errors import RigposeError
from training.projects.label_sources import find_images, find_videos


def made(root: Path, *names: str) -> list[str]:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return [str(root / name) for name in names]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("labelled", [slice(None), slice(1, 2)])
def test_a_video_that_is_gone_is_not_another_one_of_its_name(tmp_path, order, labelled):
    here = made(tmp_path, "day1/video.mp4")
    names = [*here, "/gone/day2/video.mp4"]
    wanted = [names[index] for index in order if names[index] in names[labelled]]
    file = tmp_path / "day1" / "labels.slp"
    with pytest.raises(RigposeError, match=r"day2/video\.mp4, found only .*day1/video\.mp4, for .*--videos"):
        find_videos([names[index] for index in order], wanted, file, None)
    [now] = made(tmp_path, "now/video.mp4")
    assert find_videos(names, names, file, tmp_path / "now")[names[1]] == Path(now)


def test_two_videos_that_were_moved_do_not_become_one(tmp_path):
    made(tmp_path, "here/video.mp4")
    names = ["/gone/day1/video.mp4", "C:\\gone\\day2\\video.mp4"]
    file = tmp_path / "here" / "labels.slp"
    with pytest.raises(RigposeError, match=r"for /gone/day1/video\.mp4"):
        find_videos(names, names, file, None)
    assert find_videos(names, names[1:], file, None) == {names[1]: tmp_path / "here" / "video.mp4"}


def test_a_name_without_a_root_is_one_beside_the_label_file(tmp_path, monkeypatch):
    made(tmp_path, "a/labeled-data/vid/1.png", "b/labeled-data/vid/1.png", "a/v.mp4", "b/v.mp4")
    monkeypatch.chdir(tmp_path / "b")
    file = Path("..") / "a" / "labels"
    names = ["labeled-data/vid/1.png"]
    assert find_images(names, names, file, None) == ({names[0]: tmp_path / "a" / names[0]}, [])
    assert find_videos(["v.mp4"], ["v.mp4"], file, None) == {"v.mp4": tmp_path / "a" / "v.mp4"}


def test_an_image_that_is_gone_is_not_another_folders(tmp_path):
    made(tmp_path, "cam1/2.png", "cam2/1.png", "1.png")
    names = ["cam1/1.png", "cam1/2.png"]
    for videos in (None, tmp_path / "cam2", tmp_path):
        found, gone = find_images(names, names, tmp_path / "l.json", videos)
        assert found == {"cam1/2.png": tmp_path / "cam1" / "2.png"}
        assert gone == ["cam1/1.png"]


def test_two_folders_that_were_moved_do_not_become_one(tmp_path):
    made(tmp_path, "cam/1.png")
    names = ["/gone/day1/cam/1.png", "/gone/day2/cam/1.png"]
    with pytest.raises(
        RigposeError, match=r"the images of /gone/day2/cam, found only .*, for /gone/day1/cam"
    ):
        find_images(names, names, tmp_path / "l.slp", None)
    with pytest.raises(RigposeError, match="images of cam3, found nothing there"):
        find_images(["cam3/1.png"], ["cam3/1.png"], tmp_path / "l.slp", None)


def test_a_link_has_the_name_and_the_folder_it_stands_in(tmp_path):
    made(tmp_path, "annex/XY/SHA256", "vid/other")
    (tmp_path / "vid" / "1.png").symlink_to(tmp_path / "annex" / "XY" / "SHA256")
    found, _ = find_images(["vid/1.png"], ["vid/1.png"], tmp_path / "l.json", None)
    assert found == {"vid/1.png": tmp_path / "vid" / "1.png"}
