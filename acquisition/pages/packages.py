"""What a page needs beside the core."""

from __future__ import annotations

import importlib.util

from acquisition.errors import RigposeError


def require_page_packages(whose: str) -> None:
    """Refuse, with `RigposeError`, where starlette or uvicorn is not installed: before cameras are opened."""
    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise RigposeError(
            whose, expected="starlette and uvicorn, for the page", found=f"no {missing[0]}",
            remedy="pip install 'rigpose[page]'",
        )  # fmt: skip
