"""DeepLabCut-Live's own PyTorch runner with a ResNet-50 of random weights; run by the Python that has it.

    PEER_PYTHON dlclive_child.py WIDTH HEIGHT THREADS CALLS

Says "ready", then for every line that comes in how long `CALLS` calls of `get_pose` took, ms as JSON.
"""

import json
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch

try:
    import torchvision  # noqa: F401
except RuntimeError:
    # A torchvision built for CUDA beside a torch that is not: its operators are only declared, never called.
    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

warnings.filterwarnings("ignore")
KEYPOINTS = 8


def settings() -> dict:
    """A project's model as DeepLabCut 3 writes it: ResNet-50, heatmap and location refinement."""
    head = {
        "type": "HeatmapHead", "weight_init": "normal",
        "predictor": {
            "type": "HeatmapPredictor", "apply_sigmoid": False, "clip_scores": True,
            "location_refinement": True, "locref_std": 7.2801,
        },
        "heatmap_config": {"channels": [2048, KEYPOINTS], "kernel_size": [3], "strides": [2]},
        "locref_config": {"channels": [2048, 2 * KEYPOINTS], "kernel_size": [3], "strides": [2]},
    }  # fmt: skip
    backbone = {
        "type": "ResNet", "model_name": "resnet50_gn", "output_stride": 16,
        "freeze_bn_stats": False, "freeze_bn_weights": False,
    }  # fmt: skip
    return {
        "method": "bu",
        "metadata": {"bodyparts": [f"b{n}" for n in range(KEYPOINTS)], "individuals": ["a"]},
        "data": {"colormode": "RGB", "inference": {"normalize_images": True}},
        "model": {"backbone": backbone, "backbone_output_channels": 2048, "heads": {"bodypart": head}},
    }


def main(width: int, height: int, threads: int, calls: int) -> None:
    from copy import deepcopy

    from dlclive import DLCLive
    from dlclive.pose_estimation_pytorch import models

    torch.set_num_threads(threads)
    config = settings()
    network = models.PoseModel.build(deepcopy(config["model"]))
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        torch.save({"config": config, "pose": network.state_dict(), "detector": None}, path)
        live = DLCLive(str(path), model_type="pytorch", device="cpu", single_animal=True, display=False)
        live.init_inference(frame)
    for _ in range(2):
        live.get_pose(frame)
    print("ready", flush=True)
    for _ in sys.stdin:
        times = []
        for _ in range(calls):
            start_ns = time.perf_counter_ns()
            live.get_pose(frame)
            times.append((time.perf_counter_ns() - start_ns) / 1e6)
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]))
