"""Videos and images that a label file names are found where they are now, and never another one's."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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


SAME = [
    ("/old/data/a.mp4", "C:\\data\\a.mp4"),
    ("data/a.mp4", "D:/x/data/a.mp4"),
    ("C:/data/a.mp4", "D:/data/a.mp4"),
]


@pytest.mark.parametrize("names", SAME)
@pytest.mark.parametrize("shown", ["data", None])
def test_a_video_that_two_machines_name_is_one(tmp_path, names, shown):
    made(tmp_path, "data/a.mp4")
    place = tmp_path / shown if shown else None
    for several in (names, names[::-1]):
        assert set(find_videos(several, several, tmp_path / "l.slp", place).values()) == {
            tmp_path / "data" / "a.mp4"
        }


def test_one_of_two_machines_may_be_this_one(tmp_path):
    names = [*made(tmp_path, "data/a.mp4"), "D:/data/a.mp4"]
    for wanted in (names, names[::-1], names[1:]):
        found = find_videos(names, wanted, tmp_path / "data" / "l.slp", None)
        assert found == dict.fromkeys(wanted, tmp_path / "data" / "a.mp4")


def test_names_of_two_machines_with_two_files_are_told(tmp_path):
    made(tmp_path, "a.mp4", "now/data/a.mp4")
    names = ["/old/data/a.mp4", "C:\\data\\a.mp4"]
    with pytest.raises(
        RigposeError, match=r"one file for .*found .*/a\.mp4 and .*/a\.mp4\. .*merge them in SLEAP"
    ):
        find_videos(names, names, tmp_path / "l.slp", tmp_path / "now")


@given(st.lists(st.sampled_from(["/x", "/y", "C:", "D:", "."]), min_size=2, max_size=4),
       st.lists(st.sampled_from(["day1", "day2", "a/cam", "b/cam"]), min_size=4, max_size=4),
       st.booleans())  # fmt: skip
@example(["/x", "/x"], ["a/cam", "b/cam", "day1", "day1"], False)
def test_videos_of_other_folders_or_of_one_machine_never_share_a_file(machines, folders, two_files):
    names = list(dict.fromkeys(f"{m}/{f}/video.mp4" for m, f in zip(machines, folders, strict=False)))
    with tempfile.TemporaryDirectory() as root:
        made(Path(root), "here/video.mp4", *(["here/cam/video.mp4"] if two_files else []))
        try:
            found = find_videos(names, names, Path(root) / "here" / "l.slp", None)
        except RigposeError as error:
            assert "merge them in" in str(error)
            return
    for name in names:
        for other in names:
            if name != other and found[name] == found[other]:
                assert Path(name).parts[-2:] == Path(other).parts[-2:]
                assert name[:2] != other[:2]


def test_images_without_folders_are_found_below_by_their_names(tmp_path):
    made(tmp_path, "train/1.png", "val/deep/2.png", ".trash/1.png", "val/other.png")
    names, file = ["1.png", "./2.png", "3.png"], tmp_path / "l.json"
    there = {"1.png": tmp_path / "train" / "1.png", "./2.png": tmp_path / "val" / "deep" / "2.png"}
    assert find_images(names, names, file, None, below=True) == (there, ["3.png"])
    notes = tmp_path / "notes" / "l.json"
    assert find_images(names, names, notes, tmp_path, below=True) == (there, ["3.png"])
    with pytest.raises(RigposeError, match=r"labelled images \(3, named.*found none below .*notes.*--videos"):
        find_images(names, names, notes, None, below=True)
    with pytest.raises(
        RigposeError, match=r"images of .* \(it names 3\), found nothing there, nor in .*--videos"
    ):
        find_images([name.removeprefix("./") for name in names], ["1.png"], file, None)
    made(tmp_path, "val/1.png")
    with pytest.raises(
        RigposeError, match=r"one image 1\.png below .*, found .*train/1\.png and .*val/1\.png"
    ):
        find_images(names, names, file, None, below=True)
    assert find_images(names, ["./2.png"], file, None, below=True)[0] == {"./2.png": there["./2.png"]}


def test_where_some_images_lie_in_their_folder_the_others_are_gone(tmp_path):
    made(tmp_path, "images/1.png", "cam2/2.png")
    names = ["1.png", "2.png"]
    found = find_images(names, names, tmp_path / "l.json", None, below=True)
    assert found == ({"1.png": tmp_path / "images" / "1.png"}, ["2.png"])


def test_images_with_a_folder_are_not_found_by_their_names(tmp_path):
    made(tmp_path, "train/1.png")
    with pytest.raises(RigposeError, match="images of cam"):
        find_images(["cam/1.png", "2.png"], ["cam/1.png"], tmp_path / "l.json", None, below=True)


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
        RigposeError, match=r"the images of /gone/day2/cam .*found only .*, for /gone/day1/cam"
    ):
        find_images(names, names, tmp_path / "l.slp", None)
    with pytest.raises(
        RigposeError, match=r"the images of cam3 \(it names 1\), found nothing there, nor in .*lie in"
    ):
        find_images(["cam3/1.png"], ["cam3/1.png"], tmp_path / "l.slp", None)


def test_a_link_has_the_name_and_the_folder_it_stands_in(tmp_path):
    made(tmp_path, "annex/XY/SHA256", "vid/other")
    (tmp_path / "vid" / "1.png").symlink_to(tmp_path / "annex" / "XY" / "SHA256")
    found, _ = find_images(["vid/1.png"], ["vid/1.png"], tmp_path / "l.json", None)
    assert found == {"vid/1.png": tmp_path / "vid" / "1.png"}
