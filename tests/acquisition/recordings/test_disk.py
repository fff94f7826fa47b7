"""How long the disk lasts: said before a recording, followed while it runs."""

from __future__ import annotations

from collections import namedtuple

import pytest

from acquisition.recordings import disk
from acquisition.recordings.disk import DiskWatch, disk_outlook, expected_bytes_per_s
from acquisition.rig import RecordingSettings

CAMERAS = [{"width_px": 640, "height_px": 480, "rate_hz": 100.0, "channels": 1}] * 4
GB = 10**9


@pytest.fixture
def free(monkeypatch):
    """What the disk has, in a list of one number."""
    usage = namedtuple("usage", "total used free")
    room = [100 * GB]
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: usage(10**12, 0, room[0]))
    return room


def test_the_outlook_is_the_cameras_rate_and_the_disks_room(tmp_path, free):
    settings = RecordingSettings(codec="raw", keep_free_gb=10)
    assert expected_bytes_per_s(settings, CAMERAS) == 4 * 640 * 480 * 100
    said = disk_outlook(tmp_path, settings, CAMERAS, None)
    assert said == "about 442.4 GB an hour with raw, and room for 0.2 hours"
    assert disk_outlook(tmp_path, settings, CAMERAS, 600) == said
    assert "less than the 1.0 hours asked for" in disk_outlook(tmp_path, settings, CAMERAS, 3600)
    assert disk_outlook(tmp_path, RecordingSettings(codec="nvenc"), CAMERAS, None) == ""


def test_the_watch_warns_once_ten_minutes_before_the_end_and_then_stops(tmp_path, free):
    watch = DiskWatch(tmp_path, RecordingSettings(keep_free_gb=90))
    warned = []
    for second in range(1000):
        free[0] -= GB // 100  # ten megabytes a second: 1000 s of room
        if watch.look(second * GB):
            warned.append(second)
        if watch.left_s is not None:
            assert watch.left_s == pytest.approx(1000 - second, abs=2)
    assert warned == pytest.approx([400], abs=2) and watch.shortage == ""
    free[0] -= GB
    watch.look(1000 * GB)
    assert watch.shortage == "89.00 GB free, 90 GB to be kept"


def test_a_disk_that_nobody_fills_lasts(tmp_path, free):
    watch = DiskWatch(tmp_path, RecordingSettings(keep_free_gb=90))
    for second in range(60):
        free[0] += second
        assert not watch.look(second * GB) and watch.left_s is None
