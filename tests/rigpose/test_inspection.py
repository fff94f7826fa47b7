"""`rigpose inspect`: every kind of file that rigpose writes, and the chain as far as the file holds it."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from acquisition.errors import RigposeError
from acquisition.proof.report import write_report
from acquisition.recordings.pack import pack
from acquisition.simulation.scene import write_scene
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.formats.anipose import calibration_hash, save_toml
from calibration.formats.convert import convert
from deploy.bundles.bundle import Bundle
from deploy.poses_io.anipose_csv import save_anipose_csv
from deploy.poses_io.columns import save_columns
from deploy.poses_io.deeplabcut_3d import save_deeplabcut_3d
from deploy.poses_io.pose_table import PoseTableWriter
from deploy.poses_io.poses import Poses
from deploy.stream.keys import new_pair
from rigpose.chain import describe
from tests.acquisition.sessions import rewrite_packets, write_session
from tests.rigpose.calling import run
from tests.training.colour_finder import settings
from tests.training.dots import dot_project
from training.files import write_json
from training.projects.splits import Split

GOLDEN = Path(__file__).parents[1] / "deploy" / "golden" / "schema1.bundle"


def kind(path: Path) -> str:
    return str(describe(path)["kind"])


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording, its poses, filtered and not, and what is measured on them."""
    folder = tmp_path_factory.mktemp("analysed")
    write_session(folder / "day1", pulses=20, loss=0.1)
    assert run("analyze", GOLDEN, folder / "day1", "-o", folder / "poses", "--json", folder / "a.json") == 0
    poses = sorted((folder / "poses").glob("*cam_0*.npz"))[0]
    assert run("filter", poses, poses.with_name(poses.name.replace(".poses.npz", ".csv"))) == 0
    return folder


@pytest.mark.long
def test_poses_tell_their_chain_also_where_only_the_meta_file_does(analysed: Path) -> None:
    bundle = Bundle.load(GOLDEN)
    link = f"bundle {bundle.name} (hash {bundle.sha256[:12]}), "
    for ending in (".poses.npz", ".csv", ".h5", "_filtered.poses.npz", "_filtered.csv"):
        (path,) = [
            each for each in (analysed / "poses").glob(f"*cam_0*{ending}")
            if "_filtered" in ending or "_filtered" not in each.name
        ]  # fmt: skip
        said = describe(path)
        assert (said["kind"], said["facts"]["rows"]) == ("file of poses", 20)
        assert said["chain"][0].startswith(link)
        assert said["chain"][1:] == [
            "recording day1, camera cam_0", f"video {analysed / 'day1' / 'day1_cam_0.mkv'}"
        ]  # fmt: skip
        assert said["facts"].get("chain told by", "").endswith(".meta.json") == (not ending.endswith(".npz"))
        assert said["facts"]["rows are"] == "frame sets"
    filtered = next((analysed / "poses").glob("*_filtered.poses.npz"))
    assert json.loads(describe(filtered)["facts"]["filtered"])["kind"] == "median"


@pytest.mark.long
def test_a_csv_that_was_changed_since_is_not_told_by_the_meta_file(analysed: Path, tmp_path: Path) -> None:
    for path in (analysed / "poses").glob("*cam_1*"):
        shutil.copy(path, tmp_path)
    (table,) = tmp_path.glob("*.csv")
    table.write_text(table.read_text() + "\n")
    assert describe(table)["chain"] == []


@pytest.mark.long
def test_files_of_an_analysis(analysed: Path) -> None:
    said = describe(next((analysed / "poses").glob("*cam_0*.meta.json")))
    assert said["kind"] == "meta file of poses"
    assert said["facts"]["state"] == "done"
    assert said["facts"]["rows"] == "20 frame sets"
    assert Bundle.load(GOLDEN).sha256[:12] in said["chain"][0]
    assert said["chain"][1] == "recording day1, camera cam_0"
    (status,) = (analysed / "poses").glob("analyze_*.json")
    said = describe(status)
    assert (said["kind"], said["facts"]["videos"]) == ("status file of an analysis", "2 done")
    assert describe(analysed / "poses") == {**said, "kind": "folder of poses"}
    assert kind(analysed / "a.json") == "figures of an analysis"
    (execution,) = (analysed / "poses").glob(".analyze_*/execution.json")
    assert kind(execution) == "settled execution of an analysis"


