"""A stand-in for an NVIDIA machine, at the border of NVIDIA's packages and no further.

What the TensorRT runtime asks of `tensorrt`, `pycuda.driver` and `cuda.bindings.driver` is answered by
this machine's CPU: memory is memory, a stream runs what is in it when somebody waits and not before, a graph
replays what was captured, the kernel is preprocess.h compiled by g++, and an engine is its ONNX file, run by
ONNX Runtime. It says nothing about real GPUs; that is for the tests marked `gpu`.
"""

from __future__ import annotations

import ctypes
import enum
import types
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime

MAGIC = b"plan"


class Stream:
    """Work in order, done when somebody waits."""

    def __init__(self, machine: Machine, flags: int) -> None:
        assert flags == 1, "the default stream's work must not break a capture"
        self.pending: list[Callable[[], None]] = []
        self.captured: list[Callable[[], None]] | None = None
        self.handle = 1000 + len(machine.streams)
        machine.streams[self.handle] = self

    def put(self, work: Callable[[], None]) -> None:
        (self.pending if self.captured is None else self.captured).append(work)

    def synchronize(self) -> None:
        assert self.captured is None, "waiting is not allowed while a graph is captured"
        for work in self.pending:
            work()
        self.pending.clear()


class Memory:
    """Bytes with an address."""

    def __init__(self, count: int, mapped: bool = False) -> None:
        self._bytes = (ctypes.c_uint8 * count)()
        self._mapped = mapped
        self.__array_interface__ = {
            "shape": (count,), "typestr": "|u1", "data": (int(self), False), "version": 3,
        }  # fmt: skip

    def __int__(self) -> int:
        return ctypes.addressof(self._bytes)

    def get_device_pointer(self) -> int:
        assert self._mapped, "not mapped"
        return int(self)


def at(address: int, count: int) -> np.ndarray:
    return np.ctypeslib.as_array((ctypes.c_uint8 * count).from_address(address))


