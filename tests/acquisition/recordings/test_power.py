"""A loss of power in the middle of a recording: two seconds are lost at most, and all before them plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from acquisition.recordings.recording import Recording
from acquisition.recordings.recover import recover
from tests.acquisition.recordings import power_guest
from tests.acquisition.sessions import number_of
from tests.equipment.guest.power import cut_power

LOST_S = 2.0


def published(lines: list[str]) -> list[list[int]]:
    """(rig clock ns, frames of each camera) of the lines that are whole."""
    found = [line.split()[1:] for line in lines if line.startswith("published ")]
    return [[int(word) for word in words] for words in found if len(words) == 1 + len(power_guest.RATES_HZ)]


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.equipment
def test_a_loss_of_power_takes_two_seconds_at_most(tmp_path):
    script = Path(power_guest.__file__)
    lines, disk = cut_power(
        tmp_path, [script], lambda said: bool(rows := published(said)) and rows[-1][1] >= 18
    )
    cut_ns = published(lines)[-1][0]
    folder = disk / "day1"
    said = recover(folder)
    with Recording.open(folder) as recording:
        assert recording.session["ended"]["how"] == "cut off, and recovered"
        for name in power_guest.RATES_HZ:
            table = recording.frame_table(name)
            assert len(table) == said["frames"][name] > 0
            assert (cut_ns - table["t_exposure_ns"][-1]) * 1e-9 <= LOST_S, (name, said)
            assert [number_of(image) for image in recording.images(name)] == table["seq"].tolist()
