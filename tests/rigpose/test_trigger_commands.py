"""`rigpose trigger flash` and `test`, and `record` on a rig with a real serial trigger."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time

import pytest
import yaml

from acquisition.recordings.events import read_events
from acquisition.simulation.scene import write_atomically, write_scene
from tests.rigpose.calling import run

pytestmark = [pytest.mark.equipment, pytest.mark.long]


@pytest.fixture
def plugged_in(board):
    with board.plug_in(uno=True) as running:
        yield running


def rig_with_trigger(folder, port):
    """A rig file: two simulated cameras, and the trigger at `port`."""
    rig = write_scene(folder, kind="animal", seed=1, frame_sets=10, cameras=2, size=(96, 64))
    content = yaml.safe_load(rig.read_text())
    content["trigger"]["port"] = port
    rig.write_text(yaml.safe_dump(content, sort_keys=False))
    return rig


def reset_after(board, pulses):
    """A thread that resets a board in the middle of its pulses."""

    def reset():
        while board.pulses() < pulses:
            time.sleep(0.05)
        board.tell("reset")

    thread = threading.Thread(target=reset, daemon=True)
    thread.start()
    return thread


def test_a_new_board_is_flashed_through_its_bootloader_and_pulses(board, tmp_path, capsys):
    """Arduino's own bootloader, avrdude, our firmware: all of them as on a board."""
    if shutil.which("avrdude") is None:
        pytest.skip("no avrdude: apt-get install avrdude")
    with board.plug_in_new() as new:
        assert run("trigger", "flash", new.port, "--json", tmp_path / "flash.json") == 0
        flashed = json.loads((tmp_path / "flash.json").read_text())
        assert flashed["version"] == 1 and 5_000 < flashed["size_bytes"] < 30_000
        assert "firmware version 1" in capsys.readouterr().out
        assert run("trigger", "test", new.port, "--seconds", "1", "--json", tmp_path / "test.json") == 0
        tested = json.loads((tmp_path / "test.json").read_text())
        assert tested["epoch"] > flashed["epoch"]  # to open the port is to boot the board
        assert new.pulses() == tested["pulses"] > 50


def test_a_good_board_passes_and_sees_its_own_pulses(plugged_in, tmp_path, capsys):
    plugged_in.tell("wire")
    assert (
        run("trigger", "test", plugged_in.port, "--rate", "40", "--seconds", "2", "--json", tmp_path / "t")
        == 0
    )
    found = json.loads((tmp_path / "t").read_text())
    assert found["pulses"] == found["reported"] == plugged_in.pulses()
    assert found["period_cycles"] == 400_000
    assert (found["missing"], found["faults"]) == (0, [])
    assert found["edges"] == found["bridged"] == 2 * found["pulses"]
    assert set(found["jitter_ms"]) == {"p50", "p95", "max"}
    assert "PASS" in capsys.readouterr().out


def test_a_board_that_is_reset_meanwhile_fails(plugged_in, tmp_path, capsys):
    resetting = reset_after(plugged_in, 20)
    assert run("trigger", "test", plugged_in.port, "--seconds", "30", "--json", tmp_path / "t") == 1
    resetting.join()
    assert "the trigger was reset" in json.loads((tmp_path / "t").read_text())["faults"][0]
    assert "FAIL: the trigger was reset" in capsys.readouterr().out


def test_a_rig_with_a_serial_trigger_records_what_it_tells(plugged_in, tmp_path):
    """Simulated cameras hear nothing of a serial trigger: the session holds its events, and no frame."""
    rig = rig_with_trigger(tmp_path / "scene", plugged_in.port)
    plugged_in.tell("wire")
    assert run("record", rig, "-o", tmp_path / "day1", "--seconds", "2", "--json", tmp_path / "r.json") == 0
    session = json.loads((tmp_path / "day1" / "session.json").read_text())
    assert session["ended"]["how"] == "time is over"
    assert session["ended"]["pulses"] == plugged_in.pulses() > 10
    assert session["rig"]["trigger"]["port"] == plugged_in.port
    events = read_events(tmp_path / "day1")
    (started,) = [event for event in events if event["kind"] == "trigger started"]
    assert (
        started["t_ns"]
        == session["pulses"]["first_exposure_ns"] - 500 * session["rig"]["trigger"]["exposure_us"]
    )
    assert started["period_ns"] == session["pulses"]["period_ns"]
    edges = [event for event in events if event["kind"] == "edge"]
    assert len(edges) >= 2 * plugged_in.pulses() - 1
    assert {event["epoch"] for event in edges} == {started["epoch"]}
    assert [event for event in events if event["kind"] == "pulse"]


