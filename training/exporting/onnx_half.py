"""float16 ONNX, strongly typed: what stands in the file is what a runtime computes in.

TensorRT 11 has no switch for float16 any more; the types in the graph say it. Between the normalised image
and the outputs of the two heads everything is float16; decoding stays in float32, since float16 has no
quarter pixels beyond 512.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.exporting.conversion import silenced
from training.exporting.onnx_graph import OnnxGraph

# Inputs that ONNX wants in float32 whatever the image's type: Resize's region and scales.
KEPT_INPUTS = {"Resize": (1, 2, 3)}


def halve_onnx(fp32: Path, fp16: Path) -> None:
    """Write the float16 form of the float32 model `fp32`.

    Raises
    ------
    RigposeError
        If the graph is not one of `to_onnx`.
    """
    with silenced("the float16 converter"):
        import onnx

        graph = OnnxGraph(fp32)
        network, heads = graph.network(), graph.heads()
        image = network[0].input[0]
        half = graph.add_node("Cast", [image], f"{image}_half", to=onnx.TensorProto.FLOAT16)
        for node in network:
            graph.redirect(node, image, half)
            kept = KEPT_INPUTS.get(node.op_type, ())
            for position, name in enumerate(node.input):
                value = graph.constants.get(name)
                if value is not None and value.dtype == np.float32 and position not in kept:
                    node.input[position] = _halved(graph, name)
        for head in heads:
            out = head.output[0]
            readers = graph.readers(out)
            real = graph.add_node("Cast", [out], f"{out}_real", to=onnx.TensorProto.FLOAT)
            for reader in readers:
                graph.redirect(reader, out, real)
        graph.save(fp16)


def _halved(graph: OnnxGraph, name: str) -> str:
    half = f"{name}_half"
    if half not in graph.constants:
        graph.add_constant(half, graph.constants[name].astype(np.float16))
    return half
