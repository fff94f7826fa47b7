"""The openfield video, analysed into files; what finds keypoints in it is tested where it is trained."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from deploy.offline.analyze import analyze
from deploy.poses_io.readers import load_poses

GOLDEN = Path(__file__).parents[1] / "golden" / "schema1.bundle"


@pytest.mark.long
@pytest.mark.data
def test_every_frame_of_the_openfield_video_has_its_row(data_dir: Path, tmp_path: Path) -> None:
    video = next((data_dir / "openfield-Pranav-2018-10-30" / "videos").iterdir())
    result = analyze(GOLDEN, [video], tmp_path)
    (measured,) = result["videos"]
    print(f"openfield: {measured['frames_per_s']} frames a second")
    assert measured["frames"] == measured["rows"] == 2330
    assert measured["gap"] is None
    stem = f"{video.stem}{result['scorer']}"
    columns = load_poses(tmp_path / f"{stem}.poses.npz")
    assert np.isfinite(columns.values).all()
    np.testing.assert_array_equal(load_poses(tmp_path / f"{stem}.h5").values, columns.values)
    with (tmp_path / f"{stem}.csv").open() as stream:
        assert sum(1 for _ in csv.reader(stream)) == 3 + 2330
