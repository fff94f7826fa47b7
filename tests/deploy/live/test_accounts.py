"""Frame sets in = published + skipped + empty, and every absent frame under its cause."""

from acquisition.frame import Absence
from acquisition.synchronisation.synchronise import Resolved, StampSet
from deploy.live import accounts
from deploy.live.accounts import SetAccounts


def _set(index: int, *absences: Absence | None) -> StampSet:
    there = tuple("stamp" if cause is None else None for cause in absences)
    return StampSet(index, 0, 0, there, absences, there)


def test_the_accounts_balance_once_every_set_is_dealt_with() -> None:
    book = SetAccounts(["top", "side"])
    whole, partial = _set(0, None, None), _set(1, None, Absence.LOST)
    empty = _set(2, Absence.LATE, Absence.IGNORED)
    book.arrived([whole, partial, empty])
    assert not book.balanced
    book.was_published(whole)
    book.was_skipped(partial)
    book.was_empty()
    assert book.balanced
    summary = book.summary()
    assert (summary["sets_in"], summary["published"], summary["skipped"], summary["empty"]) == (3, 1, 1, 1)
    assert (summary["complete_in"], summary["complete_published"], summary["complete_skipped"]) == (1, 1, 0)
    assert summary["lost"] == {"top": {"late": 1}, "side": {"lost": 1, "trigger ignored": 1}}
    assert summary["absences"] == [
        [1, "side", "lost"],
        [2, "side", "trigger ignored"],
        [2, "top", "late"],
    ]


def test_a_cause_that_becomes_known_replaces_late() -> None:
    book = SetAccounts(["top"])
    book.arrived([_set(5, Absence.LATE), _set(6, Absence.LATE)])
    book.resolved([Resolved(5, "top", Absence.LOST)])
    assert book.lost() == {"top": {"late": 1, "lost": 1}}
    assert book.summary()["absences"] == [[5, "top", "lost"], [6, "top", "late"]]


def test_a_complete_set_counted_twice_is_seen() -> None:
    book = SetAccounts(["top"])
    book.arrived([_set(0, None), _set(1, Absence.LOST)])
    book.was_published(_set(0, None))
    book.was_published(_set(0, None))
    assert not book.balanced


def test_the_list_of_absences_is_bounded_and_the_counts_are_not(monkeypatch) -> None:
    monkeypatch.setattr(accounts, "ABSENCES_LISTED", 3)
    book = SetAccounts(["top"])
    book.arrived(_set(index, Absence.LOST) for index in range(10))
    assert len(book.summary()["absences"]) == 3 and book.lost() == {"top": {"lost": 10}}
