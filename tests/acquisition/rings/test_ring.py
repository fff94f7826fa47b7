"""The ring: no torn frames, leases that end with their reader, geometry that may change."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from acquisition.frame import Absence
from acquisition.frame_stamp import FrameStamp
from acquisition.rings.readers import RingReaders
from acquisition.rings.ring import RingGeometry, RingReader, ring_path
from acquisition.rings.writer import RingWriter

GEOMETRY = RingGeometry(slots=4, height_px=48, width_px=64, channels=1)


def stamp(seq: int) -> FrameStamp:
    return FrameStamp("cam", seq, -5, 1000 * seq, 7, 1000 * seq + 3, 0)


def image(seq: int, geometry: RingGeometry = GEOMETRY) -> np.ndarray:
    return np.full(geometry.image_shape, seq % 251, np.uint8)


@pytest.fixture
def writer(tmp_path: Path):
    ring = RingWriter(ring_path(tmp_path, "cam"), "cam", GEOMETRY, {"serial": "S1"})
    yield ring
    ring.close()


@pytest.fixture
def connect(tmp_path: Path):
    """A reader that is connected to a ring; closed at the end."""
    readers = []

    def connected(ring: RingWriter, name: str = "reader") -> RingReader:
        reader = RingReader(ring_path(tmp_path, "cam"), name)
        readers.append(reader)
        assert reader.connect()
        ring.serve()
        assert reader.receive() is None and reader.connected
        ring.serve()
        return reader

    yield connected
    for reader in readers:
        reader.close()


def test_frame_arrives_whole_with_its_stamps_and_read_only(connect, writer):
    reader = connect(writer)
    assert reader.geometry == GEOMETRY and reader.info == {"serial": "S1"} and writer.readers == ["reader"]
    assert writer.publish(stamp(3), image(3))
    leased = reader.receive()
    assert leased.stamp == stamp(3)
    assert leased.frame.seq == 3 and (leased.frame.image == 3).all()
    with pytest.raises(ValueError, match="read-only"):
        leased.image[0, 0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        leased.image.flags.writeable = True
    assert reader.receive() is None


def test_colour_images_keep_their_shape(tmp_path, connect):
    geometry = RingGeometry(2, 8, 10, 3)
    ring = RingWriter(ring_path(tmp_path, "cam"), "cam", geometry)
    reader = connect(ring)
    colours = np.arange(240, dtype=np.uint8).reshape(8, 10, 3)
    ring.publish(stamp(0), colours)
    assert (reader.receive().image == colours).all()
    ring.close()


def test_full_ring_drops_the_new_frame_counts_it_and_says_so(connect, writer):
    reader = connect(writer)
    assert [writer.publish(stamp(i), image(i)) for i in range(6)] == [True] * 4 + [False] * 2
    assert writer.dropped == 2
    held = [reader.receive() for _ in range(6)]
    assert [h.stamp.absence for h in held] == [None] * 4 + [Absence.RING_FULL] * 2
    assert held[5].image is None and held[5].stamp.seq == 5
    assert all((h.image == i).all() for i, h in enumerate(held[:4]))
    held[1].release()
    held[1].release()
    assert writer.publish(stamp(6), image(6)) and not writer.publish(stamp(7), image(7))
    assert (held[0].image == 0).all() and (reader.receive().image == 6).all()


def test_one_slow_reader_does_not_tear_what_another_has(connect, writer):
    slow, quick = connect(writer, "slow"), connect(writer, "quick")
    for i in range(4):
        writer.publish(stamp(i), image(i))
        with quick.receive() as leased:
            assert (leased.image == i).all()
    assert not writer.publish(stamp(4), image(4))
    assert quick.receive().stamp.absence is Absence.RING_FULL
    slow.close()
    assert writer.publish(stamp(5), image(5))
    assert writer.readers == ["quick"]


def test_without_readers_frames_cost_nothing_and_fill_nothing(writer):
    assert all(writer.publish(stamp(i), image(i)) for i in range(10))
    assert writer.dropped == 0 and writer.free_slots == 4


def test_stopped_reader_is_never_waited_for(connect, writer):
    """Its socket fills with announcements; the writer neither blocks nor forgets its leases."""
    reader = connect(writer)
    for i in range(2000):
        writer.publish(stamp(i), image(i))
    assert writer.dropped == 1996
    kept = [reader.receive() for _ in range(4)]
    assert all((leased.image == leased.stamp.seq).all() for leased in kept)


def test_restarted_writer_is_noticed_and_may_have_another_size(tmp_path, connect, writer):
    reader = connect(writer)
    writer.publish(stamp(1), image(1))
    old = reader.receive()
    writer.close()
    assert reader.receive() is None and not reader.connected
    assert (old.image == 1).all()  # still mapped
    assert not reader.connect()
    other = RingGeometry(2, 10, 12, 3)
    again = RingWriter(ring_path(tmp_path, "cam"), "cam", other)
    assert reader.connect()
    again.serve()
    assert reader.receive() is None and reader.geometry == other
    old.release()
    again.publish(stamp(9), image(9, other))
    assert reader.receive().image.shape == (10, 12, 3)
    again.close()


def test_socket_left_by_a_killed_writer_is_replaced(tmp_path, connect):
    first = RingWriter(ring_path(tmp_path, "cam"), "cam", GEOMETRY)
    os.close(first._listener.detach())  # as a kill leaves it
    reader = RingReader(ring_path(tmp_path, "cam"), "reader")
    assert not reader.connect()
    second = RingWriter(ring_path(tmp_path, "cam"), "cam", GEOMETRY)
    connect(second).close()
    second.close()


def test_rings_of_a_rig_are_read_together_and_tell_who_is_gone(tmp_path):
    writers = [RingWriter(ring_path(tmp_path, name), name, GEOMETRY) for name in ("a", "b")]
    readers = RingReaders(tmp_path, ["a", "b"], "reader")
    while not readers.connected:
        readers.receive(0)
        for ring in writers:
            ring.serve()
    writers[0].publish(FrameStamp("a", 0, 0, 0, 0, 0, 0), image(0))
    writers[1].publish(FrameStamp("b", 0, 0, 0, 0, 0, 0), image(0))
    assert [leased.stamp.camera for leased in readers.receive(1.0)] == ["a", "b"]
    writers[1].close()
    readers.receive(0)
    assert readers.gone() == ["b"] and readers.gone() == [] and not readers.connected
    readers.close()
    writers[0].close()


READER = """
import select, sys
from pathlib import Path
from acquisition.rings.ring import RingReader
reader = RingReader(Path(sys.argv[1]), "other process")
reader.connect()
held = []
torn = frames = 0
while True:
    select.select([reader], [], [])
    leased = reader.receive()
    if leased is None:
        if reader.connected or not frames and reader.linked:
            continue
        break
    if sys.argv[2] == "hold":
        held.append(leased)
        print("held", flush=True)
        continue
    if leased.image is None:
        continue
    frames += 1
    # Read twice with the writer at full speed in between: a slot that is written to would differ.
    want = leased.stamp.seq % 251
    torn += int(leased.image.min() != want or leased.image.max() != want)
    sum(range(200))
    torn += int(leased.image.min() != want or leased.image.max() != want)
    leased.release()
