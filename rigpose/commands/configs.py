"""`rigpose configs copy`: the files that go onto hardware, laid out where a person can change them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from acquisition.errors import RigposeError
from rigpose.commands.options import Measured

# In a wheel and in a checkout alike, the folder of hardware files lies beside the packages.
HARDWARE_FILES = Path(__file__).resolve().parents[2] / "firmware_configs"


def copy(folder: Path, /) -> Measured:
    """Copy the hardware files (network, udev, systemd, cameras) into a folder.

    Every file says at its top what it does, where it goes and how to see that it took.

    Parameters
    ----------
    folder:
        The folder to make. It may exist if it is empty.

    Returns
    -------
    dict
        `folder`, and `files`: the relative paths written.

    Raises
    ------
    RigposeError
        If the folder holds something already: your changed files are not written over.

    Examples
    --------
    rigpose configs copy ~/rig/hardware
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RigposeError(
            folder,
            expected="a new or an empty folder",
            found="a file" if not folder.is_dir() else "a folder that holds files",
            remedy="Name another folder",
        )
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".rigpose-") as temporary:
        laid_out = Path(temporary) / "files"
        shutil.copytree(HARDWARE_FILES, laid_out, ignore=shutil.ignore_patterns("__pycache__", "build"))
        if folder.exists():  # empty, and perhaps somebody's working directory: filled, not replaced
            for entry in laid_out.iterdir():
                shutil.move(entry, folder / entry.name)
        else:
            laid_out.replace(folder)
    files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    print(f"{len(files)} files in {folder}; begin with {folder / 'README.md'}")
    return {"folder": str(folder), "files": files}
