#!/bin/sh
# Fetches what NVIDIA offers that works without a GPU: TensorRT-RTX, which reads and builds our ONNX files in
# tests/deploy/bundles/runtimes/tensorrt, and nvcc, which compiles our kernel there. Prints their folder, to be given as
# RIGPOSE_NVIDIA_PACKAGES (its packages are read by the tests' own interpreter: PYTHON must be its version).
#   RIGPOSE_NVIDIA_PACKAGES=$(tests/peers/nvidia_packages.sh) make test
set -eu
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/rigpose/nvidia}
if [ ! -e "$folder/.complete" ]; then
    rm -rf "$folder"
    "${PYTHON:-python3}" -m pip --disable-pip-version-check install --quiet --no-deps --target "$folder" \
        'tensorrt-rtx-cu13-libs==1.7.1.116' 'tensorrt-rtx-cu13-bindings==1.7.1.116' \
        'nvidia-cuda-nvcc==13.0.88' 'nvidia-nvvm==13.0.88' 'nvidia-cuda-crt==13.0.88' \
        'nvidia-cuda-runtime==13.0.96' >&2
    touch "$folder/.complete"
fi
echo "$folder"
