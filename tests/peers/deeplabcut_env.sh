#!/bin/sh
# Makes the environment in which tests/peers/test_deeplabcut.py hands our projects to DeepLabCut itself,
# on a machine without a GPU. Prints its interpreter, to be given as RIGPOSE_DEEPLABCUT_PYTHON.
#   RIGPOSE_DEEPLABCUT_PYTHON=$(tests/peers/deeplabcut_env.sh) make test-long
# TORCH_INDEX: where torch's CPU build is, as in the Makefile; empty where the package index itself has it.
set -eu
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/rigpose/deeplabcut}
index=${TORCH_INDEX-https://download.pytorch.org/whl/cpu}
pip="$folder/bin/pip --disable-pip-version-check"
if [ ! -e "$folder/.complete" ]; then
    "${PYTHON:-python3}" -m venv --clear "$folder" >&2
    $pip install --quiet --no-deps --retries 1 ${index:+--extra-index-url "$index"} 'torch==2.13.0' >&2
    # DeepLabCut's own list without what brings a display and the packages below.
    $pip install --quiet 'torch==2.13.0' 'albumentations<=1.4.3' 'dlclibrary>=0.0.12' einops \
        'filelock<3.16,>=3.12' filterpy huggingface-hub imageio-ffmpeg matplotlib networkx numba 'numpy<2.3' \
        opencv-python-headless 'packaging>=26' 'pandas[hdf5,performance]<3,>=2.2' pillow pycocotools \
        'pydantic<3' pyyaml ruamel-yaml safetensors scikit-image scikit-learn scipy statsmodels tqdm >&2
    # torchvision and timm would ask for torch builds of their own.
    $pip install --quiet --no-deps torchvision==0.28.0 timm deeplabcut==3.0.2 >&2
    touch "$folder/.complete"
fi
echo "$folder/bin/python"
