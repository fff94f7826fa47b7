"""The policy of one output: when a command is followed, and when the output falls by itself."""

from __future__ import annotations

from deploy.closed_loop.outputs.port import Command
from deploy.closed_loop.outputs.settings import OutputSettings

AGE, CONFIDENCE, VIEWS, CUT = "age", "confidence", "views", "cut before"
TIME, SILENCE, GONE = "longest time", "silence", "processor gone"


def objection(settings: OutputSettings, command: Command, now_ns: int) -> str:
    """Why the evidence does not allow to switch on; "" where it does.

    Its age counts from the exposure: a predicted pose speaks of now, however old what it was made from is.
    """
    if now_ns - command.t_exposure_ns > settings.max_age_ms * 1e6:
        return AGE
    if not command.confidence >= settings.min_confidence:  # NaN objects
        return CONFIDENCE
    if command.views < settings.min_views:
        return VIEWS
    return ""


class OutputGuard:
    """The state of one output. No device in here: who asks does what it says.

    An output that was cut stays low until it has been asked to be low, as the trigger's firmware has it: a
    processor that keeps asking must not make it flicker.

    Attributes
    ----------
    on:
        Whether it is high.

    Parameters
    ----------
    settings:
        Its policy.
    """

    def __init__(self, settings: OutputSettings) -> None:
        self.on = False
        self._settings = settings
        self._since_ns = 0
        self._cut = False

    def judge(self, command: Command, now_ns: int) -> str:
        """ "" where the command is to be followed, else why not. The state is then as it is to be.

        Evidence that does not suffice makes an output fall that was on.
        """
        if not command.on:
            self.on = self._cut = False
            return ""
        why = CUT if self._cut else objection(self._settings, command, now_ns)
        if why:
            self.on = False
        elif not self.on:
            self.on, self._since_ns = True, now_ns
        return why

    def overdue(self, now_ns: int, fresh_ns: int) -> str:
        """Why it is to fall now, "" where it is not.

        `fresh_ns` is the exposure of the newest pose that the processor has dealt with.
        """
        if not self.on:
            return ""
        if now_ns - self._since_ns >= self._settings.max_on_ms * 1e6:
            return TIME
        return SILENCE if now_ns - fresh_ns >= self._settings.silence_ms * 1e6 else ""

    def cut(self) -> None:
        """It falls, and stays low until it was asked to be."""
        self.on, self._cut = False, True

    def due_ns(self, fresh_ns: int) -> int | None:
        """When `overdue` will have something to say; None while it is low."""
        if not self.on:
            return None
        return min(
            self._since_ns + round(self._settings.max_on_ms * 1e6),
            fresh_ns + round(self._settings.silence_ms * 1e6),
        )
