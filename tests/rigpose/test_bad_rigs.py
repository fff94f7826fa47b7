"""Rigs as they should not be: one clear line, exit code 2, nothing written and nothing left running."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
import yaml

from acquisition.simulation.scene import write_scene
from tests.acquisition.trigger.test_serial_trigger import OtherDevice
from tests.rigpose.calling import run
from tests.training.films import write_film

GOLDEN = Path(__file__).parents[1] / "deploy" / "golden" / "schema1.bundle"


@pytest.fixture
def rig_file(tmp_path: Path) -> Path:
    return write_scene(
        tmp_path / "scene", kind="animal", seed=1, cameras=2, size=(96, 72), frame_sets=10
    ).resolve()


def changed(path: Path, **sections: object) -> Path:
    """The rig file with sections exchanged, None: without."""
    content = {**yaml.safe_load(path.read_text()), **sections}
    content = {name: section for name, section in content.items() if section is not None}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def refused(capsys: pytest.CaptureFixture[str], folder: Path, *words: object) -> str:
    """The one line with which a command ends, having left nothing: no file, no process."""
    before = sorted(path for path in folder.rglob("*") if "world" not in path.parts)
    assert run(*words) == 2
    said = capsys.readouterr().err
    assert said.startswith("rigpose: error: ") and said.count("\n") == 1, said
    assert multiprocessing.active_children() == []
    assert sorted(path for path in folder.rglob("*") if "world" not in path.parts) == before
    return said


@pytest.mark.parametrize("command", ["record", "live"])
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda rig: {"cameras": {name: {"uri": "aravis://GV01"} for name in ("a", "b")}},
         "cameras 'a' and 'b' have one address, aravis://GV01"),
        (lambda rig: {"cameras": {name: {"uri": "rtsp://me:secret@host/1"} for name in "ab"}},
         "cameras 'a' and 'b' have one address, rtsp://me:"),
        (lambda rig: {"sync": {"tolerance_ms": 500 / rig["trigger"]["rate_hz"]}},
         "must be smaller than half a period, 16.6667 ms"),
        (lambda rig: {"sync": {"tolerance_ms": 100}}, "tolerance_ms 100 must be smaller"),
    ],
    ids=["address", "passwords", "half a period", "more"],
)  # fmt: skip
def test_a_rig_file_that_cannot_be(tmp_path, rig_file, capsys, command, spoil, says) -> None:
    changed(rig_file, **spoil(yaml.safe_load(rig_file.read_text())))
    more = ["-o", tmp_path / "day1"] if command == "record" else ["--model", GOLDEN]
    said = refused(capsys, tmp_path, command, rig_file, "--seconds", 1, *more)
    assert says in said and "secret" not in said


@pytest.mark.parametrize("seconds", ["inf", "nan", "1e300", "0"])
def test_a_time_that_is_none(tmp_path, rig_file, capsys, seconds) -> None:
    """It would end in the midst of the run, when the end is looked for."""
    for words in (
        ["record", rig_file, "-o", tmp_path / "day1", "--seconds", seconds],
        ["record", rig_file, "-o", tmp_path / "day1", "--minutes", seconds],
        ["live", rig_file, "--model", GOLDEN, "--seconds", seconds],
        ["preview", rig_file, "--seconds", seconds],
        ["watch", "tcp://127.0.0.1:5555", "--seconds", seconds],
        ["lsl", "tcp://127.0.0.1:5555", "--seconds", seconds],
    ):
        assert "expected a time above 0" in refused(capsys, tmp_path, *words), words


@pytest.mark.long
def test_a_tolerance_of_cameras_that_run_freely(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody knows their period before they are open."""
    cameras = {name: {"uri": f"file://{write_film(tmp_path / f'{name}.mp4', 30)}"} for name in ("a", "b")}
    rig = tmp_path / "rig.yaml"
    rig.write_text(yaml.safe_dump({"name": "free", "cameras": cameras, "sync": {"tolerance_ms": 17}}))
    said = refused(capsys, tmp_path, "record", rig, "-o", tmp_path / "day1", "--seconds", 1)
    assert "sync.tolerance_ms: expected less than half a period of camera 'a', 16.6667 ms, found 17" in said


@pytest.mark.long
def test_a_feature_file_for_another_model(tmp_path: Path, rig_file: Path, capsys) -> None:
    (tmp_path / "scene" / "other.yaml").write_text("GainRaw: 100\n")
    cameras = yaml.safe_load(rig_file.read_text())["cameras"]
    cameras["cam_1"]["settings"] = "other.yaml"
    changed(rig_file, cameras=cameras)
    said = refused(capsys, tmp_path, "record", rig_file, "-o", tmp_path / "day1", "--seconds", 1)
    assert "camera 'cam_1'" in said and "GainRaw" in said


def test_a_rate_that_leaves_no_room_for_the_exposure(tmp_path: Path, rig_file: Path, capsys) -> None:
    trigger = yaml.safe_load(rig_file.read_text())["trigger"]
    changed(rig_file, trigger={**trigger, "rate_hz": 900}, sync={"tolerance_ms": 0.2})
    said = refused(capsys, tmp_path, "record", rig_file, "-o", tmp_path / "day1", "--seconds", 1)
    assert "rate_hz: 900" in said


@pytest.mark.long  # a device that answers nonsense is waited for
@pytest.mark.parametrize(
    ("greeting", "answer", "says"),
    [
        (b"Grbl 1.1h ['$' for help]\r\n", b"ok\r\n", "another device, which says 'Grbl 1.1h"),
        (b"", b"= NUMBER 5 rigpose-trigger 2 f42400", "firmware of version 1, found version 2"),
    ],
    ids=["no trigger", "another version"],
)
def test_a_port_that_is_no_trigger_of_ours(tmp_path, rig_file, capsys, greeting, answer, says) -> None:
    with OtherDevice(greeting, answer) as device:
        trigger = yaml.safe_load(rig_file.read_text())["trigger"]
        changed(rig_file, trigger={**trigger, "port": str(device.port)})
        said = refused(capsys, tmp_path, "record", rig_file, "-o", tmp_path / "day1", "--seconds", 1)
    assert says in said and "rigpose trigger flash" in said


@pytest.mark.parametrize("output", ["there", "rig.yaml", "/proc/day1"])
def test_an_output_that_exists_or_cannot_be_written(tmp_path, rig_file, capsys, output) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "notes.txt").write_text("mine")
    place = rig_file if output == "rig.yaml" else tmp_path / output
    for words in (
        ["record", rig_file, "-o", place],
        ["live", rig_file, "--model", GOLDEN, "--record", place],
    ):
        said = refused(capsys, tmp_path, *words, "--seconds", 1)
        assert str(place) in said
        assert ("can be written" if output.startswith("/proc") else "expected a new folder") in said
