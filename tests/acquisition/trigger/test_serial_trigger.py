"""The trigger on a serial port, end to end: our host side, a terminal, our firmware in a simulated board."""

from __future__ import annotations

import os
import pty
import random
import select
import subprocess
import sys
import threading
import time
import tty
from pathlib import Path

import pytest

from acquisition.errors import RigposeError
from acquisition.trigger.protocol import Train, line
from acquisition.trigger.serial_trigger import SerialTrigger, train_of

CHECKOUT = Path(__file__).parents[3]
pytestmark = [pytest.mark.equipment, pytest.mark.long]


class Notes(list):
    """What a trigger told: (kind, t_ns, facts)."""

    def __call__(self, kind, t_ns, **facts):
        self.append((kind, t_ns, facts))

    def of(self, kind):
        return [(t_ns, facts) for told, t_ns, facts in self if told == kind]


def wait_until(condition, seconds=20.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def plugged_in(board):
    with board.plug_in(uno=True) as running:
        yield running


@pytest.fixture
def trigger(plugged_in):
    one = SerialTrigger(plugged_in.port, train_of(100, 2000))
    yield one
    one.close()


def test_a_train_is_set_started_counted_and_stopped(plugged_in, trigger):
    notes = Notes()
    trigger.listen(notes)
    trigger.open()
    assert plugged_in.pulses() == 0
    _, period_ns = trigger.start()
    assert period_ns == pytest.approx(10_000_000, rel=0.02)
    wait_until(lambda: plugged_in.pulses() > 120)
    count = trigger.stop()
    assert count == plugged_in.pulses() > 120
    time.sleep(0.1)
    assert plugged_in.pulses() == count
    assert trigger.stop() == 0 and trigger.fault == ""

    (_, begun), (_, ended) = *notes.of("trigger started"), *notes.of("trigger stopped")
    assert begun["period_cycles"] == 160_000 and begun["width_cycles"] == 32_000
    assert (ended["pulses"], ended["held"], ended["fault"]) == (count, 0, "")
    told = [facts["pulse"] for _, facts in notes.of("pulse")]
    assert told and told == sorted(set(told)) and told[-1] < count


@pytest.mark.alone
def test_pulses_have_their_place_on_the_rig_clock(plugged_in, trigger):
    notes = Notes()
    trigger.listen(notes)
    trigger.open()
    first_ns, period_ns = trigger.start()
    wait_until(lambda: len(notes.of("pulse")) > 2)
    trigger.stop()
    # How evenly the board runs is this machine's doing; half a period would be a pulse missed.
    assert abs(plugged_in.first_pulse_ns() - first_ns) < 5_000_000
    assert period_ns == pytest.approx(10_000_000, rel=0.01)
    for t_ns, facts in notes.of("pulse"):
        assert abs(t_ns - first_ns - facts["pulse"] * period_ns) < 50_000_000


def test_a_second_train_of_one_boot_counts_from_0(plugged_in, trigger):
    trigger.open()
    trigger.start()
    wait_until(lambda: plugged_in.pulses() > 10)
    first = trigger.stop()
    trigger.start()
    wait_until(lambda: plugged_in.pulses() > first + 10)
    assert trigger.stop() == plugged_in.pulses() - first


def test_edges_of_the_input_are_told_with_the_pulse_before_them(plugged_in, trigger):
    notes = Notes()
    trigger.listen(notes)
    trigger.open()
    plugged_in.tell("pin B0 0")
    wait_until(lambda: notes.of("edge"))
    first_ns, period_ns = trigger.start()
    wait_until(lambda: plugged_in.pulses() > 5)
    for n in range(20):
        plugged_in.tell(f"pin B0 {(n + 1) % 2}")
        time.sleep(0.03)
    wait_until(lambda: len(notes.of("edge")) == 21)
    trigger.stop()
    (_, before), *during = notes.of("edge")
    assert (before["level"], before["pulse"], before["since_ns"]) == (0, None, None)
    for n, (t_ns, facts) in enumerate(during):
        assert (facts["number"], facts["level"]) == (n + 1, (n + 1) % 2)
        # The trigger's own word and the clock's agree, as far as this machine lets the board run evenly.
        assert 0 <= facts["since_ns"] < 1.02 * period_ns
        assert abs(t_ns - (first_ns + facts["pulse"] * period_ns + facts["since_ns"])) < 200_000_000


def test_a_reset_board_ends_the_train_and_is_not_taken_up_again(plugged_in, trigger):
    notes = Notes()
    trigger.listen(notes)
    trigger.open()
    epoch = trigger.link.epoch
    trigger.start()
    wait_until(lambda: plugged_in.pulses() > 20)
    plugged_in.tell("reset")
    wait_until(lambda: trigger.fault)
    given = plugged_in.pulses()
    assert trigger.fault == f"the trigger was reset: its epoch is {epoch + 1} after {epoch}"
    assert given - 5 <= trigger.stop() <= given
    assert notes.of("trigger stopped")[0][1]["fault"] == trigger.fault
    with pytest.raises(RigposeError, match="was reset"):
        trigger.start()
    time.sleep(0.3)
    assert plugged_in.pulses() == given


def test_a_cable_pulled_out_ends_it_too(plugged_in, trigger):
    trigger.open()
    trigger.start()
    wait_until(lambda: plugged_in.pulses() > 20)
    plugged_in.tell("unplug")
    wait_until(lambda: trigger.fault)
    assert "the port went away" in trigger.fault
    assert trigger.stop() > 0
    trigger.close()
    assert "the port went away" in trigger.fault
    # And the board, alone, is silent soon.
    wait_until(lambda: plugged_in.pulses() == (time.sleep(0.3), plugged_in.pulses())[1])


def test_a_host_that_is_killed_leaves_a_silent_board(plugged_in):
    script = f"""
from acquisition.trigger.serial_trigger import SerialTrigger, train_of
trigger = SerialTrigger({plugged_in.port!r}, train_of(100, 2000))
trigger.open()
trigger.start()
print("started", flush=True)
input()
"""
    host = subprocess.Popen(
        [sys.executable, "-c", script], cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert host.stdout.readline() == "started\n"
    wait_until(lambda: plugged_in.pulses() > 250)  # longer than the silence that it allows
    host.kill()
    host.communicate()
    wait_until(lambda: plugged_in.pulses() == (time.sleep(0.3), plugged_in.pulses())[1])


def test_the_line_is_cut_and_wants_to_be_let_go(plugged_in, trigger):
    notes = Notes()
    trigger.listen(notes)
    trigger.open()
    trigger.line(True)
    wait_until(lambda: notes.of("line cut"))
    assert notes.of("line cut")[0][1] == {"why": "longest time"}
    with pytest.raises(RigposeError, match="cut"):
        trigger.line(True)
    trigger.line(False)
    trigger.line(True)


class Relay:
    """A bad cable between host and board: it loses, changes and adds bytes, both ways."""

    def __init__(self, port: str, wrong: float, seed: int = 0) -> None:
        self._board = os.open(port, os.O_RDWR | os.O_NOCTTY)
        self._host, slave = pty.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._slave = slave
        self._chance = random.Random(seed)
        self._wrong = wrong
        self.changed = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        for file in (self._board, self._host, self._slave):
            os.close(file)

    def _run(self):
        while not self._over.is_set():
            for file in select.select([self._board, self._host], [], [], 0.05)[0]:
                data = os.read(file, 4096)
                os.write(self._host if file == self._board else self._board, self._spoil(data))

    def _spoil(self, data: bytes) -> bytes:
        spoilt = bytearray()
        for byte in data:
            if self._chance.random() >= self._wrong:
                spoilt.append(byte)
                continue
            self.changed += 1
            kind = self._chance.randrange(3)
            if kind:  # changed; or one more; or lost
                spoilt += self._chance.randbytes(kind)
        return bytes(spoilt)


def test_over_a_bad_cable_nothing_is_wrong_only_asked_again(plugged_in):
    notes = Notes()
    with Relay(plugged_in.port, wrong=0.002) as relay:
        trigger = SerialTrigger(relay.port, train_of(100, 2000))
        trigger.listen(notes)
        try:
            trigger.open()
            _, period_ns = trigger.start()
            wait_until(lambda: plugged_in.pulses() > 300)
            assert trigger.stop() == plugged_in.pulses()
        finally:
            trigger.close()
        assert relay.changed > 10 and trigger.fault == ""
    assert period_ns == pytest.approx(10_000_000, rel=0.02)


class OtherDevice:
    """A device that is none of ours: it says something once, and answers every line with something."""

    def __init__(self, greeting: bytes, answer: bytes) -> None:
        self._file, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._answer = answer
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._greeting = greeting

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        os.close(self._file)
        os.close(self._slave)

    def _run(self):
        said = False
        while not self._over.is_set():
            if select.select([self._file], [], [], 0.05)[0]:
                number = os.read(self._file, 4096).split()[0]
                if not said:
                    os.write(self._file, self._greeting)
                    said = True
                answer = self._answer.replace(b"NUMBER", number)
                os.write(self._file, line(answer.decode()) if answer.startswith(b"=") else answer)


@pytest.mark.parametrize(
    ("greeting", "answer", "found"),
    [
        (b"", b"", "found a device that says nothing"),
        (b"Grbl 1.1h ['$' for help]\r\n", b"ok\r\n", "found another device, which says 'Grbl 1.1h"),
        (b"", b"= NUMBER 5 rigpose-trigger 2 f42400", "firmware of version 1, found version 2"),
        (b"", b"= NUMBER 5 other 1 f42400", "found another one"),
        (b"\xff\x00" * 3000, b"\x00\x80", "found another device"),
    ],
)  # fmt: skip
def test_another_device_is_told_in_one_line(greeting, answer, found):
    with OtherDevice(greeting, answer) as device:
        trigger = SerialTrigger(device.port, train_of(100, 2000))
        with pytest.raises(RigposeError, match=found) as error:
            trigger.open()
        assert "\n" not in str(error.value) and "rigpose trigger flash" in str(error.value)
        assert trigger.link is None


@pytest.mark.parametrize(
    ("train", "found"),
    [(Train(1000, 0, 500), "range"), (Train(160000, 0, 100), "range"), (Train(2**31, 0, 2000), "range")],
)
def test_a_train_that_the_trigger_cannot_give_is_told_before_any_pulse(plugged_in, train, found):
    trigger = SerialTrigger(plugged_in.port, train)
    with pytest.raises(
        RigposeError, match=f"expected it to take a period of {train.period} cycles, found {found}"
    ):
        trigger.open()
    assert plugged_in.pulses() == 0


def test_a_port_has_one_owner(plugged_in, trigger):
    trigger.open()
    with pytest.raises(RigposeError, match="another program has open"):
        SerialTrigger(plugged_in.port, train_of(100, 2000)).open()


def test_a_board_that_was_left_running_is_stopped_first(board):
    """A board that opening does not reset, and a host before us that went in the middle of a line."""
    with board.plug_in() as running:
        first = SerialTrigger(running.port, train_of(50, 2000))
        first.open()
        first.start()
        wait_until(lambda: running.pulses() > 3)
        first._started = False  # so that close does not stop it
        first.close()
        cut_off = os.open(running.port, os.O_RDWR | os.O_NOCTTY)
        os.write(cut_off, b"7 star")
        os.close(cut_off)
        second = SerialTrigger(running.port, train_of(200, 1000))
        second.open()
        before = running.pulses()
        second.start()
        wait_until(lambda: running.pulses() > before + 20)
        assert second.stop() == running.pulses() - before
        second.close()
