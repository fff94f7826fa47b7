"""The trigger on a serial port: a pulse train set, read back, started, heard and stopped."""

from __future__ import annotations

import time
from collections.abc import Callable

from acquisition.errors import RigposeError
from acquisition.trigger.link import TriggerLink
from acquisition.trigger.protocol import Event, Train

SHORTEST_CYCLES = 1600
_HZ = 16_000_000
_SILENCE_MS = 2000
_LINE_ON_MS, _LINE_SILENCE_MS = 100, 500
_LEAD_S = 0.1
_SPAN_NS = 1_000_000_000  # of clock exchanges, before the first pulse's place on the rig clock is told
_REPORTS_HZ = 100.0
_NOTED_NS = 1_000_000_000

_ENDS = {2: "its burst was over", 3: "it heard nothing of us", 4: "an edge came too late"}
_CUTS = {1: "longest time", 2: "silence"}
_FACTS = {"pulse": 2, "edge": 5, "lost": 1, "gate": 2, "cut": 1, "end": 3}  # numbers of each event

Note = Callable[..., None]


def train_of(rate_hz: float, exposure_us: float) -> Train:
    """The train of a rig: both timed outputs and the group, high for the exposure.

    Raises
    ------
    RigposeError
        If the exposure does not leave the cameras a twentieth of the period.
    """
    period = round(_HZ / rate_hz)
    if exposure_us > 0.95e6 / rate_hz:
        raise RigposeError(
            "trigger", expected=f"a rate that an exposure of {exposure_us:g} us leaves room for",
            found=f"rate_hz: {rate_hz:g}", remedy="Lower one of them in the rig file's trigger section",
        )  # fmt: skip
    width = min(max(round(exposure_us * _HZ / 1e6), SHORTEST_CYCLES), period - SHORTEST_CYCLES)
    every = max(1, round(rate_hz / _REPORTS_HZ))
    return Train(period, 0, width, 0, width, every=every)


