"""An ONNX graph that is edited: nodes looked up by what they read and write, constants by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from training.networks.table import PoseNetwork
from training.networks.units import Sum

ACTIVATIONS = ("Relu", "Clip")
HEADS = ("head.heatmap", "head.offset")


class OnnxGraph:
    """A model in memory, as `training.exporting.conversion.to_onnx` writes it.

    Attributes
    ----------
    constants:
        Value of every constant by its name, float or integer.
    """

    def __init__(self, path: Path) -> None:
        import onnx

        self.path = path
        self._model = onnx.load(path)
        self.constants: dict[str, npt.NDArray[Any]] = {
            each.name: onnx.numpy_helper.to_array(each) for each in self._model.graph.initializer
        }

    @property
    def nodes(self) -> list[Any]:
        """The nodes, each behind those it reads from."""
        return list(self._model.graph.node)

    def of_type(self, kind: str) -> list[Any]:
        """The nodes of one type, in order."""
        return [node for node in self.nodes if node.op_type == kind]

    def readers(self, tensor: str) -> list[Any]:
        """The nodes that read `tensor`."""
        return [node for node in self.nodes if tensor in node.input]

    def add_constant(self, name: str, value: npt.NDArray[Any]) -> str:
        """Enter a constant; returns its name."""
        import onnx

        self._model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value, order="C"), name))
        self.constants[name] = value
        return name

    def add_node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Put in a node behind the last of those it reads from; returns its output."""
        import onnx

        node = onnx.helper.make_node(kind, inputs, [output], **attributes)
        places = [place for place, each in enumerate(self.nodes) if set(each.output) & set(inputs)]
        self._model.graph.node.insert(max(places, default=-1) + 1, node)
        return output

    def redirect(self, node: Any, old: str, new: str) -> None:
        """Let `node` read `new` wherever it read `old`."""
        for position, name in enumerate(node.input):
            if name == old:
                node.input[position] = new

    def save(self, path: Path) -> None:
        """Drop what nobody reads, check and write. Raises what onnx's checker raises."""
        import onnx

        graph = self._model.graph
        outputs = {output.name for output in graph.output}
        while True:
            read = {name for node in graph.node for name in node.input} | outputs
            idle = [node for node in graph.node if not set(node.output) & read]
            if not idle:
                break
            for node in idle:
                graph.node.remove(node)
        for each in [each for each in graph.initializer if each.name not in read]:
            graph.initializer.remove(each)
        del graph.value_info[:]  # types and shapes of what was there before
        onnx.checker.check_model(self._model, full_check=True)
        path.write_bytes(self._model.SerializeToString())

    def convolution(self, node: Any) -> str:
        """The module of the network that a convolution is, by its weight's name."""
        name: str = node.input[1].removeprefix("network.").removesuffix(".weight")
        return name.removesuffix(".conv")

    def features(self, network: PoseNetwork, order: list[str]) -> dict[str, tuple[str, bool]]:
        """Tensors of the graph that are outputs of the network's units.

        Parameters
        ----------
        order:
            The network's units in the order they run. Convolutions are told by their weights' names,
            sums by their order.

        Returns
        -------
        dict
            By tensor: the unit's name, and whether an activation made the tensor non-negative. Without the
            heads' convolutions.

        Raises
        ------
        RigposeError
            If the graph and the network do not agree.
        """
        modules = dict(network.named_modules())
        sums = iter([name for name in order if isinstance(modules[name], Sum)])
        found: dict[str, tuple[str, bool]] = {}
        for node in self.network():
            if node.op_type == "Conv":
                name = self.convolution(node)
                if name in HEADS:
                    continue
            elif node.op_type == "Add" and not any(each in self.constants for each in node.input):
                name = next(sums, "a sum more than the network has")
            else:
                continue
            readers = self.readers(node.output[0])
            active = len(readers) == 1 and readers[0].op_type in ACTIVATIONS
            found[(readers[0] if active else node).output[0]] = (name, active)
        if odd := {name for name, _ in found.values()} ^ (set(order) - set(HEADS)):
            raise self.unknown(f"{min(odd)} in one of them only ({len(odd)} such)")
        return found

    def network(self) -> list[Any]:
        """The nodes of trunk and head, from the first convolution to the last: before it the image is made
        ready, behind it keypoints are decoded."""
        nodes = self.nodes
        convolutions = [place for place, node in enumerate(nodes) if node.op_type == "Conv"]
        return nodes[convolutions[0] : convolutions[-1] + 1]

    def heads(self) -> tuple[Any, ...]:
        """The convolutions that give heatmap and offset."""
        heads = tuple(node for node in self.of_type("Conv") if self.convolution(node) in HEADS)
        if len(heads) != len(HEADS):
            raise self.unknown("no heatmap or no offset")
        return heads

    def unknown(self, found: str) -> RigposeError:
        """The error of a graph that was not understood."""
        return RigposeError(
            self.path, expected="a graph of the network's own tensors", found=found,
            remedy="Install the versions of torch and onnx that pyproject.toml names",
        )  # fmt: skip
