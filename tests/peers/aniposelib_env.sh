#!/bin/sh
# Makes the environment in which tests/peers/test_aniposelib.py reads our calibrations with aniposelib, and
# which benchmarks/triangulation.py measures beside ours. It has one of its own because aniposelib brings
# opencv-contrib-python, which writes into the same cv2 folder as the OpenCV that rigpose uses.
# Prints its interpreter, to be given as RIGPOSE_ANIPOSELIB_PYTHON.
set -eu
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/rigpose/aniposelib}
if [ ! -x "$folder/bin/python" ] || ! "$folder/bin/python" -c 'import importlib.metadata as m; m.version("aniposelib"); import cv2' 2>/dev/null; then
    "${PYTHON:-python3}" -m venv "$folder" >&2
    "$folder/bin/pip" install --quiet 'aniposelib==0.8.0' >&2
    # aniposelib needs no windows, and a bare machine has no X libraries for them
    "$folder/bin/pip" uninstall --quiet --yes opencv-contrib-python >&2
    "$folder/bin/pip" install --quiet opencv-contrib-python-headless >&2
fi
echo "$folder/bin/python"