print(frames, torn)
"""


def start_reader(path: Path, mode: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", READER, str(path), mode], stdout=subprocess.PIPE, text=True
    )


def serve_until(ring: RingWriter, condition, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        ring.serve()
        select.select([ring._listener], [], [], 0.005)


def test_killed_reader_frees_its_leases(tmp_path, writer):
    reader = start_reader(ring_path(tmp_path, "cam"), "hold")
    try:
        serve_until(writer, lambda: writer.readers == ["other process"])
        for i in range(4):
            writer.publish(stamp(i), image(i))
            assert reader.stdout.readline() == "held\n"
        assert not writer.publish(stamp(4), image(4))
        reader.send_signal(signal.SIGKILL)
        reader.wait()
        assert writer.publish(stamp(5), image(5)) and writer.free_slots == 4 and not writer.readers
    finally:
        reader.kill()
        reader.communicate()


@pytest.mark.long
def test_no_torn_frame_with_a_slow_reader_and_a_writer_at_full_speed(tmp_path):
    geometry = RingGeometry(slots=16, height_px=256, width_px=320, channels=1)
    ring = RingWriter(ring_path(tmp_path, "cam"), "cam", geometry)
    readers = [start_reader(ring.path, "check") for _ in range(2)]
    try:
        serve_until(ring, lambda: len(ring.readers) == 2)
        images = [image(i, geometry) for i in range(251)]
        until = time.monotonic() + 6
        seq = 0
        while time.monotonic() < until:
            ring.publish(stamp(seq), images[seq % 251])
            seq += 1
        serve_until(ring, lambda: ring.free_slots == 16)
        ring.close()
        counted = [reader.communicate(timeout=60)[0].split() for reader in readers]
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()
    assert all(torn == "0" for _, torn in counted)
    # Every frame that was not dropped was seen by both, and there were enough to mean something.
    assert all(int(frames) == seq - ring.dropped for frames, _ in counted)
    assert seq - ring.dropped > 1000 and ring.dropped > 0


def test_frames_on_their_way_outlive_their_writer(connect, writer):
    """Also where the writer leaves without having read what came back."""
    reader = connect(writer)
    for i in range(3):
        writer.publish(stamp(i), image(i))
    reader.receive().release()
    writer.close()
    assert [reader.receive().stamp.seq for _ in range(2)] == [1, 2]
    assert reader.receive() is None and not reader.connected
