"""What is said of an installation."""

from __future__ import annotations

import importlib.metadata as metadata

from rigpose.machine import installation as module
from rigpose.machine.installation import installation


def test_every_line_is_good_or_has_a_remedy():
    found = installation()
    assert all(one.state == "ok" or one.remedy for one in found)
    by_name = {one.what: one for one in found}
    assert by_name["Python"].state == by_name["OpenCV"].state == "ok"
    assert "x264" in by_name["encoders"].found
    # One cv2 distribution: two overwrite each other.
    assert by_name["OpenCV"].found.startswith("opencv-python-headless ")


def test_two_opencvs_are_broken(monkeypatch):
    both = {"cv2": ["opencv-python-headless", "opencv-contrib-python"]}
    monkeypatch.setattr(metadata, "packages_distributions", lambda: both)
    one = module._cv2()
    assert one.state == "broken"
    assert one.remedy.startswith("Run: pip uninstall opencv-contrib-python opencv-python-headless;")


def test_extras_are_read_from_the_package_itself(monkeypatch):
    wanted = [
        "numpy>=2", "no-such-core>=1", 'no-such-tool>=1; extra == "v4l2"', 'pytest>=8; extra == "dev"',
        "tomli>=2; python_version < '3.10'", 'tensorrt; platform_machine == "vax" and extra == "tensorrt"',
    ]  # fmt: skip
    monkeypatch.setattr(metadata, "requires", lambda name: wanted)
    core, extra = module._packages()
    assert (core.state, core.found) == ("broken", "without no-such-core")
    assert (extra.what, extra.state) == ("extra v4l2", "note")
    assert extra.remedy == "Run: pip install 'rigpose[v4l2]'"


def test_without_any_runtime_there_is_something_to_change(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    assert [one.state for one in module._runtimes()] == ["note", "note", "note", "change"]
