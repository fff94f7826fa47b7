"""A stall is caught up in order, an overload keeps the newest, and nothing is forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from acquisition.frame import Absence
from acquisition.synchronisation.synchronise import StampSet
from deploy.live.backlog import LIMIT, Backlog

PERIOD_NS = 10_000_000


def _set(index: int, complete: bool = True) -> StampSet:
    stamps = ("stamp",) if complete else (None,)
    return StampSet(
        index, index * PERIOD_NS, 0, stamps, (None if complete else Absence.LOST,), stamps
    )  # fmt: skip


def _loaded(service_ns: int) -> Backlog:
    """A backlog that has seen twenty sets tracked in `service_ns` each."""
    backlog = Backlog()
    for index in range(20):
        backlog.offer([_set(index)])
        assert backlog.take() is not None
        backlog.served(service_ns)
    return backlog


def test_after_a_stall_all_are_tracked_in_order() -> None:
    backlog = _loaded(service_ns=PERIOD_NS // 2)
    backlog.served(100 * PERIOD_NS)  # one stall does not make a slow network
    assert not backlog.overloaded
    backlog.offer(_set(index) for index in range(20, 20 + LIMIT))
    taken = [frame_set.index for frame_set in iter(backlog.take, None)]
    assert taken == list(range(20, 20 + LIMIT)) and backlog.skipped() == []


def test_an_overload_tracks_the_newest_complete_set() -> None:
    backlog = _loaded(service_ns=2 * PERIOD_NS)
    assert backlog.overloaded
    backlog.offer([_set(20), _set(21), _set(22), _set(23, complete=False)])
    taken = backlog.take()
    assert taken is not None and taken.index == 22
    assert [frame_set.index for frame_set in backlog.skipped()] == [20, 21]
    incomplete = backlog.take()
    assert incomplete is not None and incomplete.index == 23 and backlog.take() is None


def test_an_overload_of_incomplete_sets_still_tracks_the_newest() -> None:
    backlog = _loaded(service_ns=2 * PERIOD_NS)
    backlog.offer([_set(20, complete=False), _set(21, complete=False)])
    taken = backlog.take()
    assert taken is not None and taken.index == 21


def test_what_waits_is_bounded_and_the_oldest_go() -> None:
    backlog = Backlog(limit=3)
    backlog.offer(_set(index) for index in range(5))
    assert [frame_set.index for frame_set in backlog.skipped()] == [0, 1]
    assert len(backlog) == 3 and backlog.skipped() == []


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 4 * PERIOD_NS)), max_size=80))
def test_every_set_is_taken_or_skipped_exactly_once(rounds: list[tuple[int, bool, int]]) -> None:
    backlog, offered, taken, skipped = Backlog(), 0, [], []
    for count, complete, service_ns in rounds:
        backlog.offer([_set(offered + n, complete) for n in range(count)])
        offered += count
        frame_set = backlog.take()
        if frame_set is not None:
            taken.append(frame_set.index)
            backlog.served(service_ns)
        skipped += [given_up.index for given_up in backlog.skipped()]
    taken += [frame_set.index for frame_set in iter(backlog.take, None)]
    skipped += [given_up.index for given_up in backlog.skipped()]
    assert sorted(taken + skipped) == list(range(offered))
    assert taken == sorted(taken)
