"""Parts of several hosts: each pulse once, in order, no later than the delay allows."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.poses import PoseSet
from deploy.fusion.joining import Joiner, Part
from deploy.stream.publisher import Stamps

DELAY_NS = 40_000_000
PERIOD_NS = 10_000_000


def part(pulse: int, t_ns: int) -> Part:
    pose = PoseSet(pulse, pulse * PERIOD_NS, np.full((2, 3, 3), pulse, np.float32))
    return Part(pose, Stamps(0, 0, 0), t_ns, t_ns)


def test_a_pulse_leaves_with_its_last_part() -> None:
    joiner = Joiner(2, DELAY_NS)
    assert joiner.add(0, 5, part(5, 100)) == "joined"
    assert joiner.closed(101) == []
    assert joiner.add(0, 5, part(5, 100)) == "twice"
    assert joiner.add(1, 5, part(5, 200)) == "joined"
    (joined,) = joiner.closed(200)
    assert joined.complete
    assert joined.pulse == 5


def test_a_later_pulse_of_a_host_tells_that_the_earlier_will_not_come() -> None:
    joiner = Joiner(2, DELAY_NS)
    joiner.add(0, 5, part(5, 100))
    joiner.add(1, 6, part(6, 150))
    (joined,) = joiner.closed(150)
    assert (joined.pulse, joined.parts[1]) == (5, None)


def test_a_host_that_is_away_is_not_waited_for_and_one_that_is_late_is_for_the_delay() -> None:
    joiner = Joiner(2, DELAY_NS)
    joiner.add(0, 5, part(5, 100))
    assert joiner.closed(100 + DELAY_NS - 1) == []
    assert len(joiner.closed(100, away={1})) == 1
    joiner.add(0, 6, part(6, 100))
    assert joiner.due_ns() == 100 + DELAY_NS
    assert len(joiner.closed(100 + DELAY_NS)) == 1
    assert joiner.add(1, 6, part(6, 101 + DELAY_NS)) == "late"


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), hosts=st.integers(2, 4), lose=st.floats(0, 0.5))
def test_nothing_is_joined_wrongly_or_twice_or_forgotten(seed: int, hosts: int, lose: float) -> None:
    """Hosts of random delay, some slower than allowed; every part is given out once, or counted as late."""
    rng = np.random.default_rng(seed)
    joiner = Joiner(hosts, DELAY_NS)
    slowness_ns = rng.integers(0, 2 * DELAY_NS, hosts)
    sent = []
    for host in range(hosts):
        arrival_ns = 0
        for pulse in range(60):
            arrival_ns = max(
                arrival_ns, pulse * PERIOD_NS + int(slowness_ns[host] + rng.integers(0, 5_000_000))
            )
            if rng.random() >= lose:
                sent.append((arrival_ns, host, pulse))
    given_out = []
    became = Counter[tuple[int, str]]()
    for now_ns, host, pulse in sorted(sent):
        given_out += joiner.closed(now_ns)
        became[host, joiner.add(host, pulse, part(pulse, now_ns))] += 1
        given_out += joiner.closed(now_ns)
    given_out += joiner.flush()
    pulses = [joined.pulse for joined in given_out]
    assert pulses == sorted(set(pulses))
    for host in range(hosts):
        parts = [(joined.pulse, joined.parts[host]) for joined in given_out]
        there = [(pulse, one) for pulse, one in parts if one is not None]
        assert all(one.pose.index == pulse for pulse, one in there)
        assert len(there) == became[host, "joined"]
        sent_by_host = sum(1 for _, whose, _ in sent if whose == host)
        assert became[host, "joined"] + became[host, "late"] == sent_by_host
