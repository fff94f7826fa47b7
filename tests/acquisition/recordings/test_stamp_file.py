"""Time stamps out of CSV files: units stated, columns found, nothing guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from acquisition.recordings.stamp_file import CALENDAR, UNIT_NS, read_stamps


def csv(folder: Path, *lines: str) -> Path:
    file = folder / "stamps.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("header", "unit"),
    [
        ("timestamp_ns", "ns"), ("Timestamp (us)", "us"), ("time_ms", "ms"), ("frame_time_s", "s"),
        ("camera timestamp [ns]", "ns"), ("t_exposure_ns", "ns"), ("Time_seconds", "s"),
        ("timestamps µs", "us"), ("exposure_timestamp_ms", "ms"), ("time_microseconds", "us"), ("t_ms", "ms"),
    ],
)  # fmt: skip
def test_units_in_the_column_s_name(tmp_path: Path, header: str, unit: str) -> None:
    read = read_stamps(csv(tmp_path, f"n,{header}", "0,1000", "1,1033.5"))
    assert read[""].unit == unit
    assert read[""].t_ns.tolist() == [1000 * UNIT_NS[unit], round(1033.5 * UNIT_NS[unit])]


@pytest.mark.parametrize("header", ["exposure_time_us", "exposure_us", "ts", "framerate", "times_seen"])
def test_what_is_no_time_of_a_frame_is_not_taken_for_one(tmp_path: Path, header: str) -> None:
    with pytest.raises(RigposeError, match="expected one column of times"):
        read_stamps(csv(tmp_path, header, "1"))


def test_a_unit_is_asked_for_not_guessed(tmp_path: Path) -> None:
    file = csv(tmp_path, "timestamp", "1714561234123456789", "1714561234156789012")
    with pytest.raises(RigposeError, match="Give --time-unit"):
        read_stamps(file)
    # To the nanosecond: as a float this number would be off by a hundred.
    assert read_stamps(file, unit="ns")[""].t_ns.tolist() == [1714561234123456789, 1714561234156789012]


def test_a_unit_stated_twice_differently_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RigposeError, match="in us"):
        read_stamps(csv(tmp_path, "timestamp_us", "1"), unit="ms")


def test_one_column_without_a_header(tmp_path: Path) -> None:
    assert read_stamps(csv(tmp_path, "0.1", "0.2"), unit="s")[""].t_ns.tolist() == [100_000_000, 200_000_000]
    with pytest.raises(RigposeError, match="names the columns"):
        read_stamps(csv(tmp_path, "1,0.1", "2,0.2"), unit="s")


def test_the_camera_s_own_count_and_other_separators(tmp_path: Path) -> None:
    read = read_stamps(csv(tmp_path, "frame_id;timestamp_ms;x", "7;0;a", "9;66;b"))[""]
    assert read.counts is not None
    assert read.counts.tolist() == [7, 9]
    assert read.column == "timestamp_ms"


def test_dates_say_what_they_are(tmp_path: Path) -> None:
    file = csv(tmp_path, "Timestamp", "2021-03-04T12:33:21.1234567+01:00", "2021-03-04T11:33:21.2234567Z")
    read = read_stamps(file)[""]
    assert read.unit == CALENDAR
    assert read.t_ns.tolist() == [1614857601_123456700, 1614857601_223456700]


def test_one_file_for_several_cameras(tmp_path: Path) -> None:
    file = csv(tmp_path, "sync_index,cam_id,frame_time", "35,2,25.0009787", "35,0,25.0011", "36,2,25.03")
    read = read_stamps(file)
    assert {name: each.t_ns.tolist() for name, each in read.items()} == {
        "2": [25_000_978_700, 25_030_000_000], "0": [25_001_100_000],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["timestamp_ns", "12", "twelve"], r"line 3: expected a time in ns, found 'twelve'"),
        (["timestamp_ns", "nan"], "found 'nan'"),
        (["timestamp_s", "1e30"], "found '1e30'"),
        (["frame,timestamp_ns", "1,5", "2"], "line 3: expected 2 values, found 1"),
        (["frame,timestamp_ns", "1.5,5"], "camera's count"),
        (["time_ns,timestamp_ns", "1,5"], "time_ns and timestamp_ns"),
        (["Timestamp", "2021-13-04T12:33:21"], "expected date and time"),
        ([""], "an empty file"),
    ],
)
def test_mistakes(tmp_path: Path, lines: list[str], says: str) -> None:
    with pytest.raises(RigposeError, match=says):
        read_stamps(csv(tmp_path, *lines))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 1 << 61), min_size=1, max_size=20), st.sampled_from(["ns", "us", "ms", "s"]),
)  # fmt: skip
def test_every_number_comes_back_to_the_nanosecond(tmp_path_factory, numbers: list[int], unit: str) -> None:
    scale = UNIT_NS[unit]
    texts = [f"{number // scale}.{number % scale:0{len(str(scale)) - 1}d}" if scale > 1 else str(number)
             for number in numbers]  # fmt: skip
    file = csv(tmp_path_factory.getbasetemp(), f"timestamp_{unit}", *texts)
    assert read_stamps(file)[""].t_ns.tolist() == numbers
