"""The stream from the publisher to a subscriber in another process, over tcp on loopback.

    python -m benchmarks.stream [--cameras 4] [--points 20] [--rate 200] [--repetitions 10] [--json FILE]

Three questions, each with states that take turns within one run, so that a busy machine slows all: what CURVE
costs, and beside it what ZeroMQ takes that does nothing else (as many bytes from a bare socket to a bare
socket: what the wake-ups of this machine cost); what subscribers with wrong keys cost the one with the right
key; what a subscriber that has been stopped (SIGSTOP) costs the publisher's memory and the others. The
publisher is the one `rigpose live` uses, the subscribers are `PoseSubscriber`s in processes of their own.
Latency is from `t_publish_ns`, just before the message is handed to ZeroMQ, until it is decoded in the
subscriber.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from acquisition.synchronisation.clock import clock_anchor
from calibration.poses import Pose3D, PoseSet
from deploy.stream.keys import ClientKeys, allow, client_keys, fresh_pair, new_pair
from deploy.stream.messages import CameraView, Session, StreamClock
from deploy.stream.publisher import Publisher, Stamps
from deploy.stream.settings import StreamSettings
from deploy.stream.subscriber import PoseSubscriber

BOUNDS = {"p50_ms": 0.3, "p99_ms": 2.0, "curve_us": 30.0}
BARE = struct.Struct("<qq")


@dataclass(frozen=True, slots=True)
class Load:
    """What is published: poses of so many cameras and points, so many sets a second, in so many turns."""

    cameras: int
    points: int
    rate_hz: float
    seconds: float
    repetitions: int


def listen(endpoint: str, keys: ClientKeys | None, parent: Connection) -> None:
    """A subscriber's process: say when joined; on the parent's word send all that was measured."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rows: list[tuple[int, int, int]] = []
    joined = False
    with PoseSubscriber(endpoint, ["pose2d", "pose3d"], keys) as stream:
        while not parent.poll(0):
            message = stream.receive(timeout_ms=100)
            if message is not None:
                late_ns = message.t_received_ns - message.header.t_publish_ns
                rows.append((message.header.index, message.topic == "pose3d", late_ns))
            if not joined and (stream.session is not None or stream.refused):
                joined = True
                parent.send("joined")
        parent.send((rows, dict(stream.lost), stream.refused))


def listen_barely(endpoint: str, keys: None, parent: Connection) -> None:
    """As `listen`, with nothing but ZeroMQ: a message is its number, its time and padding."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rows: list[tuple[int, int, int]] = []
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.subscribe(b"")
        socket.connect(endpoint)
        while not parent.poll(0):
            if socket.poll(100):
                header, _ = socket.recv_multipart()
                index, t_publish_ns = BARE.unpack(header)
                if not rows:
                    parent.send("joined")
                rows.append((index, 0, time.monotonic_ns() - t_publish_ns))
        parent.send((rows, {}, ""))


class BareSource:
    """Two messages a set, of the sizes that `Source`'s have."""

    def __init__(self, load: Load) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self.endpoint = f"tcp://127.0.0.1:{port}"
        self._padding = bytes(4 * load.cameras * load.points * 3), bytes(4 * load.points * 11)
        self.index = 0

    def wait_for(self, listener: Listener) -> None:
        while not listener.joined:
            self.publish(100, 0.1)

    def publish(self, rate_hz: float, seconds: float) -> tuple[range, list[float]]:
        first, start_ns, sends_us = self.index, time.monotonic_ns(), []
        for number in range(round(rate_hz * seconds)):
            time.sleep(max(0, start_ns + round(number * 1e9 / rate_hz) - time.monotonic_ns()) * 1e-9)
            now_ns = time.monotonic_ns()
            for padding in self._padding:
                self._socket.send_multipart([BARE.pack(self.index, time.monotonic_ns()), padding])
            sends_us.append((time.monotonic_ns() - now_ns) / 1e3)
            self.index += 1
        return range(first, self.index), sends_us

    def close(self) -> None:
        self._context.destroy(linger=0)


