"""The trigger's firmware under simavr: what its pins do, cycle by cycle."""

from __future__ import annotations

import itertools

import pytest

from tests.equipment.microcontroller.simulated import HZ, Event, line, ms

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
    log = board.run([Event.send(ms(200), b"\x00\xff garbage\n\n*\n"), Event.pin(ms(300), "B0", 0)], ms(1000))
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


@pytest.mark.parametrize(
    ("period", "a", "b"),
    [
        (3200, (0, 1600), (0, 1600)),  # 5 kHz, the shortest pulses and pauses
        (4000, (0, 1600), (800, 1600)),
        (65536, (0, 32768), (32768, 31168)),
        (65537, (1, 1600), (0, 63937)),
        (266667, (3, 49153), (200001, 49152)),
        (16_000_001, (0, 15_000_000), (14_000_000, 1_000_007)),
    ],
)
def test_any_delay_and_width_is_exact(board, period, a, b):
    count = max(3, 4_000_000 // period)
    log = board.run(begin(settings(period, a, b, burst=count)), START + ms(20) + (count + 1) * period)
    (first,) = log.answer(3)
    boot = log.rises("B1")[0] - first  # from reset to the first cycle that the clock counted
    slots = [boot + first - a[0] + n * period for n in range(count)]
    assert log.rises("B1") == [slot + a[0] for slot in slots]
    assert log.falls("B1") == [slot + a[0] + a[1] for slot in slots]
    assert log.rises("B2") == [slot + b[0] for slot in slots]
    assert log.falls("B2") == [slot + b[0] + b[1] for slot in slots]


@pytest.mark.parametrize(
    "figures",
    [
        (3199, 0, 1600, 0, 0, 0, 0, 0, 0),
        (1_600_000_001, 0, 2000, 0, 0, 0, 0, 0, 0),
        (160000, 0, 1599, 0, 0, 0, 0, 0, 0),
        (160000, 0, 158401, 0, 0, 0, 0, 0, 0),
        (160000, 150000, 8401, 0, 0, 0, 0, 0, 0),
        (160000, 0xFFFFFF00, 2000, 0, 0, 0, 0, 0, 0),
        (160000, 0, 2000, 0, 160000, 0, 0, 0, 0),
        (160000, 0, 2000, 0, 0, 0x40, 0, 0, 0),
        (160000, 0, 2000, 0, 0, 0, 0, 2, 0),
        (160000, 0, 2000, 0, 0, 0x100, 0, 0, 0),
    ],
)
def test_figures_that_make_no_train_are_refused_and_change_nothing(board, figures):
    good = settings(160000, (0, 16000), every=1)
    bad = "4 set " + " ".join(f"{figure:x}" for figure in figures)
    log = board.run([Event.send(SET, good, bad, "5 get")], ms(150))
    assert f"- 4 {EPOCH} range" in log.lines
    assert log.answer(5) == log.answer(1)


def test_no_pulse_is_lost_or_late_while_commands_pour_in(board):
    """1 kHz on all outputs; the serial line full both ways; edges on the input at every moment."""
    period, count = 16000, 1500
    talk = [
        Event.send(START + ms(2 + n * 8), f"{n + 10:x} beat", b"\x00\xffgarbage*0000\n") for n in range(180)
    ]
    edges = [Event.pin(START + 77_777 + n * 83_311, "B0", n % 2) for n in range(270)]
    train = settings(period, (0, 8000), (100, 8000), burst=count, every=10)
    log = board.run([*begin(train), *talk, *edges], START + (count + 1000) * period)
    rises = log.rises("B1")
    assert len(rises) == len(log.rises("B2")) == len(log.rises("C")) == count
    assert steps(rises) == steps(log.rises("B2")) == steps(log.falls("B1")) == {period}
    lags = distances(log.rises("C"), rises) | distances(log.falls("C"), log.falls("B1"))
    assert max(lags) - min(lags) <= GROUP_JITTER
    answered = sum(body.startswith("= ") for body in log.lines)
    assert answered == 3 + len(talk)
    assert sum(body.startswith("- 0 ") and body.endswith("checksum") for body in log.lines) == len(talk)
    assert [told[1] for told in log.told("pulse")] == list(range(0, count, 10))
    told, lost = len(log.told("edge")), log.told("lost")[-1][1]
    assert 0 < lost <= len(edges) - told


@pytest.mark.parametrize("moment", range(0, 160000, 16661))
def test_a_stop_leaves_whole_pulses_and_as_many_on_both_outputs(board, moment):
    period = 160000
    train = settings(period, (1000, 20000), (90000, 30000))
    stop = START + 5 * period + moment
    log = board.run([*begin(train), Event.send(stop, "9 stop"), Event.send(stop + 2 * period, "a beat")],
                    stop + 4 * period)  # fmt: skip
    count, held = log.answer(9)
    assert (len(log.rises("B1")), len(log.rises("B2")), len(log.rises("C")), held) == (count, count, count, 0)
    assert distances(log.falls("B1"), log.rises("B1")) == {20000}
    assert distances(log.falls("B2"), log.rises("B2")) == {30000}
    assert log.rises("B1")[-1] < stop + 1.2 * period
    assert log.told("end") == [[EPOCH, 1, count, 0]]
    assert log.answer(10)[1:4] == [0, count, 0]


def test_a_second_train_counts_from_0_under_the_same_epoch(board):
    train = settings(160000, (0, 16000), burst=3, every=1)
    again = Event.send(START + 6 * 160000, f"4 start {LEAD:x}")
    log = board.run([*begin(train), again], START + 12 * 160000)
    assert [told[:2] for told in log.told("pulse")] == [[EPOCH, n] for n in (0, 1, 2, 0, 1, 2)]
    assert len(log.rises("B1")) == 6


@pytest.mark.parametrize("level", [0, 1])
def test_when_the_host_falls_silent_every_output_falls(board, level):
    """In the pulse (level 1) and between pulses (0); the line, high all the while, falls too."""
    period = 1_600_000
    width = period - 1600 if level else 1600
    events = [
        Event.send(SET, settings(period, (0, width), (0, width)), "2 limit c8 2710 ea60"),
        Event.send(START, f"3 start {LEAD:x}", "4 line 1"),
    ]
    log = board.run(events, START + ms(600))
    heard = START + ms(3)  # both lines, at 115200 baud
    for output in ("B1", "B2", "C"):
        cut = log.changes[output][-1]
        assert cut[1] == 0
        if level:
            assert abs(cut[0] - heard - ms(200)) < ms(3)
    assert log.falls("D4")[-1:] == [] or log.level("D4", START + ms(600)) == 0
    assert abs(log.falls("D3")[-1] - heard - ms(200)) < ms(3)
    slots = len(log.rises("B1"))
    assert 1 <= slots <= 3
    assert log.told("end") == [[EPOCH, 3, slots, 0]]
    assert log.told("cut") == [[EPOCH, 2]]


def test_a_train_after_a_silence_begins_low_and_is_exact(board):
    period = 1_600_000
    again = START + ms(700)
    events = [
        *begin(settings(period, (0, period - 1600), (0, period - 1600)), silence_ms=200),
        Event.send(again, f"4 start {LEAD:x}"),
    ]
    log = board.run(events, again + ms(190))
    rises = [cycle for cycle in log.rises("B1") if cycle > again]
    assert len(rises) == 2 and steps(rises) == {period}
    assert [cycle for cycle in log.rises("B2") if cycle > again] == rises
    assert rises[0] - again > LEAD


def test_the_line_falls_after_its_longest_time_however_often_it_is_asked_for(board):
    on = ms(200)
    asking = [Event.send(on + ms(5 * n), f"{n + 10:x} line 1") for n in range(100)]
    events = [Event.send(SET, "1 limit 3e8 64 1f4"), *asking]
    log = board.run(events, on + ms(600))
    (rise,), (fall,) = log.rises("D3"), log.falls("D3")
    assert ms(98) < fall - rise <= ms(100)
    assert log.told("cut") == [[EPOCH, 1]]
    assert log.lines.count(f"- {99 + 10:x} {EPOCH} cut") == 1


def test_the_line_may_rise_again_once_it_was_asked_to_fall(board):
    events = [Event.send(SET, "1 limit 3e8 a 1f4")]
    for n in range(5):
        events += [
            Event.send(ms(200 + 50 * n), f"{2 * n + 16:x} line 1"),
            Event.send(ms(230 + 50 * n), f"{2 * n + 17:x} line 0"),
        ]
    log = board.run(events, ms(600))
    assert len(log.rises("D3")) == 5
    assert all(ms(8) < width <= ms(10) for width in distances(log.falls("D3"), log.rises("D3")))


def test_the_line_falls_when_the_host_falls_silent(board):
    log = board.run([Event.send(SET, "1 limit 3e8 2710 64"), Event.send(ms(200), "2 line 1")], ms(600))
    (rise,), (fall,) = log.rises("D3"), log.falls("D3")
    assert ms(98) < fall - rise < ms(101)
    assert log.told("cut") == [[EPOCH, 2]]


def test_the_gate_darkens_slots_and_shifts_none(board):
    period, count = 160000, 40
    closed, opened = START + 10 * period + 3000, START + 25 * period + 3000
    events = [
        *begin(settings(period, (0, 16000), (80000, 16000), burst=count, gate=1, every=1)),
        Event.pin(closed, "D2", 0),
        Event.pin(opened, "D2", 1),
    ]
    log = board.run(events, START + (count + 2) * period)
    rises = log.rises("B1")
    slots = [round((cycle - rises[0]) / period) for cycle in rises]
    assert {(cycle - rises[0]) % period for cycle in rises} == {0}
    dark = sorted(set(range(count)) - set(slots))
    assert dark == list(range(dark[0], dark[-1] + 1)) and len(dark) == 15
    # Both outputs and the group agree on every slot.
    assert distances(log.rises("B2"), rises) == {80000}
    assert len(log.rises("C")) == len(rises)
    assert log.told("end") == [[EPOCH, 2, count, len(dark)]]
    assert [told[1] for told in log.told("pulse")] == list(range(count))
    assert [told[1] for told in log.told("gate")] == [1, 0, 1]


def test_edges_are_stamped_against_the_pulses(board):
    period = 160000
    edges = [START + ms(0.3) + n * 111_113 for n in range(60)]  # before the first pulse, then everywhere
    events = [
        *begin(settings(period, (0, 16000), every=20)),
        *(Event.pin(cycle, "B0", n % 2) for n, cycle in enumerate(edges)),
    ]
    log = board.run(events, edges[-1] + ms(50))
    rises = log.rises("B1")
    boot = rises[0] - log.answer(3)[0]
    told = log.told("edge")
    assert len(told) == len(edges)
    for n, ((_, number, level, clock, count, since), cycle) in enumerate(zip(told, edges, strict=True)):
        assert (number, level) == (n, n % 2)
        assert abs(clock + boot - cycle) <= 8  # the simulated CPU is between two instructions
        before = [rise for rise in rises if rise <= clock + boot]
        assert count == len(before)
        assert since == (clock + boot - before[-1] if before else 0)


def test_a_pulse_of_two_microseconds_on_the_input_is_two_edges(board):
    cycles = [ms(200 + 20 * n) for n in range(10)]
    events = [
        event for c in cycles for event in (Event.pin(c, "B0", 0), Event.pin(c + 32, "B0", 1))
    ]  # fmt: skip
    told = board.run(events, ms(500)).told("edge")
    assert [level for _, _, level, *_ in told] == [0, 1] * 10
    starts, ends = ([clock for _, _, level, clock, *_ in told if level == wanted] for wanted in (0, 1))
    assert all(0 < width < 200 for width in distances(ends, starts))


def test_an_input_that_oscillates_is_counted_and_stops_no_pulse(board):
    period, count = 16000, 100
    events = begin(settings(period, (0, 4000), burst=count))
    events += [Event.pin(START + ms(5) + 160 * n, "B0", n % 2) for n in range(5000)]  # 50 kHz, 50 ms
    events.append(Event.send(START + ms(150), "9 beat"))
    log = board.run(events, START + ms(300))
    assert len(log.rises("B1")) == count and steps(log.rises("B1")) == {period}
    lags = distances(log.rises("C"), log.rises("B1"))
    assert max(lags) - min(lags) <= GROUP_JITTER
    lost = log.told("lost")[-1][1]
    assert lost > 0 and log.answer(9)[4] == lost
    assert log.told("edge")[-1][2] in (0, 1) and len(log.told("edge")) >= 16


def test_what_is_not_a_request_is_refused_by_name(board):
    requests = {
        "1 dance": "command",
        "2 set 1 2": "command",
        "3 start": "command",
        "4 start 10": "range",
        "5 line 2": "command",
        "6 start xyz": "arguments",
        "7 start 123456789": "arguments",
        "8 limit 1 1 1": "range",
        "9 line A": "arguments",
        "a beat 1 2 3 4 5 6 7 8 9 a": "arguments",
    }
    log = board.run([Event.send(SET + ms(15) * n, one) for n, one in enumerate(requests)], ms(400))
    assert log.lines[1:] == [f"- {n:x} {EPOCH} {why}" for n, why in enumerate(requests.values(), 1)]
    assert log.changes == {}


@pytest.mark.parametrize(
    "data",
    [
        b"1 beat\n",
        b"1 beat*0000\n",
        b"1 beat*\n",
        line("1 beat")[:-1] + b"x\n",
        line("1 beat").upper(),
        b"x" * 500 + b"\n",
        b"*\n",
        bytes(range(11, 256)) + b"\n",
    ],
)
def test_a_damaged_line_is_refused_and_the_next_is_understood(board, data):
    log = board.run([Event.send(SET, data, "7 version")], ms(250))
    assert log.lines[1:] == [f"- 0 {EPOCH} checksum", f"= 7 {EPOCH} rigpose-trigger 1 f42400"]


def test_requests_that_do_not_fit_the_moment(board):
    train = settings(160000, (0, 16000))
    log = board.run(
        [
            *begin(train),
            Event.send(START + ms(20), train, f"3 start {LEAD:x}", f"4 start {LEAD:x}"),
            Event.send(START + ms(80), "5 stop", "6 stop"),
        ],
        START + ms(200),
    )
    # Its settings cannot change under a train; a start whose answer was lost has the same answer again.
    assert f"- 1 {EPOCH} running" in log.lines and f"- 4 {EPOCH} running" in log.lines
    first, again = [body for body in log.lines if body.startswith("= 3 ")]
    assert first == again
    assert log.answer(5) == log.answer(6)


@pytest.mark.parametrize("offset", range(0, 40000, 9973))
def test_a_reset_is_another_epoch_with_all_outputs_low(board, offset):
    period = 160000
    train = settings(period, (0, 80000), (0, 80000), every=1)
    middle = START + 10 * period + offset
    log = board.run(
        [*begin(train), Event.reset(middle), Event.pin(middle + ms(10), "B0", 0)], middle + ms(100)
    )
    assert [told[:1] for told in log.told("boot")] == [[EPOCH], [EPOCH + 1]]
    for output in ("B1", "B2", "C"):
        assert log.level(output, middle + 1000) == 0
        assert log.rises(output)[-1] <= middle
    assert [told[:3] for told in log.told("edge")] == [[EPOCH + 1, 0, 0]]
    assert log.answer(3)[0] < log.told("pulse")[-1][2]
