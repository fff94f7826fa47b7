"""Poses of a video are not replaced by those of another one of its name."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from acquisition.errors import RigposeError
from deploy.bundles.bundle import Bundle
from deploy.offline.analyze import analyze
from tests.acquisition.sessions import write_session
from tests.deploy.offline.dots import BUNDLE, pictures, write_video


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(BUNDLE)


@pytest.fixture
def days(tmp_path: Path) -> Path:
    for frames, day in ((4, "day1"), (6, "day2")):
        (tmp_path / day).mkdir()
        write_video(tmp_path / day / "cam.mkv", pictures(frames))
    return tmp_path


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_another_video_of_the_name_is_refused_and_nothing_is_replaced(days: Path, bundle: Bundle) -> None:
    output = days / "poses"
    analyze(bundle, [days / "day1" / "cam.mkv"], output)
    before = content(output)
    with pytest.raises(RigposeError, match=r"day2/cam\.mkv: .*the name of .*day1/cam\.mkv.*another -o"):
        analyze(bundle, [days / "day2"], output)
    assert content(output) == before
    analyze(bundle, [days / "day2"], days / "others")
    for path in output.glob("cam*"):  # moved away
        path.rename(days / path.name)
    assert analyze(bundle, [days / "day2"], output)["videos"][0]["frames"] == 6


def test_a_relative_name_is_that_of_the_folder_it_was_given_in(
    days: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(days / "day1")
    analyze(bundle, [Path("cam.mkv")], days / "poses")
    monkeypatch.chdir(days)
    assert analyze(bundle, [Path("day1/cam.mkv")], days / "poses")["videos"][0]["kept"]
    monkeypatch.chdir(days / "day2")
    with pytest.raises(RigposeError, match="the name of"):
        analyze(bundle, [Path("cam.mkv")], days / "poses")


def test_the_same_video_elsewhere_goes_on(days: Path, bundle: Bundle) -> None:
    """By a link; copied; moved. Not: another one where the old one is gone."""
    output, video = days / "poses", days / "day1" / "cam.mkv"
    analyze(bundle, [video], output)
    (days / "link").symlink_to(days / "day1")
    assert analyze(bundle, [days / "link" / "cam.mkv"], output)["videos"][0]["kept"]
    (days / "copy").mkdir()
    copied = Path(shutil.copy2(video, days / "copy" / "cam.mkv"))
    assert analyze(bundle, [copied], output)["videos"][0]["kept"]
    (days / "new").mkdir()
    moved = Path(shutil.move(video, days / "new" / "cam.mkv"))
    assert analyze(bundle, [moved], output)["videos"][0]["kept"]
    os.utime(moved, ns=(0, 1_000_000_000))
    assert not analyze(bundle, [moved], output)["videos"][0]["kept"]
    moved.unlink()
    before = content(output)
    with pytest.raises(RigposeError, match=r"new/cam\.mkv, which is gone and was another size\.") as raised:
        analyze(bundle, [days / "day2" / "cam.mkv"], output)
    assert content(output) == before
    named = Path(str(raised.value).rpartition("Delete or move them: ")[2])
    found = list(named.parent.glob(named.name))
    assert {path.name for path in found} == {name for name in before if name.startswith("cam")}
    for path in found:
        path.unlink()
    assert analyze(bundle, [days / "day2" / "cam.mkv"], output)["videos"][0]["frames"] == 6


def test_poses_of_an_earlier_version_tell_their_video(days: Path, bundle: Bundle) -> None:
    output = days / "poses"
    write_session(days / "s", pulses=3)
    analyze(bundle, [days / "day1" / "cam.mkv", days / "s"], output)
    for meta in output.glob("*.meta.json"):
        said = {key: value for key, value in json.loads(meta.read_text()).items() if "source" not in key}
        meta.write_text(json.dumps(said))
    again = analyze(bundle, [days / "day1" / "cam.mkv", days / "s"], output)
    assert all(video["kept"] for video in again["videos"])
    with pytest.raises(RigposeError, match="the name of"):
        analyze(bundle, [days / "day2" / "cam.mkv"], output)
    (days / "day1" / "cam.mkv").unlink()
    with pytest.raises(RigposeError, match=r"day1/cam\.mkv, which is gone\. Delete"):  # its size is unknown
        analyze(bundle, [days / "day2" / "cam.mkv"], output)
    (days / "other").mkdir()
    write_session(days / "other" / "s", pulses=5)
    with pytest.raises(RigposeError, match=rf"the name of {days / 's'},"):
        analyze(bundle, [days / "other" / "s"], output)