def test_an_analysis_that_failed(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"no video")
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.zeros((48, 64), np.uint8))
    inputs = [tmp_path / "v.mp4", tmp_path / "images"]
    assert run("analyze", GOLDEN, *inputs, "-o", tmp_path / "poses") == 1
    said = describe(tmp_path / "poses")
    assert said["facts"]["videos"] == "1 done, 1 failed"
    assert "v.mp4: expected a video" in said["facts"]["not done"]
    assert kind(next((tmp_path / "poses").rglob("*.failed.json"))) == "note of an analysis that failed"


@pytest.mark.long
def test_files_of_a_recording(analysed: Path, tmp_path: Path) -> None:
    session = analysed / "day1"
    write_report(session)
    kinds = {
        "session.json": "recording", "events.jsonl": "table of events", "day1_cam_0.frames": "frame table",
        "day1_cam_1.mkv": "video", "synchronisation.json": "synchronisation report",
        "synchronisation.html": "page", "synchronisation.svg": "picture",
    }  # fmt: skip
    assert {name: kind(session / name) for name in kinds} == kinds
    assert describe(session / "day1_cam_1.mkv")["chain"] == ["recording day1, camera cam_1"]
    assert describe(session / "synchronisation.json")["chain"] == ["recording day1"]
    assert describe(session / "day1_cam_0.frames")["facts"]["frames lost"] > 0
    pack(session, tmp_path / "packed")
    assert kind(tmp_path / "packed") == "list of packed videos"
    packed = describe(tmp_path / "packed" / "day1_cam_0.mp4")
    assert packed["chain"] == ["recording day1, camera cam_0, at a constant rate"]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda video, table: video.unlink(),
         "cam_1: {n} of {n} pictures do not decode, the first of them number 0"),
        (lambda video, table: rewrite_packets(video, range(30, 100), None), "cam_1: "),
        (lambda video, table: table.unlink(), "cam_1: its frame table has 0 of {n} recorded frames"),
        (lambda video, table: table.write_bytes(table.read_bytes()[: -48 * 5]),
         "cam_1: its frame table has {less} of {n} recorded frames"),
        (lambda video, table: (video.unlink(), table.unlink()),
         "cam_1: its frame table has 0 of {n} recorded frames"),
    ],
    ids=["no video", "half a video", "no table", "less of a table", "nothing"],
)  # fmt: skip
def test_what_is_gone_of_a_recording_is_a_gap(tmp_path: Path, spoil, says: str) -> None:
    line = write_session(tmp_path / "day1", pulses=60)
    assert describe(tmp_path / "day1")["facts"]["gaps"] == "none"
    n = sum(stamp.camera == "cam_1" for stamp, _ in line.frames)
    spoil(*(tmp_path / "day1" / f"day1_cam_1{ending}" for ending in (".mkv", ".frames")))
    gaps = describe(tmp_path / "day1")["facts"]["gaps"]
    assert gaps.startswith(says.format(n=n, less=n - 5)) and "cam_0" not in gaps and ";" not in gaps


def test_a_table_of_live_poses_names_bundle_and_calibration(tmp_path: Path) -> None:
    write_session(tmp_path / "day1", pulses=5)
    network = {"bundle": "mouse", "bundle_sha256": "ab" * 32, "artifact": "int8.tflite", "runtime": "litert"}
    facts = {"network": network, "calibration_sha256": "cd" * 32}
    writer = PoseTableWriter(tmp_path / "day1", "stream", ("cam_0", "cam_1"), ("nose",), facts)
    writer.close()
    said = describe(tmp_path / "day1" / "poses" / "stream.poses")
    assert said["kind"] == "table of live poses"
    assert said["chain"] == [
        "bundle mouse (hash abababababab), int8.tflite on litert", "calibration (hash cdcdcdcdcdcd)",
        "recording day1",
    ]  # fmt: skip
    assert kind(tmp_path / "day1" / "poses") == "part of a recording"