class SerialTrigger:
    """An Arduino with the firmware of `firmware_configs/trigger`; see `acquisition.trigger.port.Trigger`.

    Attributes
    ----------
    train:
        What is asked of it; after `open`, what it holds.
    link:
        The conversation; None before `open` and after `close`.
    on_pulse:
        Called with every reported slot and the arrival of its report, ns, from another thread.

    Parameters
    ----------
    port:
        Path of the serial port.
    train:
        The pulses, `train_of` a rig's settings.
    """

    def __init__(self, port: str, train: Train) -> None:
        self.port = port
        self.train = train
        self.link: TriggerLink | None = None
        self.on_pulse: Callable[[int, int], None] | None = None
        self._note: Note | None = None
        self._started = False
        self._fault = ""
        self._slots = 0
        self._noted_ns = 0

    @property
    def fault(self) -> str:
        """ "" while all is well; else why this train is over. It is never taken up again."""
        return self._fault or (self.link.fault if self.link is not None else "")

    def listen(self, note: Note | None) -> None:
        """Pass what happens to `note(kind, t_ns, **facts)`, from another thread; None: to nobody.

        Kinds: "trigger started", "pulse" (one a second), "edge", "edges lost", "gate", "line cut",
        "trigger stopped".
        """
        self._note = note

    def open(self) -> None:
        """Reach the device, set the train and read it back. Takes up to six seconds (its bootloader).

        Raises
        ------
        RigposeError
            See `TriggerLink`; or where the trigger does not take the train as it is.
        """
        self.link = TriggerLink(self.port, self._on_event)
        try:
            self._prepare(self.link)
        except BaseException:
            self.close()
            raise

    def start(self) -> tuple[int, int]:
        """Begin to pulse: (instant of pulse 0 on the rig clock, actual period), ns.

        The period is the trigger's own, in cycles, by the length of its cycles as measured since
        `open`. Waits until that was a second ago.
        """
        link = self._open_link()
        while link.clock.span_ns < _SPAN_NS and not link.fault:
            time.sleep(0.05)
        link.exchange_clocks()
        self._check(self.train, link.ask("get").words)
        self._slots = 0
        answer = link.ask("start", round(_LEAD_S * link.hz))
        if answer.refusal:
            raise self._refused("start", answer.refusal)
        first_ns = link.clock.to_rig(answer.numbers[0])
        period_ns = round(self.train.period * link.clock.ns_per_cycle)
        self._started = True
        self._tell(
            "trigger started", first_ns, epoch=link.epoch, period_cycles=self.train.period, hz=link.hz,
            width_cycles=self.train.width_a, period_ns=period_ns, drift_ppm=round(link.clock.drift_ppm, 1),
            uncertainty_ns=link.clock.uncertainty_ns,
        )  # fmt: skip
        return first_ns, period_ns

    def stop(self) -> int:
        """No more pulses; how many there were since `start`. 0 when called again.

        After a fault the number is the last that was heard; the board itself falls silent two seconds
        after the host.
        """
        if not self._started:
            return 0
        self._started = False
        held = None
        if not self.fault:
            try:
                self._slots, held = self._stopped()
            except RigposeError as error:
                self._fault = error.found
        self._tell("trigger stopped", time.monotonic_ns(), pulses=self._slots, held=held, fault=self.fault)
        return self._slots

    def line(self, high: bool) -> None:
        """The closed-loop output. It falls by itself after its longest time, 0.1 s.

        Raises
        ------
        RigposeError
            If it was cut and has not been asked to fall since, or the trigger does not answer.
        """
        answer = self._open_link().ask("line", int(high))
        if answer.refusal:
            raise self._refused("line", answer.refusal)

    def close(self) -> None:
        """Stop and let go. Never raises; may be called twice."""
        if self.link is None:
            return
        self.stop()
        self._fault = self.fault
        self.link.close()
        self.link = None

    def _prepare(self, link: TriggerLink) -> None:
        # A train of an earlier program may still be running if the board was not reset.
        if link.ask("stop").refusal == "" and not self._wait_until_still(link):
            raise self._refused("stop", "running")
        answer = link.ask("set", *self.train.arguments)
        if answer.refusal:
            raise self._refused(f"a period of {self.train.period} cycles", answer.refusal)
        self._check(self.train, answer.words)
        limits = (_SILENCE_MS, _LINE_ON_MS, _LINE_SILENCE_MS)
        answer = link.ask("limit", *limits)
        if answer.refusal or answer.numbers != limits:
            raise self._refused("its limits", answer.refusal or " ".join(answer.words))

    def _stopped(self) -> tuple[int, int]:
        link = self._open_link()
        answer = link.ask("stop")
        if answer.refusal or len(answer.words) != 2:
            raise self._refused("stop", answer.refusal)
        if not self._wait_until_still(link):
            raise self._refused("stop", "it goes on")
        link.ask("beat")
        return answer.numbers[0], link.beat[3]

    def _wait_until_still(self, link: TriggerLink) -> bool:
        until_s = time.monotonic() + 2.0 + 2 * self.train.period / _HZ
        while time.monotonic() < until_s:
            link.ask("beat")
            if not link.beat[1]:
                return True
            time.sleep(0.01)
        return False

    def _check(self, train: Train, words: tuple[str, ...]) -> None:
        held = tuple(int(word, 16) for word in words)
        if held != train.arguments:
            raise self._refused(f"settings {train.arguments}", f"it holds {held}")

    def _on_event(self, event: Event, arrival_ns: int) -> None:
        """In the link's thread."""
        link, numbers = self.link, event.numbers
        if link is None or len(numbers) != _FACTS.get(event.kind):
            return
        if event.kind == "pulse":
            self._slots = numbers[0] + 1
            if self.on_pulse is not None:
                self.on_pulse(numbers[0], arrival_ns)
            if arrival_ns >= self._noted_ns:
                self._noted_ns = arrival_ns + _NOTED_NS
                self._tell("pulse", link.clock.to_rig(numbers[1]), pulse=numbers[0], epoch=event.epoch)
        elif event.kind == "edge":
            number, level, cycles, slots, since = numbers
            self._tell(
                "edge", link.clock.to_rig(cycles), level=level, number=number, epoch=event.epoch,
                pulse=slots - 1 if slots else None,
                since_ns=round(since * link.clock.ns_per_cycle) if slots else None,
            )  # fmt: skip
        elif event.kind == "lost":
            self._tell("edges lost", arrival_ns, at_least=numbers[0])
        elif event.kind == "gate":
            self._tell("gate", arrival_ns, level=numbers[0], slots=numbers[1])
        elif event.kind == "cut":
            self._tell("line cut", arrival_ns, why=_CUTS.get(numbers[0], str(numbers[0])))
        elif event.kind == "end":
            self._slots = numbers[1]
            if self._started and numbers[0] in _ENDS:
                self._fault = f"the trigger ended its train after {numbers[1]} pulses: {_ENDS[numbers[0]]}"

    def _tell(self, kind: str, t_ns: int, **facts: object) -> None:
        if self._note is not None:
            self._note(kind, t_ns, **facts)

    def _open_link(self) -> TriggerLink:
        if self.link is None:
            raise self._refused("a request", "not open")
        return self.link

    def _refused(self, what: str, why: str) -> RigposeError:
        return RigposeError(
            f"trigger at {self.port}", expected=f"it to take {what}", found=why,
            remedy="Check trigger.rate_hz and trigger.exposure_us in the rig file, or reset the board",
        )  # fmt: skip
