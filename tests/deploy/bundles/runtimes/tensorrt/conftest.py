"""The kernel's arithmetic compiled for the CPU, and an NVIDIA machine that is not there."""

from __future__ import annotations

import ctypes
import importlib
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from deploy.bundles.runtimes import table
from deploy.bundles.runtimes.tensorrt import preprocess
from tests.deploy.bundles.runtimes.tensorrt import stand_in

ON_THE_CPU = """
#include "preprocess.h"
extern "C" int size_of_crop() { return sizeof(rigpose::Crop); }
extern "C" void preprocess(const rigpose::Crop* crops, const unsigned char* staging, unsigned char* images,
                           int width, int height, int cameras) {
  for (int camera = 0; camera < cameras; ++camera)
    for (int row = 0; row < height; ++row)
      for (int column = 0; column < width; ++column, images += 3)
        rigpose::sample(crops[camera], staging, column, row, images);
}
"""


@pytest.fixture(scope="session")
def kernel_on_cpu(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """preprocess.h, compiled by the machine's own compiler."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler: apt-get install g++")
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "kernel.cpp").write_text(ON_THE_CPU)
    subprocess.run(
        [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-std=c++14", "-shared", "-fPIC",
         f"-I{preprocess.SOURCES[1].parent}", "-o", "kernel.so", "kernel.cpp"],
        cwd=folder, check=True,
    )  # fmt: skip
    return ctypes.CDLL(str(folder / "kernel.so"))


@pytest.fixture
def machine(kernel_on_cpu: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> stand_in.Machine:
    """NVIDIA's three packages, with this machine's CPU for a GPU and ONNX Runtime for TensorRT."""
    machine = stand_in.Machine(kernel_on_cpu)
    pycuda, cuda, bindings = (types.ModuleType(name) for name in ("pycuda", "cuda", "cuda.bindings"))
    pycuda.driver = machine.cuda  # type: ignore[attr-defined]
    bindings.driver = machine.driver  # type: ignore[attr-defined]
    for name, module in {
        "tensorrt": machine.tensorrt, "pycuda": pycuda, "pycuda.driver": machine.cuda, "cuda": cuda,
        "cuda.bindings": bindings,
    }.items():  # fmt: skip
        module.__spec__ = types.SimpleNamespace(name=name)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(table, "gpu_missing", lambda: "")
    monkeypatch.setattr(preprocess, "compile_kernel", lambda architecture: architecture.encode())
    return machine


@pytest.fixture
def nvcc(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA's compiler: the machine's own, or the one of tests/peers/nvidia_packages.sh."""
    if shutil.which("nvcc") is None and shutil.which("/usr/local/cuda/bin/nvcc") is None:
        monkeypatch.setenv("PATH", str(_packages() / "nvidia" / "cu13" / "bin"), prepend=":")


@pytest.fixture
def tensorrt_rtx(monkeypatch: pytest.MonkeyPatch) -> Any:
    """TensorRT-RTX, whose parser and builder run without a GPU and have TensorRT's names."""
    monkeypatch.syspath_prepend(str(_packages()))
    return importlib.import_module("tensorrt_rtx_bindings")


def _packages() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get("RIGPOSE_NVIDIA_PACKAGES") or cache / "rigpose" / "nvidia")
    if not folder.is_dir():
        pytest.skip("no NVIDIA packages: run tests/peers/nvidia_packages.sh")
    return folder