def test_calibrations_and_what_is_made_with_them(tmp_path: Path) -> None:
    eye = np.diag([50.0, 50, 1])
    cameras = [
        CameraModel(f"cam_{n}", (64, 48), eye, np.zeros(5), np.zeros(3), np.array([10.0 * n, 0, 500]))
        for n in range(2)
    ]
    details = {
        "cameras": {camera.name: {"size_px": [64, 48], "serial": f"S{camera.name}"} for camera in cameras},
        "board": {"kind": "checkerboard", "inner_corners": [5, 4], "square_mm": 20.0},
        "report": {"verdict": "PASS", "rms_px": 0.2, "frame_sets": 40},
    }
    rig = CalibratedRig(tuple(cameras))
    save_toml(rig, tmp_path / "c.toml", details)
    digits = calibration_hash(tmp_path / "c.toml")[:12]
    said = describe(tmp_path / "c.toml")
    assert (said["kind"], said["facts"]["verdict"]) == ("calibration", "PASS")
    assert said["chain"][0] == "camera cam_0: serial number Scam_0"
    said = describe(tmp_path / "c.json")
    assert said["kind"] == "details of a calibration"
    assert said["facts"]["board"] == "checkerboard, squares of 20 mm"
    assert said["chain"][0] == f"calibration (hash {digits})"
    convert(tmp_path / "c.toml", tmp_path / "c.yaml")
    assert kind(tmp_path / "c.yaml") == "calibration in OpenCV's form"
    points = np.random.default_rng(0).uniform(-20, 20, (6, 1, 3))
    files = []
    for name, px in zip(rig.names, rig.project(points), strict=True):
        files.append(tmp_path / f"v_{name}.poses.npz")
        values = np.concatenate([px, np.ones((6, 1, 1))], axis=-1)
        save_columns(Poses.of_video(("nose",), values), files[-1])
    words = ["triangulate", tmp_path / "c.toml", *files, "-o", tmp_path / "3d.csv"]
    assert run(*words, "--json", tmp_path / "figures.json") == 0
    said = describe(tmp_path / "3d.csv")
    assert (said["kind"], said["facts"]["points"]) == ("file of 3D points", "6 of 6")
    said = describe(tmp_path / "figures.json")
    assert said["kind"] == "figures of a triangulation"
    assert said["chain"] == [
        f"calibration (hash {digits})", f"poses of camera cam_0: {files[0]}",
        f"poses of camera cam_1: {files[1]}",
    ]  # fmt: skip


