"""CUDA graphs through cuda-python, on pycuda's stream: pycuda has no call for them.

All that a call enqueues is captured once, with the addresses it had; from then on one launch does it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Graph:
    """What `enqueue` puts into the stream, as one launch.

    Parameters
    ----------
    stream:
        Handle of a CUDA stream whose context is current.
    enqueue:
        Puts work into that stream, and nothing else: no allocation, no waiting.

    Raises
    ------
    RuntimeError
        If CUDA cannot capture it.
    """

    def __init__(self, stream: int, enqueue: Callable[[], None]) -> None:
        self._driver = _driver()
        self._stream = stream
        self._captured = enqueue  # the graph knows addresses; this keeps what lies there
        mode = self._driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._ask("cuStreamBeginCapture", stream, mode)
        try:
            enqueue()
        except BaseException:
            self._driver.cuStreamEndCapture(stream)  # it reports the broken capture; the first error matters
            raise
        graph = self._ask("cuStreamEndCapture", stream)
        try:
            self._launchable = self._ask("cuGraphInstantiate", graph, 0)
        finally:
            self._driver.cuGraphDestroy(graph)

    def launch(self) -> None:
        """Enqueue everything; returns at once."""
        self._ask("cuGraphLaunch", self._launchable, self._stream)

    def close(self) -> None:
        """Let go of it; its context is current."""
        self._driver.cuGraphExecDestroy(self._launchable)

    def _ask(self, call: str, *arguments: Any) -> Any:
        status, *answer = getattr(self._driver, call)(*arguments)
        if int(status):
            raise RuntimeError(f"{call}: {status.name}")
        return answer[0] if answer else None


def _driver() -> Any:
    try:
        from cuda.bindings import driver
    except ImportError:  # cuda-python of JetPack 6's time
        from cuda import cuda as driver
    return driver
