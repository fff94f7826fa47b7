"""Which cameras are there, over all drivers, and what one of them can be set to."""

from __future__ import annotations

import importlib
import threading
import time
from dataclasses import dataclass

from acquisition.camera import DRIVERS, Camera, CameraInfo, Feature, FoundCamera, driver_of
from acquisition.errors import RigposeError

_LIMIT_S = 8.0  # a driver may take two, beside the import of its SDK


@dataclass(frozen=True, slots=True)
class DriverSearch:
    """What one driver found.

    Attributes
    ----------
    driver:
        The scheme of its URIs.
    cameras:
        In the order the driver gave them.
    trouble:
        "" or why it could not look: one line, with the extra to install where one is missing.
    """

    driver: str
    cameras: tuple[FoundCamera, ...] = ()
    trouble: str = ""


def find_cameras(limit_s: float = _LIMIT_S) -> list[DriverSearch]:
    """Ask all drivers at once what is there, in the order of the table.

    A driver that has not answered after `limit_s` is left behind, and said so.
    """
    answers: dict[str, DriverSearch] = {}
    threads = {
        scheme: threading.Thread(target=_ask, args=(scheme, target, answers), daemon=True)
        for scheme, target in DRIVERS.items()
    }
    for thread in threads.values():
        thread.start()
    until = time.monotonic() + limit_s
    for thread in threads.values():
        thread.join(max(0.0, until - time.monotonic()))
    late = f"no answer within {limit_s:g} s"
    return [answers.get(scheme) or DriverSearch(scheme, trouble=late) for scheme in threads]


def look_at_camera(uri: str) -> tuple[CameraInfo, list[Feature]]:
    """Open a camera, leaving it set as it is: what it is, and what can be set.

    Raises
    ------
    RigposeError
        An unknown driver, a camera that is not there or in use.
    """
    name = uri.partition("://")[2] or uri
    camera: Camera = driver_of(uri, name)(name, uri)  # type: ignore[call-arg]
    try:
        return camera.open({}), camera.features()
    finally:
        camera.close()


def _ask(scheme: str, target: str, answers: dict[str, DriverSearch]) -> None:
    module, name = target.split(":")
    try:
        driver: type[Camera] = getattr(importlib.import_module(module), name)
        answers[scheme] = DriverSearch(scheme, tuple(driver.find()))
    except RigposeError as error:
        answers[scheme] = DriverSearch(scheme, trouble=f"{error.found}. {error.remedy}")
    except Exception as error:  # one SDK's trouble is not to hide the cameras of the others
        answers[scheme] = DriverSearch(scheme, trouble=f"{type(error).__name__}: {error}".splitlines()[0])
