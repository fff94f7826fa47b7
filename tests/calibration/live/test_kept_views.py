"""The folder that is kept is one that calibrate takes."""

from __future__ import annotations

import numpy as np
import pytest

from acquisition.errors import RigposeError
from calibration.inputs import open_input
from calibration.live.kept_views import KeptViews


def test_what_is_kept_is_read_back_exactly_with_its_devices(tmp_path) -> None:
    random = np.random.default_rng(0)
    images = [random.integers(0, 255, (24, 32), np.uint8) for _ in range(5)]
    devices = {"top": {"serial": "A1", "offset_px": [8, 0]}, "side": {"serial": "B2"}}
    kept = KeptViews(tmp_path / "new" / "boards", devices)
    assert not (tmp_path / "new").exists()
    kept.keep({"top": images[0], "side": images[1]})
    kept.keep({"side": images[2]})
    kept.keep({"top": images[3], "side": images[4]})
    assert kept.count == 3
    source = open_input(tmp_path / "new" / "boards")
    assert source.cameras == ("side", "top") and not source.free_running
    np.testing.assert_array_equal(source.rows, [[0, 0], [1, -1], [2, 1]])
    assert source.sets.tolist() == [1, 2, 3]  # 0001.png is frame set 1
    for camera, wanted in ((0, [1, 2, 4]), (1, [0, 3])):
        for (_, image), n in zip(source.images(camera, range(len(wanted))), wanted, strict=True):
            np.testing.assert_array_equal(image, images[n])
    assert source.devices == devices


@pytest.mark.parametrize("content", ["", "[]", '{"format": "something else"}', '{"cameras": {"top": {}}}'])
def test_a_file_of_that_name_that_is_not_ours_means_nothing(tmp_path, content) -> None:
    KeptViews(tmp_path / "boards", {}).keep({"top": np.zeros((8, 8), np.uint8)})
    (tmp_path / "boards" / "cameras.json").write_text(content)
    assert open_input(tmp_path / "boards").devices == {}


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    kept = KeptViews(tmp_path / "file" / "boards", {})
    with pytest.raises(RigposeError, match="room for the board's pictures"):
        kept.keep({"top": np.zeros((8, 8), np.uint8)})
    assert kept.count == 0
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
