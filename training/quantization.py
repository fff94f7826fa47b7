"""From LiteRT float32 to fully int8: weights symmetric per channel, activations by calibration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from acquisition.frame import Image
from deploy.runtimes.litert import INPUT_SHIFT
from training.conversion import silenced

SIGNATURE = "serving_default"


def quantize_litert(fp32: Path, inputs: Sequence[Image], int8: Path) -> None:
    """Write the int8 form of the LiteRT model `fp32`.

    Parameters
    ----------
    inputs:
        Calibration images as the network is fed them, uint8 (H, W, 3), of the training part only.

    Raises
    ------
    RigposeError
        If the quantizer fails.
    """
    with silenced("the int8 quantizer"):
        from ai_edge_quantizer import quantizer, recipe

        work = quantizer.Quantizer(str(fp32), recipe.static_wi8_ai8())
        name = _input_name(fp32)
        samples = [{name[0]: image[None].astype(np.float32) + INPUT_SHIFT} for image in inputs]
        ranges = work.calibrate({SIGNATURE: samples})
        # The whole of uint8, so that the input's scale is 1 and its zero point 0 whatever was seen.
        low, high = ranges[name[1]]["min"], ranges[name[1]]["max"]
        ranges[name[1]]["min"] = np.full_like(low, INPUT_SHIFT)
        ranges[name[1]]["max"] = np.full_like(high, 255 + INPUT_SHIFT)
        int8.write_bytes(work.quantize(ranges).quantized_model)


def _input_name(model: Path) -> tuple[str, str]:
    """The input's name in the signature, and its tensor's."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model))
    (argument,) = interpreter.get_signature_list()[SIGNATURE]["inputs"]
    return argument, str(interpreter.get_input_details()[0]["name"])