class Listener:
    """A subscriber in a process of its own."""

    def __init__(
        self, endpoint: str, keys: ClientKeys | None = None, listen: Callable[..., None] = listen
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._link, theirs = context.Pipe()
        self.process = context.Process(target=listen, args=(endpoint, keys, theirs))
        self.process.start()

    @property
    def joined(self) -> bool:
        return self._link.poll(0)

    def results(self) -> tuple[np.ndarray, dict[str, int], str]:
        """Rows of index, whether 3D, latency ns; losses; why it was refused."""
        self._link.recv()
        self._link.send("stop")
        rows, lost, refused = self._link.recv()
        self.process.join()
        return np.array(rows, np.int64).reshape(-1, 3), lost, refused


def describe(load: Load) -> Session:
    anchor = clock_anchor()
    clock = StreamClock(anchor.boot_id, "here", anchor.t_ns, anchor.realtime_ns, anchor.uncertainty_ns)
    names = tuple(f"point {n}" for n in range(load.points))
    return Session(
        "bench", tuple(CameraView(f"cam {n}", 640, 480) for n in range(load.cameras)), names, clock
    )


class Source:
    """A publisher with poses to send."""

    def __init__(self, load: Load, keys: Path | None = None) -> None:
        settings = StreamSettings(keys=keys, endpoint="tcp://127.0.0.1:*")
        self.publisher = Publisher(settings, lambda: describe(load))
        rng = np.random.default_rng(0)
        self._poses = rng.normal(size=(load.cameras, load.points, 3)).astype(np.float32)
        self._points = rng.normal(size=(load.points, 11)).astype(np.float32)
        self.index = 0

    def wait_for(self, *listeners: Listener) -> None:
        while not all(listener.joined for listener in listeners):
            self.publisher.service()
            time.sleep(0.01)
        for _ in range(20):
            self.publisher.service()
            time.sleep(0.01)

    def publish(self, rate_hz: float, seconds: float) -> tuple[range, list[float]]:
        """Poses at that rate; the indices they have, and how long each set's two sends took, us."""
        first, start_ns, sends_us = self.index, time.monotonic_ns(), []
        for number in range(round(rate_hz * seconds)):
            due_ns = start_ns + round(number * 1e9 / rate_hz)
            self.publisher.service()
            time.sleep(max(0, due_ns - time.monotonic_ns()) * 1e-9)
            now_ns = time.monotonic_ns()
            stamps = Stamps(now_ns, now_ns, now_ns)
            self.publisher.pose(PoseSet(self.index, now_ns, self._poses), stamps)
            self.publisher.pose(Pose3D(self.index, now_ns, self._points), stamps)
            sends_us.append((time.monotonic_ns() - now_ns) / 1e3)
            self.index += 1
        return range(first, self.index), sends_us


@contextlib.contextmanager
def source(load: Load, keys: Path | None = None) -> Iterator[Source]:
    made = Source(load, keys)
    try:
        yield made
    finally:
        made.publisher.close()


def percentiles_ms(rows: np.ndarray, indices: list[range]) -> dict[str, float]:
    """Of the messages with these indices."""
    wanted = np.concatenate([np.arange(part.start, part.stop) for part in indices])
    late_ms = rows[np.isin(rows[:, 0], wanted), 2] / 1e6
    figures = {f"p{p}_ms": float(np.percentile(late_ms, p)) for p in (50, 95, 99)}
    return {"messages": len(late_ms), **figures, "max_ms": float(late_ms.max())}


def pss_mb() -> float:
    """Proportional set size of this process: the publisher's."""
    text = Path("/proc/self/smaps_rollup").read_text()
    return int(text.split("\nPss:")[1].split()[0]) / 1024


def curve(load: Load, keys: Path, mine: ClientKeys) -> dict[str, Any]:
    """CURVE on and off, and a bare socket, turn by turn."""
    with source(load) as plain, source(load, keys) as keyed, contextlib.closing(BareSource(load)) as bare:
        listeners = (
            Listener(bare.endpoint, listen=listen_barely),
            Listener(plain.publisher.endpoint), Listener(keyed.publisher.endpoint, mine),
        )  # fmt: skip
        sources: dict[str, BareSource | Source] = {"bare": bare, "plain": plain, "curve": keyed}
        for each, listener in zip(sources.values(), listeners, strict=True):
            each.wait_for(listener)
            each.publish(load.rate_hz, 1.0)  # warm
        turns: dict[str, list[range]] = {name: [] for name in sources}
        sends_us: dict[str, list[float]] = {name: [] for name in sources}
        for repetition in range(load.repetitions):
            for name in sources if repetition % 2 else reversed(sources):
                for idle in (plain, keyed):
                    idle.publisher.service()
                indices, sends = sources[name].publish(load.rate_hz, load.seconds)
                turns[name].append(indices)
                sends_us[name] += sends
        rows = dict(zip(turns, (listener.results() for listener in listeners), strict=True))
    figures: dict[str, Any] = {
        name: {
            **percentiles_ms(rows[name][0], turns[name]),
            "lost": sum(rows[name][1].values()),
            "send_p50_us": float(np.median(sends_us[name])),
        }
        for name in turns
    }
    medians = {
        name: [percentiles_ms(rows[name][0], [turn])["p50_ms"] for turn in turns[name]] for name in turns
    }

    def more_us(name: str, than: str) -> list[float]:
        return [1e3 * (on - off) for on, off in zip(medians[name], medians[than], strict=True)]

    costs_us, ours_us = more_us("curve", "plain"), more_us("plain", "bare")
    return {
        **figures, "curve_us": float(np.median(costs_us)), "curve_us_of_each": costs_us,
        "ours_us": float(np.median(ours_us)), "ours_us_of_each": ours_us,
    }  # fmt: skip


def wrong_key(load: Load, keys: Path, mine: ClientKeys) -> dict[str, Any]:
    """The right subscriber alone, and beside others who hold a wrong key, turn by turn."""
    with source(load, keys) as keyed:
        right = Listener(keyed.publisher.endpoint, mine)
        keyed.wait_for(right)
        keyed.publish(load.rate_hz, 1.0)
        turns: dict[str, list[range]] = {"alone": [], "beside": []}
        received = 0
        reasons = set()
        for _ in range(load.repetitions):
            turns["alone"].append(keyed.publish(load.rate_hz, load.seconds)[0])
            unlisted = ClientKeys(mine.server, fresh_pair())
            mistaken = ClientKeys(fresh_pair().public, mine.own)
            strangers = [Listener(keyed.publisher.endpoint, wrong) for wrong in (unlisted, mistaken, None)]
            keyed.wait_for(*strangers)
            turns["beside"].append(keyed.publish(load.rate_hz, load.seconds)[0])
            for stranger in strangers:
                rows, _, why = stranger.results()
                received += len(rows)
                reasons.add(why)
        rows, lost, _ = right.results()
        counters = keyed.publisher.counters()
    return {
        **{name: percentiles_ms(rows, parts) for name, parts in turns.items()},
        "lost": sum(lost.values()),
        "received_by_strangers": received,
        "told": sorted(reasons),
        "counted": {name: count for name, count in counters.items() if name.startswith("clients_refused")},
    }


def stopped(load: Load, keys: Path, mine: ClientKeys) -> dict[str, Any]:
    """One subscriber stands still; the publisher's memory and another subscriber, turn by turn.

    With ten times the points at twice the rate, so that all queues run full.
    """
    load = replace(load, points=10 * load.points, rate_hz=2 * load.rate_hz)
    with source(load, keys) as keyed:
        running, still = (Listener(keyed.publisher.endpoint, mine) for _ in range(2))
        keyed.wait_for(running, still)
        keyed.publish(load.rate_hz, 1.0)
        turns: dict[str, list[range]] = {"all running": [], "one stopped": []}
        memory_mb = [pss_mb()]
        for _ in range(load.repetitions):
            turns["all running"].append(keyed.publish(load.rate_hz, load.seconds)[0])
            assert still.process.pid is not None
            os.kill(still.process.pid, signal.SIGSTOP)
            turns["one stopped"].append(keyed.publish(load.rate_hz, load.seconds)[0])
            memory_mb.append(pss_mb())
            os.kill(still.process.pid, signal.SIGCONT)
            keyed.publish(load.rate_hz, 0.5)
        overflows = keyed.publisher.overflows
        rows, lost, _ = running.results()
        still_rows, still_lost, _ = still.results()
    return {
        **{name: percentiles_ms(rows, parts) for name, parts in turns.items()},
        "lost_by_the_running": sum(lost.values()),
        "received_and_lost_by_the_stopped": [len(still_rows), sum(still_lost.values())],
        "overflows": overflows,
        "publisher_pss_mb": memory_mb,
        "sets": keyed.index,
    }


def measure(load: Load) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        new_pair(keys, "server")
        public, secret = new_pair(Path(folder) / "client", "bench")
        allow(keys, public)
        mine = client_keys(keys / "server.pub", secret)
        return {
            "curve": curve(load, keys, mine),
            "wrong key": wrong_key(load, keys, mine),
            "stopped": stopped(load, keys, mine),
        }


def show(results: dict[str, Any]) -> bool:
    """The figures in lines; whether all are within their bounds."""

    def line(name: str, figures: dict[str, float]) -> None:
        parts = " ".join(f"{key[:-3]} {figures[key]:.3f}" for key in ("p50_ms", "p95_ms", "p99_ms", "max_ms"))
        print(f"  {name:<12} {parts} ms, {figures['messages']} messages")

    for question, states in results.items():
        print(question)
        for name, figures in states.items():
            if isinstance(figures, dict) and "p50_ms" in figures:
                line(name, figures)
    on, costs = results["curve"]["curve"], results["curve"]["curve_us_of_each"]
    print(f"CURVE costs {results['curve']['curve_us']:.0f} us (p50; {min(costs):.0f} to {max(costs):.0f})")
    ours = results["curve"]["ours_us_of_each"]
    print(f"above bare ZeroMQ {results['curve']['ours_us']:.0f} us (p50; {min(ours):.0f} to {max(ours):.0f})")
    memory = results["stopped"]["publisher_pss_mb"]
    print(
        f"publisher's memory beside a stopped subscriber: {memory[1]:.1f} MB, at the end {memory[-1]:.1f} MB"
    )
    strangers = results["wrong key"]
    print(f"strangers received {strangers['received_by_strangers']}, counted {strangers['counted']}")
    good = {
        f"p50 <= {BOUNDS['p50_ms']} ms": on["p50_ms"] <= BOUNDS["p50_ms"],
        f"p99 <= {BOUNDS['p99_ms']} ms": on["p99_ms"] <= BOUNDS["p99_ms"],
        f"CURVE <= {BOUNDS['curve_us']:.0f} us": results["curve"]["curve_us"] <= BOUNDS["curve_us"],
        "strangers receive nothing": strangers["received_by_strangers"] == 0,
        "the right one loses nothing": strangers["lost"] == 0,
        "memory flat within 2 MB": max(memory[1:]) - memory[1] < 2,
        "the running one loses nothing": results["stopped"]["lost_by_the_running"] == 0,
    }
    for bound, kept in good.items():
        print(f"{'kept  ' if kept else 'MISSED'} {bound}")
    return all(good.values())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn")
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = measure(Load(given.cameras, given.points, given.rate, given.seconds, given.repetitions))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(0 if show(found) else 1)