def test_points_in_deeplabcuts_form_labels_bones_and_angles(tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(-20, 20, (6, 3, 11)).astype(np.float32)
    names, index = ("a", "b", "c"), np.arange(6)
    for ending in (".csv", ".h5"):
        save_deeplabcut_3d(tmp_path / f"x_DLC_3D{ending}", names, points, index)
        said = describe(tmp_path / f"x_DLC_3D{ending}")
        assert said["kind"] == "file of 3D points in DeepLabCut's form"
        assert (said["facts"]["rows"], said["facts"]["points"]) == (6, 18)
    save_anipose_csv(tmp_path / "3d.csv", names, points, index)
    (tmp_path / "config.yaml").write_text("skeleton: [[a, b], [b, c]]")
    assert run("skeleton", tmp_path / "3d.csv", "--skeleton", tmp_path / "config.yaml") == 0
    for ending in (".csv", ".h5"):
        said = describe(tmp_path / f"3d_skeleton{ending}")
        assert (said["kind"], said["facts"]["rows"]) == ("file of bones", 6)
        assert kind(tmp_path / f"3d_angles{ending}") == "file of angles at keypoints"


def test_files_of_a_project_and_a_run(tmp_path: Path) -> None:
    project = dot_project(tmp_path, count=4)
    for path in (project.root, project.root / "config.yaml", project.root / "rigpose.yaml"):
        assert kind(path) == "labelled project"
    for ending in (".csv", ".h5"):
        said = describe(project.root / "labeled-data" / "a" / f"CollectedData_Ada{ending}")
        assert (said["kind"], said["facts"]["rows"]) == ("file of labels", 4)
    (tmp_path / "run").mkdir()
    write_json(tmp_path / "run" / "settings.json", settings().model_dump(mode="json"))
    (tmp_path / "run" / "weights.safetensors").write_bytes(b"")
    Split("fold", ("a",), ("b", "c")).save(tmp_path / "run" / "split.json")
    assert kind(tmp_path / "run" / "settings.json") == kind(tmp_path / "run") == "training run"
    assert kind(tmp_path / "run" / "weights.safetensors") == "part of a training run"
    assert describe(tmp_path / "run" / "split.json")["facts"] == {"name": "fold", "train": 1, "test": 2}


def test_parts_of_a_bundle_have_its_chain() -> None:
    whole = describe(GOLDEN)
    for name in ("manifest.json", "manifest.sha256", "int8.tflite", "check"):
        said = describe(GOLDEN / name)
        assert said["kind"] == ("model bundle" if name == "manifest.json" else "part of a model bundle")
        assert said["chain"] == whole["chain"]


def test_settings_files_and_keys(tmp_path: Path) -> None:
    rig = write_scene(tmp_path / "scene", kind="checkerboard", seed=1, cameras=2, size=(96, 72), frame_sets=5)
    said = describe(rig)
    assert (said["kind"], said["facts"]["cameras"]) == ("rig file", "cam_0, cam_1")
    content = yaml.safe_load(rig.read_text())
    rig.write_text(yaml.safe_dump({**content, "calibration": "none.toml"}))
    assert describe(rig)["chain"][-1].endswith("none.toml, which is not there yet")
    assert kind(tmp_path / "scene" / "scene.yaml") == "scene of a simulated rig"
    assert kind(tmp_path / "scene" / "board.yaml") == "calibration board"
    (tmp_path / "other.yaml").write_text("a: 1")
    with pytest.raises(RigposeError, match="another YAML file"):
        describe(tmp_path / "other.yaml")
    public, secret = new_pair(tmp_path / "keys", "server")
    assert kind(tmp_path / "keys") == "folder of keys"
    assert kind(public) == "public key of the stream"
    said = describe(secret)
    assert said["kind"].startswith("secret key")
    assert said["facts"] == describe(public)["facts"]  # and nothing of the secret


def test_what_is_not_ours_or_damaged_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contents = {
        "notes.txt": b"", "list.json": b"[1, 2]", "torn.json": b'{"format": "rigp', "other.json": b"{}",
        "half.json": b'{"format": "rigpose analysis", "videos": [{}]}', "a.npz": b"PK", "a.slp": b"no",
        "a.nwb": b"no", "a.h5": b"no", "a.csv": b"\xff\x00", "a.mkv": b"no", "a.frames": b"no",
        "a.toml": b"= 1", "a.pub": b"no", "a.yaml": b"\t", "x_skeleton.h5": b"no", "CollectedData_a.csv": b"",
        "a.poses": b"no", "a.poses.npz": b"no", "rigpose_points.json": b'{"images": {"a": 1}}',
    }  # fmt: skip
    whole = io.BytesIO()
    np.savez(whole, pose2d_index=np.arange(1000))
    contents |= {"torn.npz": whole.getvalue()[:900], "x_skeleton.csv": b"\xff", "learning_curve.csv": b"\xff"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        assert run("inspect", tmp_path / name) == 2, name
        said = capsys.readouterr().err
        assert said.count("\n") == 1, said
        assert name in said
