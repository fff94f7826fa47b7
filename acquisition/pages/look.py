"""The files a page is made of: its own, and those that all pages share."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import Mount
from starlette.staticfiles import StaticFiles


def statics(folder: Path) -> Mount:
    """`folder` under /static; what it does not hold is looked for among the shared files (`base.css`)."""
    return Mount("/static", StaticFiles(directory=folder, packages=[("acquisition.pages", "static")]))
