"""Frames for labelling: of videos and recordings, by every mode, never twice, never half."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

import training.frames.extraction
import training.projects.saved_frames
from acquisition.errors import RigposeError
from acquisition.recordings.recording import Recording
from tests.acquisition.sessions import number_of, write_session
from tests.training.films import write_film
from training.frames.extraction import extract_frames, read_numbers
from training.images import read_image
from training.projects.project import Project
from training.projects.saved_frames import existing_frames


@pytest.fixture
def project(tmp_path) -> Project:
    return Project.create(tmp_path, task="t", scorer="Ada", keypoints=("nose", "tail"))


def set_config(project: Project, **values) -> None:
    yaml = YAML()
    path = project.root / "config.yaml"
    config = yaml.load(path)
    config.update(values)
    yaml.dump(config, path)


def files(project: Project) -> set[Path]:
    return {path for path in project.root.rglob("*") if path.is_file()}


def numbers_in(project: Project, folder: str) -> dict[int, int]:
    """Number in an image's name -> number in its picture."""
    place = project.root / "labeled-data" / folder
    names = existing_frames(project, folder)
    return {index: number_of(read_image(place / name)) for index, name in names.items()}


@pytest.mark.parametrize("mode", ["uniform", "kmeans", "motion"])
def test_a_video_gives_distinct_frames_named_by_their_number(project, tmp_path, mode):
    film = write_film(tmp_path / "film.mp4", 60)
    measured = extract_frames(project, [film], mode=mode, count=12)
    found = numbers_in(project, "film")
    assert len(found) == 12
    assert all(index == number for index, number in found.items())
    (video,) = measured["videos"]
    assert video["frames"] == sorted(found)
    assert len(video["images"]) == 12
    assert list(Project.open(project.root).videos_by_folder()) == ["film"]
    assert not list(project.root.glob(".unfinished*"))


@pytest.mark.parametrize("mode", ["uniform", "kmeans", "motion"])
def test_the_same_seed_chooses_the_same_and_another_one_not(project, tmp_path, mode):
    film = write_film(tmp_path / "film.mp4", 60)

    def chosen(seed: int) -> list[int]:
        fresh = Project.create(tmp_path, task=f"again-{mode}-{chosen.calls}", scorer="Ada", keypoints=("a",))
        chosen.calls += 1
        return extract_frames(fresh, [film], mode=mode, count=8, seed=seed)["videos"][0]["frames"]

    chosen.calls = 0
    first = chosen(0)
    assert chosen(0) == first
    assert any(chosen(seed) != first for seed in range(1, 6))


def test_frames_that_are_there_are_kept_and_never_chosen_again(project, tmp_path):
    film = write_film(tmp_path / "film.mp4", 20)
    first = extract_frames(project, [film], mode="uniform", count=8)["videos"][0]["frames"]
    kept = project.root / "labeled-data" / "film" / f"img{first[0]:04d}.png"
    kept.write_bytes(b"a person's")
    second = extract_frames(project, mode="kmeans", count=12)["videos"][0]["frames"]
    assert not set(first) & set(second)
    assert kept.read_bytes() == b"a person's"
    with pytest.raises(RigposeError, match="at least 1 frames to choose from, found 0 that have no image"):
        extract_frames(project, [film], mode="uniform", count=1)
    extract_frames(project, [film], mode="list", numbers=first)
    assert kept.read_bytes() == b"a person's"


def test_a_folder_goes_on_with_the_digits_it_has(project, tmp_path):
    film = write_film(tmp_path / "film.mp4", 20)
    folder = project.root / "labeled-data" / "film"
    folder.mkdir()
    (folder / "img003.png").write_bytes(b"there")
    extract_frames(project, [film], mode="list", numbers=[3, 5])
    assert sorted(path.name for path in folder.iterdir()) == ["img003.png", "img005.png"]


def test_start_stop_and_every_bound_the_choice(project, tmp_path):
    film = write_film(tmp_path / "film.mp4", 60)
    frames = extract_frames(project, [film], mode="uniform", count=5, start=0.5, stop=0.75, every=3)
    assert frames["videos"][0]["frames"] == [30, 33, 36, 39, 42]
    set_config(project, start=0.9, stop=1, numframes2pick=6)
    assert extract_frames(project, [film], mode="kmeans")["videos"][0]["frames"] == [*range(54, 60)]


def test_the_crop_is_that_of_config_or_the_one_given(project, tmp_path):
    film = write_film(tmp_path / "film.mp4", 10)
    set_config(project, video_sets={str(film): {"crop": "8, 40, 0, 24"}})
    extract_frames(project, mode="list", numbers=[1])
    extract_frames(project, mode="list", numbers=[2], crop="config")
    extract_frames(project, mode="list", numbers=[3], crop="0,64,24,48")
    for mode in ("kmeans", "motion"):
        extract_frames(project, mode=mode, count=1, crop="config")
    folder = project.root / "labeled-data" / "film"
    whole, cut, given = (read_image(folder / f"img000{n}.png") for n in (1, 2, 3))
    assert (whole.shape[:2], cut.shape[:2], given.shape[:2]) == ((48, 64), (24, 32), (24, 64))


