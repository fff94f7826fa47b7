"""The arithmetic on the page about rigs, done again by the code that `preview` and `record` reckon with."""

import re

import pytest

from acquisition.pixel_formats import image_bytes
from acquisition.videos.encoder import CODECS
from tests.docs.pages import CHECKOUT, DOCS, quoted, rows, section

PAGE = (DOCS / "building_a_rig.md").read_text()


def test_payloads_of_links():
    table = rows(section(PAGE, "The link"))
    assert len(table) >= 4
    for what, payload, _ in table:
        found = re.fullmatch(r"(?:(\d+) of )?(\d+) x (\d+), (\w+), (\d+) Hz", what)
        assert found, what
        cameras, width, height, rate = (int(found[group] or 1) for group in (1, 2, 3, 5))
        mb_s = cameras * image_bytes(found[4], width, height) * rate / 1e6
        assert payload == f"{mb_s:.1f} MB/s"


def test_bytes_on_disk():
    text = section(PAGE, "The disk")
    assert "four cameras of 640 x 480 at 100 Hz" in text
    table = rows(text)
    assert len(table) == 3
    for codec, second, hour in table:
        share = CODECS[quoted(codec)[0]].bytes_per_px
        assert f"({share:g})" in codec
        bytes_s = 4 * 640 * 480 * 100 * share
        assert second == f"{bytes_s / 1e6:.1f} MB"
        assert hour == f"{bytes_s * 3600 / 1e9:.1f} GB"


@pytest.mark.parametrize("page", ["building_a_rig.md", "jetson.md", "tutorial.md"])
def test_hardware_files_are_among_those_that_are_laid_out(page):
    folders = "network|udev|systemd|ptp|jetson|cameras|hardware"
    named = [
        code
        for code in quoted((DOCS / page).read_text())
        if re.fullmatch(rf"(?:{folders})/[\w./-]+\.\w+", code)
    ]
    for code in named:
        assert (CHECKOUT / "firmware_configs" / code.removeprefix("hardware/")).is_file(), code
