"""The policy of an output as properties: whatever is asked, it is never high against its rules."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from deploy.closed_loop.outputs.guard import (
    AGE,
    CONFIDENCE,
    CUT,
    SILENCE,
    TIME,
    VIEWS,
    OutputGuard,
    objection,
)
from deploy.closed_loop.outputs.port import Beat, Command, decode, encode
from deploy.closed_loop.outputs.settings import OutputSettings

MS = 1_000_000
SETTINGS = OutputSettings(
    uri="log:", max_age_ms=50, min_confidence=0.6, min_views=2, max_on_ms=30, silence_ms=40
)


def command(
    on: bool = True, t_ms: float = 0, confidence: float = 0.9, views: int = 3, ahead_ms: float = 0
) -> Command:
    return Command("laser", on, 7, round(t_ms * MS), round((t_ms + ahead_ms) * MS), confidence, views)


@given(
    age=st.floats(0, 100), confidence=st.floats(0, 1) | st.just(float("nan")), views=st.integers(0, 5),
    ahead=st.floats(0, 500),
)  # fmt: skip
@example(age=60, confidence=0.9, views=3, ahead=40)  # too old, and it speaks of 20 ms ago
def test_every_condition_must_hold(age: float, confidence: float, views: int, ahead: float) -> None:
    """However far ahead a pose speaks, its age is that of its exposure."""
    allowed = round(age * MS) <= 50 * MS and confidence >= 0.6 and views >= 2
    why = objection(SETTINGS, command(True, 1000 - age, confidence, views, ahead), 1000 * MS)
    assert (why == "") == allowed
    if why:
        assert why in (AGE, CONFIDENCE, VIEWS)


@given(
    steps=st.lists(
        st.tuples(
            st.floats(0.1, 15), st.sampled_from(["on", "off", "beat", "stale", "doubtful", "nothing"])
        ),
        max_size=80,
    )
)  # fmt: skip
def test_it_is_never_high_too_long_nor_in_silence_nor_after_a_cut(steps: list[tuple[float, str]]) -> None:
    guard, now, fresh, since, cut = OutputGuard(SETTINGS), 1000.0, 1000.0, None, False
    for wait, what in steps:
        now += wait
        now_ns, fresh_ns = round(now * MS), round(fresh * MS)
        due = guard.due_ns(fresh_ns)
        why = guard.overdue(now_ns, fresh_ns)
        assert bool(why) == (due is not None and due <= now_ns)
        if why:
            assert since is not None and why in (TIME, SILENCE)
            assert (now_ns - since >= 30 * MS) if why == TIME else (now_ns - fresh_ns >= 40 * MS)
            guard.cut()
            cut = True
        if not guard.on:
            since = None
        if what == "beat":
            fresh = now
        elif what in ("on", "stale", "doubtful"):
            asked = command(True, now - (60 if what == "stale" else 0), 0.1 if what == "doubtful" else 0.9)
            answer = guard.judge(asked, now_ns)
            fresh = max(fresh, now - (60 if what == "stale" else 0))
            expected = CUT if cut else {"stale": AGE, "doubtful": CONFIDENCE}.get(what, "")
            assert answer == expected and guard.on == (answer == "")
            since = (since or now_ns) if guard.on else None
        elif what == "off":
            assert guard.judge(command(False, 0, 0, 0), now_ns) == "" and not guard.on
            cut, since = False, None


def test_messages_survive_the_way() -> None:
    for message in (command(), Beat(12), command(confidence=float("nan"))):
        back = decode(encode(message))
        assert type(back) is type(message) and repr(back) == repr(message)
    assert np.isnan(decode(encode(command(confidence=float("nan")))).confidence)
