"""A pandas frame written into an h5 file, as DeepLabCut writes its own."""

from __future__ import annotations

import errno
import shutil
import warnings
from pathlib import Path
from typing import Any

from deploy.poses_io.pandas_h5 import KEY

_FULL_BYTES = 1 << 20


def write_frame(frame: Any, path: Path) -> None:
    """Write `frame`; raises `OSError` where HDF5 cannot: of a full disk it says no more than that."""
    import tables

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTables warns of object columns; they are what pandas 2 reads
            frame.to_hdf(path, key=KEY, format="fixed", mode="w")
    except tables.HDF5ExtError as error:
        full = shutil.disk_usage(path.parent).free < _FULL_BYTES
        code = errno.ENOSPC if full else errno.EIO
        raise OSError(code, "no space left on device" if full else "HDF5 could not write") from error
