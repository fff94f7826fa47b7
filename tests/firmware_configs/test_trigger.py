"""The trigger's firmware under simavr: what its pins do, cycle by cycle."""

from __future__ import annotations

import itertools

import pytest

from tests.equipment.microcontroller.simulated import HZ, Event, ms

pytestmark = pytest.mark.equipment

EPOCH = 1  # the first boot ever
SET, START = ms(100), ms(200)
LEAD = ms(1)
GROUP_LAG = 256
GROUP_JITTER = 64  # 4 us


def settings(
    period: int, a: tuple[int, int], b: tuple[int, int] = (0, 0), *, group=0x3F, burst=0, gate=0, every=0
) -> str:
    figures = (period, *a, *b, group, burst, gate, every)
    return "1 set " + " ".join(f"{figure:x}" for figure in figures)


def begin(train: str, silence_ms: int = 60000) -> list[Event]:
    """The train set at 100 ms, started at 200 ms."""
    return [
        Event.send(SET, train, f"2 limit {silence_ms:x} 64 1f4"),
        Event.send(START, f"3 start {LEAD:x}"),
    ]


def steps(cycles: list[int]) -> set[int]:
    return {later - earlier for earlier, later in itertools.pairwise(cycles)}


def distances(of: list[int], behind: list[int]) -> set[int]:
    return {late - early for early, late in zip(behind, of, strict=True)}


def test_every_output_is_low_from_boot_on(board):
    log = board.run([Event.send(ms(200), b"\x00\xff garbage\n\n*\n"), Event.pin(ms(300), "B0", 1)], ms(1000))
    assert log.changes == {}
    assert log.lines[0] == f"!boot {EPOCH:x} 1"


@pytest.mark.parametrize(
    ("rate_hz", "seconds"),
    [(100, 3), *(pytest.param(rate_hz, 60, marks=pytest.mark.long) for rate_hz in (60, 200))],
)
def test_pulses_are_exact_to_the_cycle(board, rate_hz, seconds):
    period, count = round(HZ / rate_hz), seconds * rate_hz
    train = settings(period, (0, ms(1)), (ms(0.25), ms(2)), burst=count, every=1)
    log = board.run(begin(train), ms(300) + count * period)

    rises = log.rises("B1")
    assert len(rises) == len(log.rises("B2")) == len(log.rises("C")) == count
    assert steps(rises) == {period}
    assert rises[-1] - rises[0] == (count - 1) * period
    assert distances(log.falls("B1"), rises) == {ms(1)}
    assert distances(log.rises("B2"), rises) == {ms(0.25)}
    assert distances(log.falls("B2"), log.rises("B2")) == {ms(2)}

    # The group is written by an interrupt. All six pins change in one write.
    assert {level for _, level in log.changes["C"]} == {0, 0x3F}
    for edges, behind in ((log.rises("C"), rises), (log.falls("C"), log.falls("B1"))):
        lags = distances(edges, behind)
        assert max(lags) - min(lags) <= GROUP_JITTER
        assert abs(max(lags) - GROUP_LAG) <= 16

    # Every pulse is told with its number and the cycle at which it came.
    epoch, numbers, clocks = zip(*log.told("pulse"), strict=True)
    assert set(epoch) == {EPOCH}
    assert list(numbers) == list(range(count))
    assert steps(list(clocks)) == {period}
    assert log.told("end") == [[EPOCH, 2, count, 0]]
