"""What the page shows: small pictures of the looks, and all figures."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from acquisition.pages.small_pictures import as_jpeg, shrunk
from calibration.live.coverage import TILTED_DEG, Coverage
from calibration.live.guidance import REGIONS, TARGETS, Advice, Need, advise, needs, tree
from calibration.live.watch import Look

_KEPT = 4  # looks whose pictures can still be asked for
_SIDE_PX = 640


class Gallery:
    """The newest looks at a rig's cameras, and what is wanting. Written by the watch, read by the page.

    Parameters
    ----------
    cameras:
        Names in rig order.
    board:
        In words.
    """

    def __init__(self, cameras: tuple[str, ...], board: str) -> None:
        self._cameras = cameras
        self._lock = threading.Lock()
        self._pictures: deque[tuple[int, dict[str, bytes]]] = deque(maxlen=_KEPT)
        nothing = Coverage(len(cameras))
        self._figures: dict[str, Any] = {"board": board, "looks": 0, "hint": "", "frame_set": None}
        self._figures |= self._of_coverage(nothing)
        self._now: dict[str, dict[str, Any]] = {name: {} for name in cameras}

    def show(self, look: Look, number: int, coverage: Coverage, hint: str) -> None:
        """Take in a look, the `number`-th."""
        pictures: dict[str, bytes] = {}
        now: dict[str, dict[str, Any]] = {}
        for name, camera in zip(self._cameras, look.cameras, strict=True):
            now[name] = {}
            if camera is not None:
                height, width = camera.image.shape
                pictures[name] = as_jpeg(shrunk(camera.image, _SIDE_PX))
                now[name] = {
                    "width_px": width, "height_px": height, "corners": camera.px.round(1).tolist(),
                    "state": camera.state,
                    "tilt_deg": None if camera.tilt_deg is None else round(camera.tilt_deg, 1),
                }  # fmt: skip
        figures = self._of_coverage(coverage)
        with self._lock:
            self._pictures.append((number, pictures))
            self._now = now
            self._figures |= {**figures, "looks": number, "hint": hint, "frame_set": look.index}

    def picture(self, camera: str, number: int) -> bytes | None:
        """The JPEG of a camera in the `number`-th look, as long as it is kept."""
        with self._lock:
            return next((found.get(camera) for at, found in self._pictures if at == number), None)

    def figures(self) -> dict[str, Any]:
        """JSON-able: `sentence`, `enough`, `asked` (cameras and cells), `needs`, `cameras`, `pairs`..."""
        with self._lock:
            cameras = {
                name: {**self._figures["cameras"][name], "now": self._now[name]} for name in self._cameras
            }
            return {**self._figures, "cameras": cameras}

    def summary(self) -> dict[str, Any]:
        """What there is to say at the end: the figures without cells, corners and needs."""
        figures = self.figures()
        cameras = {
            name: {key: facts[key] for key in ("views", "tilted", "coverage")}
            for name, facts in figures["cameras"].items()
        }
        keys = ("sentence", "enough", "kept", "looks", "hint", "pairs")
        return {**{key: figures[key] for key in keys}, "cameras": cameras}

    def _of_coverage(self, coverage: Coverage) -> dict[str, Any]:
        wanting = needs(coverage)
        advice = advise(wanting, self._cameras)
        covered = coverage.covered
        return {
            "sentence": advice.sentence,
            "enough": advice.enough,
            "asked": _asked(advice, self._cameras),
            "needs": [_need(need, self._cameras) for need in wanting],
            "targets": {
                "coverage": TARGETS.coverage, "views": TARGETS.views,
                "tilted": TARGETS.tilted, "shared": TARGETS.shared, "tilted_deg": TILTED_DEG,
            },
            "kept": coverage.kept,
            "pairs": [
                [self._cameras[a], self._cameras[b], int(coverage.shared[a, b])]
                for a in range(len(self._cameras)) for b in range(a + 1, len(self._cameras))
            ],
            "links": [[self._cameras[a], self._cameras[b]] for a, b in tree(coverage)],
            "cameras": {
                name: {
                    "views": int(coverage.views[c]), "tilted": int(coverage.tilted[c]),
                    "coverage": round(float(covered[c]), 4), "cells": coverage.cells[c].round(1).tolist(),
                }
                for c, name in enumerate(self._cameras)
            },
        }  # fmt: skip


def _asked(advice: Advice, cameras: tuple[str, ...]) -> dict[str, Any]:
    """Which cameras the sentence speaks of, and which part of the image: columns and rows of cells."""
    if advice.need is None:
        return {"cameras": [], "cells": None}
    where = REGIONS.get(advice.need.where)
    return {
        "cameras": [cameras[c] for c in advice.need.cameras],
        "cells": None if where is None else list(where),
    }


def _need(need: Need, cameras: tuple[str, ...]) -> dict[str, Any]:
    return {
        "kind": need.kind, "cameras": [cameras[c] for c in need.cameras], "have": round(need.have, 4),
        "target": need.target, "sentence": advise([need], cameras).sentence,
    }  # fmt: skip
