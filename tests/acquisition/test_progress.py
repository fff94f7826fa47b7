import io
from contextlib import redirect_stderr

import pytest

from acquisition.progress import Progress, is_quiet, quieted, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def test_track_yields_every_item_and_shows_a_bar(terminal):
    with redirect_stderr(terminal):
        assert list(track([1, 2, 3], "frames")) == [1, 2, 3]
    assert "frames" in terminal.getvalue()


def test_a_bar_counts_and_carries_a_note(terminal):
    with redirect_stderr(terminal), Progress("epochs", total=4) as bar:
        bar.advance(4, note="loss 0.1")
    assert "4/4" in terminal.getvalue()
    assert "loss 0.1" in terminal.getvalue()


def test_nothing_is_shown_where_nobody_looks():
    stream = io.StringIO()
    with redirect_stderr(stream):
        assert list(track(iter("ab"), "letters")) == ["a", "b"]
    assert stream.getvalue() == ""


def test_nothing_is_shown_when_quiet_and_quiet_ends(terminal):
    with redirect_stderr(terminal), quieted(True):
        assert is_quiet()
        with quieted(False):  # an inner command does not undo the person's wish
            assert list(track([1], "frames")) == [1]
    assert not is_quiet()
    assert terminal.getvalue() == ""
