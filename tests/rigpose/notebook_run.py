"""Runs a notebook from top to bottom: `python notebook_run.py NOTEBOOK EXECUTED`.

In a process of its own: in pytest's every warning of Jupyter's event loops would be an error.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

CELL_S = 300  # a bound, not a wait


def main(source: Path, executed: Path) -> None:
    notebook = nbformat.read(source, as_version=4)
    beside = {"metadata": {"path": str(source.parent)}}  # where Jupyter itself would run it
    NotebookClient(notebook, timeout=CELL_S, kernel_name="python3", resources=beside).execute()
    nbformat.write(notebook, executed)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
