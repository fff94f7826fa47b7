"""The clock of another host: an estimate that is never surer than it may be, and a real other clock."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from deploy.stream.clock_offset import ClockExchange, OffsetEstimate, answer
from deploy.stream.keys import allow, client_keys, new_pair
from deploy.stream.subscriber import PoseSubscriber

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "stream_v1.json").read_text())["time_echo"]
CHECKOUT = Path(__file__).parents[3]

delays_ns = st.integers(0, 10**9)
exchanges = st.lists(st.tuples(delays_ns, delays_ns, delays_ns, delays_ns), min_size=1, max_size=80)


@given(st.integers(-(10**18), 10**18), exchanges, st.floats(-100e-6, 100e-6))
def test_the_true_offset_is_within_the_uncertainty(offset_ns: int, ways: list, drift: float) -> None:
    estimate = OffsetEstimate()
    assert estimate.at(0) is None
    t_ns, start_ns = 10**9, 10**9

    def there(t: int) -> int:
        """What the other clock shows: ahead, and running a little faster or slower."""
        return t + offset_ns + round(drift * (t - start_ns))

    for way_ns, held_ns, back_ns, pause_ns in ways:
        # longer than what the other clock gains meanwhile: such an exchange looks impossible and is left out
        out_ns = way_ns + held_ns // 5_000 + 1
        taken_ns, answered_ns = t_ns + out_ns, t_ns + out_ns + held_ns
        here_ns = answered_ns + back_ns
        estimate.add(t_ns, there(taken_ns), there(answered_ns), here_ns)
        t_ns = here_ns + pause_ns
    found = estimate.at(t_ns)
    assert found is not None
    # During one exchange of up to 3 s the clocks drift as well.
    allowance_ns = 3_000_000_000 * 100e-6 + 3
    assert abs(found.offset_ns - (there(t_ns) - t_ns)) <= found.uncertainty_ns + allowance_ns


def test_the_quickest_exchange_counts_and_ages() -> None:
    estimate = OffsetEstimate()
    for way_ns in (900_000, 100_000, 500_000):
        estimate.add(0, 7_000_000 + way_ns, 7_000_000 + way_ns, 2 * way_ns)
    first, later = estimate.at(2_000_000), estimate.at(2_000_000 + 10**9)
    assert first is not None and later is not None
    assert (first.offset_ns, later.offset_ns) == (7_000_000, 7_000_000)
    assert 100_000 <= first.uncertainty_ns < 101_000
    assert 199_000 < later.uncertainty_ns < 202_000


def test_an_answer_from_before_its_question_is_left_out() -> None:
    estimate = OffsetEstimate()
    estimate.add(0, 100, 50, 10)  # answered before it was taken up
    estimate.add(0, 5, 50, 10)  # held for longer than it was away
    assert estimate.at(20) is None


def test_golden_exchange() -> None:
    request = bytes.fromhex(GOLDEN["request"])
    assert answer(request, GOLDEN["t2_ns"], lambda: GOLDEN["t3_ns"]).hex() == GOLDEN["answer"]
    with zmq.Context() as context, context.socket(zmq.DEALER) as unused:
        exchange = ClockExchange(unused)
        exchange.hear(bytes.fromhex(GOLDEN["answer"]), GOLDEN["t4_ns"])
        found = exchange.estimate.at(GOLDEN["t4_ns"])
    assert found is not None
    assert (found.offset_ns, found.uncertainty_ns - 1) == (GOLDEN["offset_ns"], GOLDEN["uncertainty_ns"])
    for content in GOLDEN["malformed"]:
        assert answer(bytes.fromhex(content), 0) == b""


_numbers = st.lists(st.integers(-(2**63), 2**64 - 1), max_size=6).map(msgspec.msgpack.encode)


@given(st.binary(max_size=100) | _numbers, st.integers(0, 2**62))
def test_foreign_bytes_are_no_time_or_a_bounded_one(content: bytes, now_ns: int) -> None:
    assert isinstance(answer(content, 5), bytes)
    with zmq.Context.instance().socket(zmq.DEALER) as unused:
        exchange = ClockExchange(unused)
        for _ in range(3):
            exchange.hear(content, now_ns)
    found = exchange.estimate.at(now_ns)
    assert found is None or found.uncertainty_ns > 0


PUBLISHER = """
import sys, time
from pathlib import Path
from tests.deploy.streaming import STAMPS, describe, pose3d
from deploy.stream.publisher import Publisher
from deploy.stream.settings import StreamSettings

settings = StreamSettings(keys=Path(sys.argv[1]), endpoint="tcp://127.0.0.1:*")
with Publisher(settings, describe("a host of its own")) as publisher:
    print(publisher.endpoint, time.monotonic_ns(), flush=True)
    index = 0
    while True:
        publisher.service()
        publisher.pose(pose3d(index), STAMPS)  # five milliseconds old
        index += 1
        time.sleep(0.01)
"""


@pytest.mark.equipment
@pytest.mark.parametrize("ahead_s", [0, 5000])
def test_ages_of_a_publisher_whose_clock_really_is_another(tmp_path: Path, ahead_s: int) -> None:
    """A time namespace of Linux: CLOCK_MONOTONIC itself is 5000 s ahead in there."""
    apart = ["unshare", "--time", "--monotonic", str(ahead_s)] if ahead_s else []
    if apart and subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no time namespaces: needs root, Linux 5.6 and util-linux 2.36")
    keys = tmp_path / "keys"
    new_pair(keys, "server")
    public, secret = new_pair(tmp_path / "ada", "ada")
    allow(keys, public)
    with subprocess.Popen(
        [*apart, sys.executable, "-c", PUBLISHER, keys], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        endpoint, its_now_ns = process.stdout.readline().split()
        about_ns = int(its_now_ns) - time.monotonic_ns()
        assert abs(about_ns - ahead_s * 10**9) < 10 * 10**9
        with PoseSubscriber(endpoint, ["pose3d"], client_keys(keys / "server.pub", secret)) as subscriber:
            until = time.monotonic() + 20
            ages = []
            while len(ages) < 30:
                assert time.monotonic() < until
                message = subscriber.receive(timeout_ms=1000)
                if message is not None and message.age_ns is not None:
                    ages.append((message.age_ns, message.age_uncertainty_ns))
                if message is not None:
                    assert 0 <= message.late_ns < 10**10
            offset = subscriber.clock_offset
        process.kill()
    assert offset is not None and abs(offset.offset_ns - about_ns) < 10**9
    for age_ns, uncertainty_ns in ages:
        assert uncertainty_ns is not None and uncertainty_ns > 0
        assert age_ns >= 5_000_000 - uncertainty_ns
    best_ns = min(age_ns - (uncertainty_ns or 0) for age_ns, uncertainty_ns in ages)
    assert best_ns < 10**9  # not 5000 s
