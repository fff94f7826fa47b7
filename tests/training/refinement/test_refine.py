"""refine find and merge: what is wrong is taken out for people, what they reviewed is taken in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.recordings.recording import Recording
from calibration.camera_model import CalibratedRig
from calibration.formats.anipose import save_toml
from deploy.poses_io.columns import save_columns
from deploy.poses_io.deeplabcut import save_csv, save_h5
from deploy.poses_io.poses import NO_FRAME, NO_TIME_NS, Poses
from tests.acquisition.sessions import number_of, write_session
from tests.calibration.synthetic import ring
from tests.training.films import write_film
from training.images import read_image
from training.projects.labels import read_labels, write_labels
from training.projects.origins import Origin, PointNote, read_notes, write_notes
from training.projects.project import Project
from training.projects.saved_frames import existing_frames
from training.refinement.find import find
from training.refinement.merge import merge
from training.refinement.record import read_record

GOLDEN = Path(__file__).parents[2] / "deploy" / "golden" / "schema1.bundle"
KEYPOINTS = ("nose", "tail")
FRAMES = 80
S = "DLC_Resnet50_reachOct30shuffle1_snapshot_200"


@pytest.fixture
def project(tmp_path) -> Project:
    return Project.create(tmp_path, task="t", scorer="Ada", keypoints=KEYPOINTS)


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    return write_film(tmp_path_factory.mktemp("films") / "film.mp4", FRAMES)


def calm(rows: int = FRAMES) -> np.ndarray:
    """float32 (rows, 2, 3): two points that move one px a frame, all sure."""
    step = np.arange(rows)[:, None]
    points = np.stack([np.hstack([10 + step, 20 + step]), np.hstack([30 + step, 40 - step])], axis=1)
    return np.concatenate([points, np.full((rows, 2, 1), 0.9)], axis=-1).astype(np.float32)


def files(project: Project) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()}


def poses_file(folder: Path, values: np.ndarray, kind: str = "csv", video: str = "film") -> Path:
    poses = Poses.of_video(KEYPOINTS, values, {"scorer": S})
    path = folder / f"{video}{S}.{kind}"
    if kind == "poses.npz":
        save_columns(poses, path)
    else:
        (save_csv if kind == "csv" else save_h5)(poses, S, path)
    return path


@pytest.mark.parametrize("kind", ["csv", "h5", "poses.npz"])
def test_a_jump_is_taken_out_with_the_machine_s_points_unreviewed(project, film, tmp_path, kind):
    values = calm()
    values[30, 1, :2] += 50
    measured = find(project, [film], poses=[poses_file(tmp_path, values, kind)], by="jump")
    (video,) = measured["videos"]
    assert (video["frames"], video["found"]) == ([30, 31], 2)
    for index, name in existing_frames(project, "film").items():
        assert number_of(read_image(project.root / "labeled-data" / "film" / name)) == index
    notes = read_notes(project, "film")
    assert set(notes) == {"img0030.png", "img0031.png"}
    note = notes["img0030.png"]["tail"]
    assert note.origin is Origin.UNREVIEWED
    assert note.at_px == (110.0, 60.0)
    assert note.confidence == pytest.approx(0.9)
    assert note.author == S
    assert read_record(project)["labeled-data/film/img0030.png"].by == "jump"
    with pytest.raises(RigposeError, match="labels in CollectedData"):  # and nothing trains
        read_labels(project)


def test_each_rule_finds_its_own_faults(project, film, tmp_path):
    values = calm()
    values[20, 0, :2] += 12  # fits badly, jumps little
    values[40, 1, 2] = 0.3  # doubtful
    values[60, 1, :2] += 40  # jumps, and fits badly
    path = poses_file(tmp_path, values)
    taken = {}
    for by, epsilon in (("jump", 20.0), ("uncertain", 20.0), ("fitting", 8.0)):
        fresh = Project.create(tmp_path, task=by, scorer="Ada", keypoints=KEYPOINTS)
        taken[by] = find(fresh, [film], poses=[path], by=by, epsilon_px=epsilon)["videos"][0]["frames"]
    assert taken == {"jump": [60, 61], "uncertain": [40], "fitting": [20, 60]}


def test_a_list_is_taken_as_it_is_and_labels_stay(project, film, tmp_path):
    path = poses_file(tmp_path, calm())
    find(project, [film], poses=[path], by="list", numbers=[5])
    write_labels(project, "film", ["img0005.png"], np.full((1, 2, 2), 7.0))
    write_notes(project, "film", {})
    measured = find(project, [film], poses=[path], by="list", numbers=[9, 5])
    assert measured["videos"][0]["images"] == ["labeled-data/film/img0009.png"]
    assert set(read_notes(project, "film")) == {"img0009.png"}
    np.testing.assert_array_equal(read_labels(project).points, np.full((1, 2, 2), 7.0))


def test_many_found_frames_are_thinned_by_what_they_look_like(project, film, tmp_path):
    values = calm()
    values[10:70, 0, 2] = 0.1
    path = poses_file(tmp_path, values)
    first = find(project, [film], poses=[path], by="uncertain", count=6)["videos"][0]
    assert first["found"] == 60
    assert len(first["frames"]) == 6
    assert max(first["frames"]) - min(first["frames"]) > 20
    second = find(project, [film], poses=[path], by="uncertain", count=6)["videos"][0]
    assert second["there_already"] == 6
    assert not set(first["frames"]) & set(second["frames"])
    inside = find(project, [film], poses=[path], by="uncertain", start=0.5, stop=0.6)["videos"][0]
    assert inside["found"] == 8


def test_a_network_that_is_sure_of_little_is_said_to_be(project, film, tmp_path):
    values = calm()
    values[:, :, 2] = 0.2
    path = poses_file(tmp_path, values)
    (video,) = find(project, [film], poses=[path], by="fitting")["videos"]
    assert video["found"] == 0
    assert "only 0% of the points reach the confidence 0.6" in video["notes"][0]
    (video,) = find(project, [film], poses=[path], by="fitting", cutoff=0.1)["videos"]
    assert video["notes"] == []


def test_nothing_found_writes_nothing(project, film, tmp_path):
    before = files(project)
    measured = find(project, [film], poses=[poses_file(tmp_path, calm())])
    assert measured["videos"][0]["frames"] == []
    assert files(project) == before


def test_a_network_s_own_points_are_written(tmp_path):
    """The golden network finds a red and a blue dot; the blue one jumps."""
    keypoints = json.loads((GOLDEN / "manifest.json").read_text())["keypoints"]
    project = Project.create(tmp_path, task="dots", scorer="Ada", keypoints=keypoints)
    truth = np.array([[[60 + n, 60], [200 - n + 40 * (n == 6), 130]] for n in range(12)], float)
    with av.open(str(tmp_path / "dots.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 256, 192, "bgr0"
        for points in truth:
            image = np.full((192, 256, 3), 80.0)
            for at, channel in zip(points, (0, 2), strict=True):
                squared = (np.arange(256) - at[0]) ** 2 + ((np.arange(192) - at[1]) ** 2)[:, None]
                image[:, :, channel] += 90 * np.exp(-squared / (2 * 14.0**2))
            frame = av.VideoFrame.from_ndarray(np.rint(image).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    measured = find(project, [tmp_path / "dots.mkv"], bundle=GOLDEN, by="jump", cutoff=0.1)
    assert measured["videos"][0]["frames"] == [6, 7]
    for index in (6, 7):
        notes = read_notes(project, "dots")[f"img{index:04d}.png"]
        for place, keypoint in enumerate(keypoints):
            assert np.linalg.norm(np.subtract(notes[keypoint].at_px, truth[index, place])) < 2
            assert notes[keypoint].author.startswith("DLC_")
    with pytest.raises(RigposeError, match="a network for the keypoints"):
        other = Project.create(tmp_path, task="other", scorer="Ada", keypoints=("paw",))
        find(other, [tmp_path / "dots.mkv"], bundle=GOLDEN)


@pytest.fixture(scope="module")
def rig_and_session(tmp_path_factory):
    """A calibrated rig of two cameras, a recording with losses, and what is truly to be seen in it."""
    folder = tmp_path_factory.mktemp("session")
    write_session(folder / "day1", loss=0.1)
    cameras = enumerate(ring(2, seed=2).cameras)
    rig = CalibratedRig(tuple(replace(camera, name=f"cam_{number}") for number, camera in cameras))
    save_toml(rig, folder / "rig.toml")
    with Recording.open(folder / "day1") as recording:
        sets = recording.frame_sets()
    index = np.array([one.index for one in sets])
    frame = np.array([[NO_FRAME if row is None else row for row in one.payloads] for one in sets])
    points = (
        np.random.default_rng(0).uniform(-60, 60, (1, 2, 3)) + np.linspace(0, 20, len(sets))[:, None, None]
    )
    seen = np.moveaxis(rig.project(points), 0, 1)
    values = np.concatenate([seen, np.full((*seen.shape[:3], 1), 0.9)], axis=-1).astype(np.float32)
    values[frame < 0] = np.nan
    return folder, index, frame, values


def recording_files(folder: Path, index, frame, values) -> list[Path]:
    paths = []
    for camera in (0, 1):
        times = np.full(len(index), NO_TIME_NS)
        about = {"scorer": S, "camera": f"cam_{camera}", "rows": "frame sets"}
        poses = Poses(KEYPOINTS, values[:, camera], frame[:, camera], index, times, about)
        paths.append(folder / f"day1_cam_{camera}{S}.poses.npz")
        save_columns(poses, paths[-1])
    return paths


@pytest.mark.parametrize("by", ["reprojection", "jump"])
def test_a_wrong_view_takes_out_the_instant_in_all_views(project, rig_and_session, tmp_path, by):
    folder, index, frame, clean = rig_and_session
    values = clean.copy()
    complete = np.flatnonzero((frame >= 0).all(axis=1))
    lone = np.flatnonzero((frame[:, 0] >= 0) & (frame[:, 1] < 0))
    wrong = complete[len(complete) // 2]
    values[wrong, 1, 0, :2] += (70, 60)
    paths = recording_files(tmp_path, index, frame, values)
    options = {"calibration": folder / "rig.toml"} if by == "reprojection" else {}
    video = find(project, [folder / "day1"], poses=paths, by=by, **options)["videos"][0]
    assert index[wrong] in video["frames"]
    if by == "reprojection":
        assert video["frames"] == [index[wrong]]
        assert read_record(project)[f"labeled-data/day1_cam_0/img{index[wrong]:04d}.png"].by == by
    for camera in (0, 1):
        for number, name in existing_frames(project, f"day1_cam_{camera}").items():
            picture = read_image(project.root / "labeled-data" / f"day1_cam_{camera}" / name)
            assert number_of(picture) == number
        note = read_notes(project, f"day1_cam_{camera}")[f"img{index[wrong]:04d}.png"]["nose"]
        np.testing.assert_allclose(note.at_px, values[wrong, camera, 0, :2], atol=1e-3)
    assert len(lone)


def test_an_instant_that_lacks_a_camera_is_counted_not_taken(project, rig_and_session, tmp_path):
    folder, index, frame, clean = rig_and_session
    values = clean.copy()
    lone = np.flatnonzero((frame[:, 0] >= 0) & (frame[:, 1] < 0))[0]
    values[lone, 0, 0, 2] = 0.05
    paths = recording_files(tmp_path, index, frame, values)
    video = find(project, [folder / "day1"], poses=paths, by="uncertain")["videos"][0]
    assert (video["found"], video["incomplete"], video["frames"]) == (1, 1, [])


def test_the_project_s_own_recording_is_found_for_its_poses(project, rig_and_session, film, tmp_path):
    folder, index, frame, clean = rig_and_session
    values = clean.copy()
    values[np.flatnonzero((frame >= 0).all(axis=1))[3], 0, 1, 2] = 0.05
    paths = recording_files(tmp_path, index, frame, values)
    project = project.enter_videos(
        {str(film): (0, 64, 0, 48)}
        | {str(folder / "day1" / f"day1_cam_{n}.mkv"): (0, 64, 0, 48) for n in (0, 1)},
        {},
    )
    (video,) = find(project, poses=paths, by="uncertain")["videos"]
    assert video["folders"] == ["day1_cam_0", "day1_cam_1"]
    assert len(video["frames"]) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"by": "best"}, "one of jump, uncertain"),
        ({"poses": []}, "one of the two, found neither"),
        ({"bundle": GOLDEN}, "one of the two, found both"),
        ({"by": "list"}, "numbers with --by list"),
        ({"numbers": [3]}, "numbers with --by list"),
        ({"by": "list", "numbers": [80]}, "frames 0 to 79"),
        ({"by": "reprojection"}, "the rig's calibration"),
        ({"cutoff": 1.0}, "between 0 and 1"),
        ({"epsilon_px": 0.0}, "more than 0"),
        ({"count": 0}, "at least 1"),
    ],
)
def test_options_that_do_not_fit_are_said_and_nothing_written(project, film, tmp_path, options, says):
    values = calm()
    values[30, 1, :2] += 50
    before = files(project)
    with pytest.raises(RigposeError, match=says):
        find(project, [film], **({"poses": [poses_file(tmp_path, values)]} | options))
    assert files(project) == before


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        ("longer", "which has 80 frames, found frame 89"),
        ("keypoints", r"keypoints of the project \(nose, tail\)"),
        ("damaged", "a file of poses"),
        ("of nothing", "poses of one of the videos"),
        ("twice", "one result of film"),
        ("lone", "a recording of several cameras"),
    ],
)
def test_pose_files_that_do_not_serve_are_refused(project, film, tmp_path, rig_and_session, harm, says):
    path = poses_file(tmp_path, calm(90 if harm == "longer" else FRAMES))
    paths, options = [path], {}
    if harm == "keypoints":
        path.write_text(path.read_text().replace("nose", "paw").replace("tail", "hand"))
    if harm == "damaged":
        path.write_text("no poses")
    if harm == "of nothing":
        paths = [path, path.rename(tmp_path / f"filmed{S}.csv")][1:]
    if harm == "twice":
        (tmp_path / f"film{S}_filtered.csv").write_bytes(path.read_bytes())
        paths.append(tmp_path / f"film{S}_filtered.csv")
    if harm == "lone":
        options = {"by": "reprojection", "calibration": rig_and_session[0] / "rig.toml"}
    before = files(project)
    with pytest.raises(RigposeError, match=says):
        find(project, [film], poses=paths, **options)
    assert files(project) == before


def test_rows_of_a_recording_must_say_their_frame_sets(project, rig_and_session, tmp_path):
    folder, _, _, values = rig_and_session
    paths = [poses_file(tmp_path, np.nan_to_num(values[:, n]), video=f"day1_cam_{n}") for n in (0, 1)]
    with pytest.raises(RigposeError, match="column file"):
        find(project, [folder / "day1"], poses=paths)


def test_a_disk_that_runs_full_leaves_no_images_without_notes(project, film, tmp_path, monkeypatch):
    values = calm()
    values[30, 1, :2] += 50

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("training.refinement.find.write_notes", full)
    with pytest.raises(RigposeError, match="room for the machine's labels, found No space left"):
        find(project, [film], poses=[poses_file(tmp_path, values)])
    assert existing_frames(project, "film") == {}


@pytest.fixture
def found(project, film, tmp_path) -> Project:
    """Four frames found in a video, waiting for a person."""
    find(project, [film], poses=[poses_file(tmp_path, calm())], by="list", numbers=[3, 4, 5, 6])
    return project


def review(project: Project, names: list[str], *, leave: tuple[str, ...] = ()) -> None:
    """What the labelling page does: confirmed points move to CollectedData, their notes say by whom."""
    notes = read_notes(project, "film")
    points = np.full((len(names), 2, 2), np.nan)
    for row, name in enumerate(names):
        for place, keypoint in enumerate(KEYPOINTS):
            if keypoint not in leave:
                points[row, place] = notes[name][keypoint].at_px
                notes[name][keypoint] = PointNote(Origin.MODEL, author="Ada")
    write_labels(project, "film", names, points)
    write_notes(project, "film", notes)


def test_reviewed_frames_are_taken_in_and_the_others_wait(found):
    review(found, ["img0003.png", "img0004.png"])
    (found.root / "labeled-data" / "film" / "img0006.png").unlink()
    measured = merge(found)
    base = "labeled-data/film/"
    assert measured == {
        "iteration": 1, "reviewed": [base + "img0003.png", base + "img0004.png"],
        "unreviewed": [base + "img0005.png"], "unlabelled": [], "removed": [base + "img0006.png"],
    }  # fmt: skip
    assert read_record(found)[base + "img0003.png"].merged == 1
    with pytest.raises(RigposeError, match="none, 1 wait for a person"):
        merge(found)
    assert set(read_labels(found).images) == {base + "img0003.png", base + "img0004.png"}
    review_all = ["img0003.png", "img0004.png", "img0005.png"]
    notes = read_notes(found, "film")
    points = np.full((3, 2, 2), 9.0)
    notes.pop("img0005.png")  # every point was moved by hand: clicked
    write_labels(found, "film", review_all, points)
    write_notes(found, "film", notes)
    assert merge(found)["iteration"] == 2


def test_half_a_review_is_none(found):
    review(found, ["img0003.png"], leave=("tail",))
    before = files(found)
    with pytest.raises(RigposeError, match="none, 4 wait for a person"):
        merge(found)
    assert files(found) == before


def test_a_frame_on_which_nothing_is_to_be_seen_is_reviewed_by_an_empty_row(found):
    write_labels(found, "film", ["img0003.png"], np.full((1, 2, 2), np.nan))
    notes = read_notes(found, "film")
    write_notes(found, "film", {name: note for name, note in notes.items() if name != "img0003.png"})
    assert merge(found)["reviewed"] == ["labeled-data/film/img0003.png"]


def test_merging_what_was_never_found_is_refused(project):
    before = files(project)
    with pytest.raises(RigposeError, match="rigpose refine find"):
        merge(project)
    assert files(project) == before


def test_only_the_line_of_the_iteration_changes(found):
    path = found.root / "config.yaml"
    text = "# mine\n" + path.read_text().replace("skeleton: []", "skeleton: []  # none yet\n\n")
    path.write_text(text)
    review(found, ["img0003.png"])
    merge(found)
    assert path.read_text() == text.replace("iteration: 0", "iteration: 1")


@pytest.mark.parametrize("text", ["{}", "[]", "no json", '{"schema_version": 9, "images": {}}'])
def test_a_damaged_record_is_told(found, film, tmp_path, text):
    (found.root / "rigpose_refine.json").write_text(text)
    for act in (merge, lambda it: find(it, [film], poses=[tmp_path / f"film{S}.csv"])):
        with pytest.raises(RigposeError, match=r"rigpose_refine\.json"):
            act(found)


@pytest.mark.data
def test_a_real_config_keeps_its_comments(data_dir, tmp_path):
    source = data_dir / "openfield-Pranav-2018-10-30" / "config.yaml"
    (tmp_path / "config.yaml").write_bytes(source.read_bytes())
    Project.open(tmp_path).raise_iteration()
    after = (tmp_path / "config.yaml").read_text()
    assert after == source.read_text().replace("iteration: 0", "iteration: 1")