@pytest.mark.alone
def test_cameras_wired_to_the_board_make_whole_frame_sets(plugged_in, tmp_path):
    """The simulated cameras expose at the board's own pulses, as its pin gave them."""
    rig = rig_with_trigger(tmp_path / "scene", plugged_in.port)
    period_ns = round(1e9 / yaml.safe_load(rig.read_text())["trigger"]["rate_hz"])

    def wire_up():
        while plugged_in.pulses() == 0:
            time.sleep(0.002)
        pulses = {"t0_ns": plugged_in.first_pulse_ns(), "period_ns": period_ns, "holder": os.getpid()}
        wire = tmp_path / "scene" / "world" / "trigger.json"
        write_atomically(wire, json.dumps({**pulses, "last": None}).encode())
        seen = 0
        while (now := plugged_in.pulses()) != seen:  # until the board stops
            seen = now
            time.sleep(3e-9 * period_ns)
        write_atomically(wire, json.dumps({**pulses, "last": seen - 1}).encode())

    wiring = threading.Thread(target=wire_up, daemon=True)
    wiring.start()
    assert run("record", rig, "-o", tmp_path / "day1", "--seconds", "4", "--json", tmp_path / "r.json") == 0
    wiring.join()
    figures = json.loads((tmp_path / "r.json").read_text())
    assert figures["complete_sets"] > 0.9 * figures["frame_sets"] > 50
    session = json.loads((tmp_path / "day1" / "session.json").read_text())
    assert abs(figures["frame_sets"] - session["ended"]["pulses"]) <= 0.1 * figures["frame_sets"]


def test_a_board_that_is_reset_counts_anew_and_the_recording_says_so(plugged_in, tmp_path, capsys):
    rig = rig_with_trigger(tmp_path / "scene", plugged_in.port)

    resetting = reset_after(plugged_in, 20)
    run("record", rig, "-o", tmp_path / "day1", "--seconds", "8")
    resetting.join()
    assert "meanwhile: the trigger was reset" in capsys.readouterr().out
    session = json.loads((tmp_path / "day1" / "session.json").read_text())
    first, second = session["trains"]
    assert first["first_index"] == 0
    assert second["first_index"] > first["pulses"] >= 20
    events = read_events(tmp_path / "day1")
    assert [event["kind"] for event in events].count("trigger counts anew") == 1


def test_ports_that_are_no_trigger(tmp_path, capsys):
    assert run("trigger", "test", "/dev/ttyACM99") == 2
    assert "expected a serial port, found none of that name" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert run("trigger", "test", tmp_path / "file") == 2
    assert "expected a serial port, found something else" in capsys.readouterr().err
    if os.geteuid() != 0:
        assert run("trigger", "test", "/dev/tty0") == 2
    assert run("trigger", "test", "/dev/ttyACM99", "--seconds", "0") == 2
    assert run("trigger", "flash", "/dev/ttyACM99") == 2
    assert "found none of that name" in capsys.readouterr().err.splitlines()[-1]


def test_a_board_that_does_not_take_the_firmware_is_told_in_one_line(tmp_path, capsys):
    if shutil.which("avrdude") is None:
        pytest.skip("no avrdude: apt-get install avrdude")
    (tmp_path / "file").write_text("")
    assert run("trigger", "flash", tmp_path / "file") == 2
    (one,) = capsys.readouterr().err.strip().splitlines()
    assert "expected avrdude to succeed, found avrdude" in one and "--old-bootloader" in one
