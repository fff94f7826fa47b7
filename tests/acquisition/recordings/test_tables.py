"""Frame and event tables, cut off at any byte."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from acquisition.frame_stamp import NO_DEVICE_STAMP, FrameStamp
from acquisition.recordings.events import EventsWriter, read_events
from acquisition.recordings.frame_table import FRAME_DTYPE, FrameTableWriter, read_frame_table, stamp_of
from acquisition.recordings.session import Session
from acquisition.rig import RigSettings

STAMPS = [
    FrameStamp("cam", i, NO_DEVICE_STAMP if i else 5, 10**15 + i, 3, 10**15 + 2 * i, i % 2) for i in range(7)
]


def test_rows_come_back_as_they_were(tmp_path):
    writer = FrameTableWriter(tmp_path / "t.frames", "cam")
    for stamp in STAMPS:
        writer.append(stamp)
    table = read_frame_table(tmp_path / "t.frames")  # before it is closed: a kill loses no row
    writer.close()
    assert [stamp_of("cam", row) for row in table] == STAMPS
    assert table["t_exposure_ns"].dtype == "int64"
    with pytest.raises(FileExistsError):
        FrameTableWriter(tmp_path / "t.frames", "cam")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 7 * FRAME_DTYPE.itemsize))
def test_table_cut_at_any_byte_is_read_to_its_last_whole_row(tmp_path, cut):
    path = tmp_path / "t.frames"
    path.unlink(missing_ok=True)
    writer = FrameTableWriter(path, "cam")
    for stamp in STAMPS:
        writer.append(stamp)
    writer.close()
    with path.open("r+b") as stream:
        stream.truncate(512 + cut)
    table = read_frame_table(path)
    assert [stamp_of("cam", row) for row in table] == STAMPS[: cut // FRAME_DTYPE.itemsize]


@pytest.mark.parametrize("content", [b"", b"{}" + b" " * 600, b"seq,time\n1,2\n", b"\xff" * 1000])
def test_other_file_is_no_frame_table(tmp_path, content):
    (tmp_path / "t.frames").write_bytes(content)
    with pytest.raises(RigposeError, match="expected a rigpose frame table"):
        read_frame_table(tmp_path / "t.frames")


def test_missing_table_is_named(tmp_path):
    with pytest.raises(RigposeError, match="No such file"):
        read_frame_table(tmp_path / "none.frames")


def test_events_survive_a_cut_in_the_last_line(tmp_path):
    assert read_events(tmp_path) == []
    events = EventsWriter(tmp_path)
    events.append("note", 5, text="a\nb")
    events.append("clock", realtime_ns=3)
    events.close()
    with (tmp_path / "events.jsonl").open("ab") as stream:
        stream.write(b'{"t_ns": 7, "ki')
    first, second = read_events(tmp_path)
    assert first == {"t_ns": 5, "kind": "note", "text": "a\nb"}
    assert second["kind"] == "clock" and second["t_ns"] > 0


def test_a_session_keeps_no_password(tmp_path):
    uri = "rtsp://ada:secret@10.0.0.7/stream"
    rig = RigSettings.model_validate({"name": "arena", "cameras": {"top": {"uri": uri}}})
    Session.create(tmp_path / "day1", rig)
    kept = (tmp_path / "day1" / "session.json").read_text()
    assert "secret" not in kept
    assert "rtsp://ada:***@10.0.0.7/stream" in kept
