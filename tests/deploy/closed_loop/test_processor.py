"""Loading processors: ours, DeepLabCut-Live's as they are, and what goes wrong with either."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import RigposeError
from deploy.closed_loop.processor import Moment, arguments_of, load_processor
from deploy.stream.messages import CameraView, Session, StreamClock

EXAMPLES = Path(__file__).parents[3] / "examples" / "processors"

# Written the way processors for DeepLabCut-Live are: a base class of the package, kwargs by name, the
# file name without an ending.
LICKING = """
import numpy as np
from dlclive import Processor

class LickCounter(Processor):
    def __init__(self, lik_thresh=0.5, **kwargs):
        super().__init__(**kwargs)
        self.lik_thresh = lik_thresh
        self.lick_frame_time = []

    def process(self, pose, **kwargs):
        if kwargs["record"]:
            if pose[1, 2] > self.lik_thresh:
                self.lick_frame_time.append(kwargs["frame_time"])
        pose[0] = -1
        return pose

    def save(self, filename):
        filename += ".npy"
        np.save(filename, np.array(self.lick_frame_time))
        return True
"""
OLD = """
from dlclive.processor import Processor

class Old(Processor):
    def process(self, pose):
        self.seen = pose.copy()
        return pose
"""


@pytest.fixture(autouse=True)
def imports_undone() -> Iterator[None]:
    modules, path = dict(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - set(modules):
        if not getattr(sys.modules[name], "__file__", None) or "test" in str(sys.modules[name].__file__):
            del sys.modules[name]
    sys.path[:] = path


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text)
    return path


def test_a_deeplabcut_live_processor_runs_as_it_is(tmp_path: Path) -> None:
    processor = load_processor(written(tmp_path, LICKING), "LickCounter", {"lik_thresh": 0.7})
    offered = {"frame_time": 12.5, "pose_time": 12.6, "record": True, "moment": None, "outputs": {}}
    accepted = arguments_of(processor)
    for confidence in (0.6, 0.8, np.nan):
        pose = np.full((2, 3), confidence, np.float32)
        assert processor.process(pose, **accepted(offered))[0, 0] == -1
    processor.process(np.full((2, 3), 0.9, np.float32), **accepted({**offered, "record": False}))
    assert processor.save(str(tmp_path / "day1_PROC")) is True
    assert np.load(tmp_path / "day1_PROC.npy").tolist() == [12.5]


def test_one_that_takes_nothing_but_the_pose_gets_nothing_else(tmp_path: Path) -> None:
    processor = load_processor(written(tmp_path, OLD), "Old", {})
    processor.process(np.ones((2, 3), np.float32), **arguments_of(processor)({"frame_time": 1.0}))
    assert processor.seen.shape == (2, 3) and processor.save("x") == 0


def test_a_processor_may_import_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "limits_of_mine.py").write_text("LIMIT = 7\n")
    text = "from limits_of_mine import LIMIT\nclass P:\n    limit = LIMIT\n    process = save = print\n"
    assert load_processor(written(tmp_path, text), "P", {}).limit == 7


@pytest.mark.parametrize(
    ("text", "name", "options", "message"),
    [
        ("x = 1", "P", {}, "a class of that name; the file has none"),
        ("class Q: pass", "P", {}, "the file has Q"),
        ("class P:\n def save(self, file): pass", "P", {}, "found no process"),
        ("class P:\n def process(self, pose): pass", "P", {}, "found no save"),
        ("import nothing_like_it", "P", {}, "ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("class P(:", "P", {}, "SyntaxError"),
        ("class P:\n process = save = print", "P", {"speed": 3}, "TypeError"),
    ],
)
def test_what_cannot_be_loaded_is_told_in_one_line(
    tmp_path: Path, text: str, name: str, options: dict, message: str
) -> None:
    with pytest.raises(RigposeError, match=message):
        load_processor(written(tmp_path, text), name, options)
    with pytest.raises(RigposeError, match="no such file"):
        load_processor(tmp_path / "none.py", name, options)


def moment(points: np.ndarray | None, t_ns: int = 0) -> Moment:
    session = Session(
        "arena", (CameraView("top", 64, 48), CameraView("side", 64, 48)), ("nose", "neck"),
        StreamClock("", "", 0, 0, 0),
    )  # fmt: skip
    keypoints = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    return Moment(4, "measured", t_ns, t_ns, keypoints, points, session)


def test_a_moment_by_names() -> None:
    points = np.arange(22, dtype=np.float32).reshape(2, 11)
    assert moment(points).xyz_mm("neck").tolist() == [11, 12, 13]
    assert np.isnan(moment(None).xyz_mm("neck")).all()
    assert moment(None).xy_px("side", "nose").tolist() == [6, 7]


class Output:
    def __init__(self) -> None:
        self.said: list[bool] = []

    def set(self, on: bool, note: str = "") -> None:
        self.said.append(on)


def solid(x: float, y: float, z: float) -> np.ndarray:
    points = np.zeros((2, 11), np.float32)
    points[:, :3] = x, y, z
    return points


def test_the_zone_example(tmp_path: Path) -> None:
    options = {"output": "reward", "centre_mm": [10, 0, 0], "radius_mm": 5}
    zone = load_processor(EXAMPLES / "zone_entry.py", "ZoneEntry", options)
    output = Output()
    for x in (0, 7, 10, np.nan, 14, 30):
        zone.process(np.zeros((2, 3)), moment=moment(solid(x, 0, 0)), outputs={"reward": output})
    assert output.said == [False, True, True, False, True, False]
    zone.save(str(tmp_path / "PROC"))
    assert (tmp_path / "PROC.csv").read_text().splitlines()[1:] == ["4,0,7.0,0.0,0.0", "4,0,14.0,0.0,0.0"]
    flat = load_processor(
        EXAMPLES / "zone_entry.py", "ZoneEntry", {"output": "reward", "centre_px": [5, 5], "radius_px": 2}
    )
    flat.process(np.full((2, 3), 5.5), moment=moment(None), outputs={"reward": output})
    assert output.said[-1] is True


def test_the_ttl_example_pulses_once_a_rearing() -> None:
    rearing = load_processor(EXAMPLES / "ttl.py", "RearingPulse", {"height_mm": 60})
    output = Output()
    for z in (20, 61, 70, np.nan, 58, 61, 54, 65):
        rearing.process(np.zeros((2, 3)), moment=moment(solid(0, 0, z)), outputs={"stimulus": output})
    assert output.said == [True, False, True]


def test_the_zeromq_example_is_about_speed() -> None:
    speed = load_processor(EXAMPLES / "zeromq_trigger.py", "SpeedTrigger", {"limit_mm_s": 100})
    output = Output()
    for t, x in enumerate([0, 0, 2, 2, np.nan, 4, 4.5]):  # 10 ms apart: 200 mm/s, ...
        speed.process(
            np.zeros((2, 3)), moment=moment(solid(x, 0, 0), t * 10_000_000), outputs={"fast": output}
        )
    assert output.said == [False, False, True, False, False, False, False]
