"""DeepLabCut's `config.yaml`: a new one, and changing one with its comments and its order kept."""

from __future__ import annotations

import datetime
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def round_trip(content: bytes) -> Any:
    """YAML as a mapping that keeps comments and order when it is dumped again."""
    from ruamel.yaml import YAML

    return YAML().load(content.decode())


def dumped(content: Any) -> bytes:
    """YAML of a mapping; a long path stays on its line."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 10_000
    stream = io.BytesIO()
    yaml.dump(content, stream)
    return stream.getvalue()


def fresh_config(
    task: str,
    scorer: str,
    day: datetime.date,
    root: Path,
    keypoints: Sequence[str],
    skeleton: Iterable[tuple[str, str]],
) -> dict[str, Any]:
    """DeepLabCut 3's `config.yaml`, its keys in its order."""
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[
        day.month - 1
    ]
    return {
        "Task": task, "scorer": scorer, "date": f"{month}{day.day}", "multianimalproject": False,
        "identity": None, "project_path": str(root), "engine": "pytorch", "video_sets": {},
        "bodyparts": list(keypoints), "start": 0, "stop": 1, "numframes2pick": 20,
        "skeleton": [list(bone) for bone in skeleton], "skeleton_color": "black", "pcutoff": 0.6,
        "dotsize": 12, "alphavalue": 0.7, "colormap": "rainbow", "TrainingFraction": [0.95], "iteration": 0,
        "default_net_type": "resnet_50", "default_augmenter": "default", "snapshotindex": -1,
        "detector_snapshotindex": -1, "batch_size": 8, "detector_batch_size": 1, "cropping": False,
        "x1": 0, "x2": 640, "y1": 277, "y2": 624, "corner2move2": [50, 50], "move2corner": True,
        "SuperAnimalConversionTables": None,
    }  # fmt: skip