def test_videos_of_config_are_found_by_their_names(project, tmp_path):
    write_film(project.root / "videos" / "here.mp4", 10)
    set_config(project, video_sets={
        "C:\\old\\place\\here.mp4": {"crop": "0, 64, 0, 48"}, "WILL BE UPDATED": {"crop": "0, 1, 0, 1"},
    })  # fmt: skip
    measured = extract_frames(project, mode="uniform", count=3)
    assert [video["folders"] for video in measured["videos"]] == [["here"]]
    assert measured["left_out"] == ["WILL BE UPDATED"]
    assert (project.root / "labeled-data" / "here").is_dir()


def test_motion_frames_are_where_the_animal_moves(project, tmp_path):
    at = np.concatenate([np.full(40, 4), np.arange(4, 54, 5), np.full(40, 54)])
    pictures = [np.full((48, 64), 60, np.uint8) for _ in at]
    for image, x in zip(pictures, at, strict=True):
        image[20:28, x : x + 8] = 220
    film = write_film(tmp_path / "film.mkv", len(at), "lossless", pictures)
    frames = extract_frames(project, [film], mode="motion", count=5)["videos"][0]["frames"]
    assert set(frames) <= set(range(40, 51))


def test_memory_is_bounded_by_looking_at_evenly_spaced_frames(project, tmp_path, monkeypatch):
    film = write_film(tmp_path / "film.mp4", 60)
    monkeypatch.setattr(training.frames.extraction, "LOOKED_AT_MOST", 15)
    frames = extract_frames(project, [film], mode="kmeans", count=6)["videos"][0]["frames"]
    assert all(frame % 4 == 0 for frame in frames)
    assert len(extract_frames(project, [film], mode="kmeans", count=40)["videos"][0]["frames"]) == 40


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Two cameras that lost frames at different pulses; every picture shows its pulse."""
    folder = tmp_path_factory.mktemp("session") / "day1"
    line = write_session(folder, loss=0.15)
    return folder, line


@pytest.mark.parametrize("mode", ["uniform", "kmeans", "motion"])
def test_images_of_a_recording_show_one_instant_in_all_cameras(project, session, mode):
    folder, line = session
    measured = extract_frames(project, [folder], mode=mode, count=10)
    first, second = (numbers_in(project, f"day1_{camera}") for camera in line.cameras)
    assert first == second
    assert len(first) == 10
    assert all(index == pulse for index, pulse in first.items())  # by set, though both lost frames before
    assert measured["videos"][0]["folders"] == ["day1_cam_0", "day1_cam_1"]
    opened = Project.open(project.root)
    assert opened.recordings == {"day1_cam_0": "day1", "day1_cam_1": "day1"}
    again = extract_frames(opened, mode="uniform", count=3)  # config.yaml names its videos: one recording
    assert [video["source"] for video in again["videos"]] == [str(folder)]
    assert not set(again["videos"][0]["frames"]) & set(first)


def test_a_frame_set_that_lacks_a_camera_is_refused_by_name_and_cause(project, session):
    folder, line = session
    with Recording.open(folder) as recording:
        torn = next(one for one in recording.frame_sets() if not one.complete and any(one.stamps))
        whole = next(one for one in recording.frame_sets() if one.complete)
    camera = line.cameras[[stamp is None for stamp in torn.stamps].index(True)]
    before = files(project)
    with pytest.raises(RigposeError, match=rf"frame set {torn.index}: .*none in day1_{camera} \(\w+"):
        extract_frames(project, [folder], mode="list", numbers=[whole.index, torn.index])
    assert files(project) == before


def test_one_video_of_a_recording_is_not_taken_for_a_lone_one(project, session):
    folder, _ = session
    with pytest.raises(RigposeError, match="one video of a recording"):
        extract_frames(project, [folder / "day1_cam_0.mkv"], mode="uniform", count=3)


def test_a_crop_of_a_recording_is_refused(project, session):
    with pytest.raises(RigposeError, match="whole images of a recording"):
        extract_frames(project, [session[0]], mode="uniform", count=3, crop="0,32,0,24")
    set_config(project, video_sets={str(session[0] / "day1_cam_1.mkv"): {"crop": "0, 32, 0, 48"}})
    with pytest.raises(RigposeError, match="a crop of day1_cam_1"):
        extract_frames(project, mode="uniform", count=3, crop="config")
    extract_frames(project, mode="uniform", count=3)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mode": "best"}, "one of kmeans, uniform, motion, list"),
        ({"mode": "uniform", "count": 11}, "at least 11 frames to choose from, found 10"),
        ({"mode": "kmeans", "count": 11}, "at least 11 frames"),
        ({"mode": "uniform", "count": 3, "start": 0.9}, "at least 3 frames to choose from, found 1"),
        ({"mode": "uniform", "count": 0}, "at least 1"),
        ({"mode": "uniform", "every": 0}, "at least 1"),
        ({"mode": "list"}, "numbers with --mode list"),
        ({"mode": "uniform", "numbers": [1]}, "numbers with --mode list"),
        ({"mode": "list", "numbers": [2, 10]}, "frames 0 to 9, found 10"),
        ({"mode": "list", "numbers": [-1]}, "frames 0 to 9, found -1"),
        ({"start": 0.5, "stop": 0.5}, "fractions"),
        ({"stop": 1.5}, "fractions"),
        ({"crop": "1,2,3"}, "x1, x2, y1, y2"),
        ({"crop": "9,3,0,4"}, "x1, x2, y1, y2"),
        ({"crop": "0,99,0,4"}, "a crop within 64x48 px"),
    ],
)
def test_what_cannot_be_chosen_is_said_and_nothing_written(project, tmp_path, options, says):
    film = write_film(tmp_path / "film.mp4", 10)
    before = files(project)
    with pytest.raises(RigposeError, match=says):
        extract_frames(project, [film], **options)
    assert files(project) == before
    assert not (project.root / "labeled-data" / "film").exists()


@pytest.mark.parametrize("what", ["missing", "text", "none named", "folder"])
def test_videos_that_are_not_there_are_refused_before_any_work(project, tmp_path, what):
    good, bad = write_film(tmp_path / "good.mp4", 10), tmp_path / "bad.mp4"
    if what == "text":
        bad.write_text("no video")
    if what == "folder":
        bad.mkdir()
    before = files(project)
    with pytest.raises(RigposeError, match="video_sets" if what == "none named" else "bad.mp4"):
        extract_frames(project, [] if what == "none named" else [good, bad], mode="uniform", count=2)
    assert files(project) == before


def test_two_videos_of_one_name_are_refused(project, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    films = [write_film(tmp_path / name / "film.mp4", 10) for name in ("a", "b")]
    with pytest.raises(RigposeError, match="videos of different names"):
        extract_frames(project, films, mode="uniform", count=2)
    extract_frames(project, films[:1], mode="uniform", count=2)
    before = files(project)
    with pytest.raises(RigposeError, match="labeled-data/film comes from"):
        extract_frames(project, films[1:], mode="uniform", count=2)
    assert files(project) == before


@pytest.mark.parametrize("mode", ["uniform", "list", "kmeans"])
def test_damaged_pictures_are_never_written(project, tmp_path, mode):
    film = write_film(tmp_path / "film.mkv", 60, "intra")
    content = bytearray(film.read_bytes())
    half = len(content) // 2
    content[half : half + 2000] = bytes(2000)
    film.write_bytes(content)
    before = files(project)
    wanted = {"numbers": [*range(60)]} if mode == "list" else {"count": 30}
    try:
        extract_frames(project, [film], mode=mode, **wanted)
    except RigposeError:
        assert mode != "kmeans"
        assert files(project) == before
    else:
        assert len(numbers_in(project, "film")) == 30


def test_a_disk_that_runs_full_leaves_nothing(project, tmp_path, monkeypatch):
    film = write_film(tmp_path / "film.mp4", 10)
    before = files(project)
    write_bytes = training.projects.saved_frames.write_bytes
    calls = []

    def full(path, content):
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        write_bytes(path, content)

    monkeypatch.setattr(training.projects.saved_frames, "write_bytes", full)
    with pytest.raises(RigposeError, match="room for the images, found No space left"):
        extract_frames(project, [film], mode="uniform", count=5)
    assert files(project) == before
    assert not list(project.root.glob(".unfinished*"))


@given(
    st.lists(st.integers(-5, 10**9), min_size=1, max_size=20), st.sampled_from([",", " ", "\n", ", ", ";"])
)
@settings(max_examples=30)
def test_a_list_is_read_however_it_is_separated(numbers, separator):
    assert read_numbers(separator.join(map(str, numbers))) == numbers


def test_a_list_is_read_from_a_file_and_nonsense_is_refused(tmp_path):
    (tmp_path / "list.txt").write_text("10\n20\n30\n")
    assert read_numbers(str(tmp_path / "list.txt")) == [10, 20, 30]
    for text in ("", "ten", "1.5", str(tmp_path / "no.txt")):
        with pytest.raises(RigposeError, match="whole numbers, or a file"):
            read_numbers(text)


@pytest.mark.data
def test_a_real_video_gives_the_frames_that_it_holds(project, data_dir):
    film = data_dir / "openfield-Pranav-2018-10-30" / "videos" / "m3v1mp4.mp4"
    measured = extract_frames(project, [film], mode="kmeans", count=10, every=10)["videos"][0]
    assert measured["available"] == 2330
    frames = measured["frames"]
    assert len(set(frames)) == 10
    import av

    with av.open(str(film)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in frames:
                image = read_image(project.root / "labeled-data" / "m3v1mp4" / f"img{number:04d}.png")
                expected = frame.to_ndarray(format="rgb24")
                if image.ndim == 2:
                    expected = expected[..., 0]
                np.testing.assert_array_equal(image, expected)
