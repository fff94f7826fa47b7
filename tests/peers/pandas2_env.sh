#!/bin/sh
# Makes the environment in which tests/peers/test_pandas2.py reads our h5 files as DeepLabCut would:
# pandas 2, which DeepLabCut pins. Prints its interpreter, to be given as RIGPOSE_PANDAS2_PYTHON.
#   RIGPOSE_PANDAS2_PYTHON=$(tests/peers/pandas2_env.sh) make test
set -eu
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/rigpose/pandas2}
if [ ! -x "$folder/bin/python" ] || ! "$folder/bin/python" -c 'import pandas, tables' 2>/dev/null; then
    "${PYTHON:-python3}" -m venv "$folder" >&2
    "$folder/bin/pip" install --quiet 'pandas>=2.2,<3' 'tables>=3.9' >&2
fi
echo "$folder/bin/python"
