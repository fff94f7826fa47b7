"""`rigpose doctor` as a person runs it."""

from __future__ import annotations

import json

from acquisition.simulation.scene import write_scene
from tests.rigpose import calling


def rig(tmp_path, **sections):
    return write_scene(
        tmp_path / "scene", kind="animal", seed=1, frame_sets=10, cameras=2, size=(96, 64), rig=sections
    )


def test_a_rig_that_is_all_there(tmp_path, capsys):
    assert calling.run("doctor", rig(tmp_path), "--json", tmp_path / "said.json") == 0
    said = json.loads((tmp_path / "said.json").read_text())
    assert said["counts"]["broken"] == 0 and sum(said["counts"].values()) == len(said["findings"])
    assert all(one["remedy"] for one in said["findings"] if one["state"] != "ok")
    out = capsys.readouterr().out
    assert "2 cameras, codec x264" in out and "0 broken" in out


def test_what_a_rig_asks_for_and_has_not(tmp_path, capsys):
    path = rig(tmp_path, recording={"codec": "v4l2"}, calibration="calibration.toml")
    path.write_text(path.read_text().replace("port: sim://", "port: /dev/no-such-port #"))
    assert calling.run("doctor", path) == 1
    said = capsys.readouterr()
    assert "This machine has x264" in said.out and "rigpose calibrate" in said.out
    assert "/dev/no-such-port" in said.out
    assert len(said.err.strip().splitlines()) == 1


def test_a_rig_file_with_a_mistake_is_one_of_the_lines(tmp_path, capsys):
    path = rig(tmp_path)
    path.write_text(path.read_text() + "cammeras: 3\n")
    assert calling.run("doctor", path) == 1
    assert "Did you mean 'cameras'?" in capsys.readouterr().out