class Machine:
    """A GPU and what is installed.

    Attributes
    ----------
    name, capability, integrated, version:
        Of the GPU and of TensorRT.
    built:
        Names of the ONNX files that were built.
    spoilt:
        By the beginning of an ONNX file's name: px by which its engines are wrong, or None: it cannot be
        built.
    engines, engines_while_building:
        Those that are in memory, and how many were there at the beginning of each build.
    graphs:
        Whether CUDA can capture.
    launches:
        How often a graph was launched.
    """

    def __init__(self, kernel: ctypes.CDLL) -> None:
        self.name, self.capability, self.integrated, self.version = "Stand-in", (8, 7), False, "10.3.0"
        self.built: list[str] = []
        self.spoilt: dict[str, float | None] = {}
        self.engines: weakref.WeakSet[Any] = weakref.WeakSet()
        self.engines_while_building: list[int] = []
        self.graphs = True
        self.launches = 0
        self.pushed = 0
        self.streams: dict[int, Stream] = {}
        self._kernel = kernel
        self.cuda = self._pycuda()
        self.driver = self._cuda_python()
        self.tensorrt = self._tensorrt()

    def _pycuda(self) -> Any:
        machine = self

        class Error(Exception):
            pass

        class Context:
            def push(self) -> None:
                machine.pushed += 1

            @staticmethod
            def pop() -> None:
                machine.pushed -= 1

        class Device:
            def __init__(self, number: int) -> None:
                assert number == 0

            def name(self) -> str:
                return machine.name

            def compute_capability(self) -> tuple[int, int]:
                return machine.capability

            def get_attribute(self, attribute: str) -> int:
                return int({"INTEGRATED": machine.integrated}[attribute])

            def retain_primary_context(self) -> Context:
                return Context()

        class Function:
            def prepare(self, types: str) -> Function:
                assert types == "PPPii"
                return self

            def prepared_async_call(
                self, grid: Any, block: Any, stream: Stream, crops: int, staging: int, images: int,
                width: int, height: int,
            ) -> None:  # fmt: skip
                assert grid[0] * block[0] >= width
                assert grid[1] * block[1] >= height
                pointers = [ctypes.c_void_p(each) for each in (crops, staging, images)]
                stream.put(lambda: machine._kernel.preprocess(*pointers, width, height, grid[2]))

        class Module:
            def get_function(self, name: str) -> Function:
                assert name == "preprocess"
                return Function()

        def pagelocked_empty(count: int, dtype: type, mem_flags: int = 0) -> np.ndarray:
            assert machine.pushed
            return np.asarray(Memory(count, mapped=bool(mem_flags)), dtype)

        def mem_alloc(count: int) -> Memory:
            assert machine.pushed
            assert not machine.integrated
            return Memory(count)

        def memcpy_htod_async(address: int, host: np.ndarray, stream: Stream) -> None:
            stream.put(lambda: np.copyto(at(address, host.nbytes), host))

        def memcpy_dtoh_async(host: np.ndarray, address: int, stream: Stream) -> None:
            stream.put(lambda: np.copyto(host, at(address, host.nbytes)))

        def module_from_buffer(cubin: bytes) -> Module:
            assert cubin == "sm_{}{}".format(*machine.capability).encode()
            return Module()

        return fill("pycuda.driver", {
            "Error": Error, "Context": Context, "Device": Device,
            "Stream": lambda flags: Stream(machine, flags), "init": lambda: None,
            "pagelocked_empty": pagelocked_empty, "mem_alloc": mem_alloc,
            "memcpy_htod_async": memcpy_htod_async, "memcpy_dtoh_async": memcpy_dtoh_async,
            "module_from_buffer": module_from_buffer,
            "device_attribute": types.SimpleNamespace(INTEGRATED="INTEGRATED"),
            "host_alloc_flags": types.SimpleNamespace(DEVICEMAP=2),
        })  # fmt: skip

    def _cuda_python(self) -> Any:
        class Status(enum.IntEnum):
            CUDA_SUCCESS = 0
            CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900

        def begin(handle: int, mode: int) -> tuple[Status]:
            assert mode == 1, "another thread's allocations must not break the capture"
            if not self.graphs:
                return (Status.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,)
            self.streams[handle].captured = []
            return (Status.CUDA_SUCCESS,)

        def end(handle: int) -> tuple[Status, list[Callable[[], None]] | None]:
            captured, self.streams[handle].captured = self.streams[handle].captured, None
            return Status.CUDA_SUCCESS, captured

        def launch(graph: list[Callable[[], None]], handle: int) -> tuple[Status]:
            self.launches += 1
            for work in graph:
                self.streams[handle].put(work)
            return (Status.CUDA_SUCCESS,)

        return fill("cuda.bindings.driver", {
            "CUstreamCaptureMode": types.SimpleNamespace(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL=1),
            "cuStreamBeginCapture": begin, "cuStreamEndCapture": end, "cuGraphLaunch": launch,
            "cuGraphInstantiate": lambda graph, flags: (Status.CUDA_SUCCESS, list(graph)),
            "cuGraphDestroy": lambda graph: (Status.CUDA_SUCCESS,),
            "cuGraphExecDestroy": lambda graph: (graph.clear() or Status.CUDA_SUCCESS,),
        })  # fmt: skip

    def _tensorrt(self) -> Any:
        machine = self

        class ILogger:
            ERROR, WARNING = 1, 2

        class Mode(enum.Enum):
            INPUT, OUTPUT = 1, 2

        class Types(enum.Enum):
            FLOAT, UINT8 = "tensor(float)", "tensor(uint8)"

        class Tensor:
            def __init__(self, found: Any) -> None:
                self.name, self.shape = found.name, (-1, *found.shape[1:])

        class Network:
            onnx, file = b"", ""

            @property
            def num_inputs(self) -> int:
                return 1

            def get_input(self, number: int) -> Tensor:
                return Tensor(session(self.onnx).get_inputs()[number])

        class Profile:
            def set_shape(self, name: str, low: Any, best: Any, high: Any) -> None:
                assert low == best == high
                self.batch = low[0]

        class Config:
            progress_monitor = None

            def add_optimization_profile(self, profile: Profile) -> None:
                self.batch = profile.batch

            def clear_flag(self, flag: str) -> None:
                assert flag == "TF32"

            def create_timing_cache(self, known: bytes) -> bytes:
                return known

            def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> None:
                self.timed = cache

            def get_timing_cache(self) -> Any:
                return types.SimpleNamespace(serialize=lambda: self.timed + b".")

        class Builder:
            def __init__(self, logger: ILogger) -> None:
                self._logger = logger

            def create_network(self, flags: int) -> Network:
                assert flags == 2, "strongly typed"
                return Network()

            def create_builder_config(self) -> Config:
                return Config()

            def create_optimization_profile(self) -> Profile:
                return Profile()

            def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
                machine.built.append(network.file)
                machine.engines_while_building.append(len(machine.engines))
                monitor = config.progress_monitor
                assert monitor is not None
                monitor.phase_start("building", None, 2)
                for step in range(2):
                    assert monitor.step_complete("building", step)
                monitor.phase_finish("building")
                if machine.wrong(network.file) is None:
                    self._logger.log(ILogger.ERROR, "no kernel\nfor this")
                    return None
                about = f"{machine.name} {machine.version} {config.batch} {machine.wrong(network.file)}"
                return MAGIC + about.encode() + b"\0" + network.onnx

        class OnnxParser:
            num_errors = 0

            def __init__(self, network: Network, logger: ILogger) -> None:
                self._network = network

            def parse_from_file(self, path: str) -> bool:
                with open(path, "rb") as file:  # noqa: PTH123
                    self._network.onnx = file.read()
                self._network.file = path.rpartition("/")[2]
                return True

        class Context:
            def __init__(self, engine: Engine) -> None:
                self._engine, self._addresses, self._ran = engine, {}, False
                self._batch = 0

            def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
                assert shape[0] == self._engine.batch
                self._batch = shape[0]

            def get_tensor_shape(self, name: str) -> tuple[int, ...]:
                return (self._batch, *self._engine.tensors[name].shape[1:])

            def set_tensor_address(self, name: str, address: int) -> None:
                self._addresses[name] = address

            def execute_async_v3(self, stream_handle: int) -> bool:
                assert machine.pushed
                stream = machine.streams[stream_handle]
                assert self._ran or stream.captured is None, "the first call must not be captured"
                self._ran = True
                stream.put(self._run)
                return True

            def _run(self) -> None:
                engine = self._engine
                (images, keypoints) = engine.tensors
                shape = self.get_tensor_shape(images)
                fed = at(self._addresses[images], int(np.prod(shape))).reshape(shape)
                found = engine.session.run([keypoints], {images: fed})[0]
                found[..., 0] += engine.wrong_px
                np.copyto(at(self._addresses[keypoints], found.nbytes), found.reshape(-1).view(np.uint8))

        class Engine:
            def __init__(self, about: str, onnx: bytes) -> None:
                *_, batch, wrong_px = about.split()
                self.batch, self.wrong_px = int(batch), float(wrong_px)
                self.session = session(onnx)
                self._inputs = [each.name for each in self.session.get_inputs()]
                both = [*self.session.get_inputs(), *self.session.get_outputs()]
                self.tensors = {each.name: each for each in both}
                self.num_io_tensors = len(self.tensors)
                machine.engines.add(self)

            def get_tensor_name(self, number: int) -> str:
                return list(self.tensors)[number]

            def get_tensor_mode(self, name: str) -> Mode:
                return Mode.INPUT if name in self._inputs else Mode.OUTPUT

            def get_tensor_dtype(self, name: str) -> Types:
                return Types(self.tensors[name].type)

            def create_execution_context(self) -> Context:
                return Context(self)

        self.engine = Engine

        class Runtime:
            def __init__(self, logger: ILogger) -> None:
                pass

            def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
                about, _, onnx = plan.removeprefix(MAGIC).partition(b"\0")
                if not plan.startswith(MAGIC + f"{machine.name} {machine.version} ".encode()):
                    return None
                return Engine(about.decode(), onnx)

        class IProgressMonitor:
            pass

        return fill("tensorrt", {
            "__version__": self.version, "ILogger": ILogger, "Builder": Builder, "OnnxParser": OnnxParser,
            "Runtime": Runtime, "IProgressMonitor": IProgressMonitor, "TensorIOMode": Mode, "DataType": Types,
            "NetworkDefinitionCreationFlag": types.SimpleNamespace(STRONGLY_TYPED=1),
            "BuilderFlag": types.SimpleNamespace(TF32="TF32"),
        })  # fmt: skip

    def wrong(self, file: str) -> float | None:
        return next((px for name, px in self.spoilt.items() if file.startswith(name)), 0.0)


def fill(name: str, content: dict[str, Any]) -> Any:
    module = types.ModuleType(name)
    vars(module).update(content)
    return module


def session(onnx: bytes) -> Any:
    return onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
