import configparser
import re

import pytest
import yaml

import rigpose
from acquisition.errors import RigposeError
from rigpose.commands.configs import HARDWARE_FILES

FILES = sorted(
    file
    for file in HARDWARE_FILES.rglob("*")
    if file.is_file() and not {"__pycache__", "build"} & {*file.parts}
)
# The trigger's sources are compiled; its README says how to check the board.
PUT_ON_HARDWARE = [file for file in FILES if file.name != "README.md" and file.parent.name != "trigger"]


def test_every_file_is_copied_as_it_is(tmp_path):
    measured = rigpose.configs_copy(tmp_path / "new" / "hardware")
    assert measured["files"] == [str(file.relative_to(HARDWARE_FILES)) for file in FILES]
    for file in FILES:
        copied = tmp_path / "new" / "hardware" / file.relative_to(HARDWARE_FILES)
        assert copied.read_bytes() == file.read_bytes()


def test_an_empty_folder_is_filled_even_as_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rigpose.configs_copy(".")
    assert (tmp_path / "README.md").is_file()


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_there_is_not_written_over(tmp_path, kind):
    target = tmp_path / "hardware"
    mine = target / "mine.txt" if kind == "folder" else target
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(RigposeError, match="expected a new or an empty folder"):
        rigpose.configs_copy(target)
    assert mine.read_text() == "mine"
    assert sorted(tmp_path.rglob("*")) == sorted({target, mine})


def test_the_index_names_every_file():
    index = (HARDWARE_FILES / "README.md").read_text()
    for file in PUT_ON_HARDWARE:
        assert f"`{file.relative_to(HARDWARE_FILES)}`" in index


@pytest.mark.parametrize("file", PUT_ON_HARDWARE, ids=lambda file: file.name)
def test_every_file_says_how_to_check_that_it_took(file):
    head = [line for line in file.read_text().splitlines() if line.startswith("#")]
    assert any("Check:" in line for line in head)


def test_camera_features_are_yaml_of_plain_values():
    features = yaml.safe_load((HARDWARE_FILES / "cameras/mono8.yaml").read_text())
    # An unquoted Off is YAML's false, which no camera knows.
    assert {type(value) for value in features.values()} <= {str, float}
    assert list(features)[-1] == "TriggerMode"


def test_sysctl_and_udev_lines_have_their_form():
    for line in (HARDWARE_FILES / "network/90-rigpose.conf").read_text().splitlines():
        assert not line or line.startswith("#") or re.fullmatch(r"net\.core\.\w+ = \d+", line)
    clause = r'[A-Z]+(\{[\w/]+\})?(==|=|\+=)"[^"]*"'
    for line in (HARDWARE_FILES / "udev/99-rigpose.rules").read_text().splitlines():
        assert not line or line.startswith("#") or re.fullmatch(rf"{clause}(, {clause})*", line)


def test_the_service_starts_a_command_that_exists():
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str
    unit.read(HARDWARE_FILES / "systemd/rigpose-live.service")
    assert " live rig.yaml --model " in unit["Service"]["ExecStart"]
    assert unit["Service"]["RestartPreventExitStatus"] == "2"
