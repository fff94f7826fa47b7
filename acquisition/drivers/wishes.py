"""What a feature file wishes, in the type that a driver needs."""

from __future__ import annotations

from acquisition.camera import Value
from acquisition.errors import RigposeError


def number(camera: str, name: str, wished: Value) -> float:
    """A number that is no word, nor true or false; raises `RigposeError` in the name of the camera."""
    if isinstance(wished, int | float) and not isinstance(wished, bool):
        return float(wished)
    raise RigposeError(
        f"camera '{camera}'", expected=f"a number for '{name}'", found=repr(wished),
        remedy="Mend it in the camera's settings file",
    )  # fmt: skip
