"""The one error of rigpose: what was expected, what was found, whose it is, what to run next."""

from __future__ import annotations


class RigposeError(Exception):
    """A mistake a person can mend. The front door prints it as one line and exits with 2.

    Parameters
    ----------
    whose:
        The file, camera, process or option the trouble is with.
    expected, found:
        What rigpose needs there, and what is there instead.
    remedy:
        What to do or which command to run next.
    """

    def __init__(self, whose: object, *, expected: str, found: str, remedy: str) -> None:
        self.whose = str(whose)
        self.expected = expected
        self.found = found
        self.remedy = remedy
        message = f"{self.whose}: expected {expected}, found {found}. {remedy}"
        super().__init__(message.replace("\n", " "))  # what was found may hold anything

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process borders; keyword arguments need help to do so."""
        return _rebuild, (self.whose, self.expected, self.found, self.remedy)


def _rebuild(whose: str, expected: str, found: str, remedy: str) -> RigposeError:
    return RigposeError(whose, expected=expected, found=found, remedy=remedy)
