#!/bin/sh
# Makes the environment in which tests/peers/test_aniposelib.py reads our calibrations with aniposelib and runs
# rigpose triangulate --optim, and which benchmarks/triangulation.py measures beside ours. It has one of its own
# because aniposelib brings opencv-contrib-python, which writes into the same cv2 folder as the OpenCV that
# rigpose uses. Prints its interpreter, to be given as RIGPOSE_ANIPOSELIB_PYTHON.
set -eu
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/rigpose/aniposelib}
there='import importlib.metadata as m; m.version("aniposelib"); import cv2, cyclopts, av, zmq, msgspec, pydantic, yaml'
if [ ! -x "$folder/bin/python" ] || ! "$folder/bin/python" -c "$there" 2>/dev/null; then
    "${PYTHON:-python3}" -m venv --clear "$folder" >&2
    "$folder/bin/pip" install --quiet 'aniposelib==0.8.0' >&2
    # aniposelib needs no windows, and a bare machine has no X libraries for them
    "$folder/bin/pip" uninstall --quiet --yes opencv-contrib-python >&2
    "$folder/bin/pip" install --quiet opencv-contrib-python-headless >&2
    # what rigpose itself wants, but for its OpenCV
    "$folder/bin/pip" install --quiet 'cyclopts>=4,<6' av msgspec pydantic PyYAML pyzmq rich >&2
fi
echo "$folder/bin/python"
