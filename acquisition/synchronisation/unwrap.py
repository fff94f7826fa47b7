"""From a device's frame id, which wraps and may be damaged, to a count that only grows."""

from __future__ import annotations

from acquisition.frame_stamp import NEW_COUNT


class FrameCount:
    """Unwraps the ids of one camera.

    Parameters
    ----------
    id_modulus, id_first:
        As in `CameraInfo`: ids run from `id_first` through `id_modulus` values; None: never wrap.
    id_before:
        The id before the first frame, where the driver knows it; else what came before the first
        frame is not known.
    """

    def __init__(self, id_modulus: int | None, id_first: int, id_before: int | None = None) -> None:
        self._modulus = id_modulus
        self._first = id_first
        self._last_id = id_before
        self._seq = -1

    def unwrap(self, frame_id: int) -> tuple[int, int]:
        """(seq, frames lost before it); `NEW_COUNT` lost where the device began to count anew.

        Steps back, or forth by more than half of the modulus, are a new count: a device that was
        reset, not thousands of lost frames.
        """
        if self._last_id is None:
            lost = NEW_COUNT
        else:
            step = frame_id - self._last_id
            if self._modulus is not None:
                step %= self._modulus
            fresh = step < 1 or (self._modulus is not None and step > self._modulus // 2)
            lost = NEW_COUNT if fresh else step - 1
        self._last_id = frame_id
        self._seq += 1 + max(lost, 0)
        return self._seq, lost
