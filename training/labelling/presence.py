"""Who has the page open, and which frame each is on."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

GONE_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Person:
    """One open page: its author's name and the frame it shows."""

    author: str
    folder: str
    image: str
    seen_ns: int


class Presence:
    """Pages that asked for changes within the last seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._people: dict[str, Person] = {}

    def here(self, client: str, author: str, folder: str, image: str) -> list[Person]:
        """Note that a page is there, and return the others."""
        now_ns = time.monotonic_ns()
        with self._lock:
            self._people[client] = Person(author, folder, image, now_ns)
            self._people = {
                name: person
                for name, person in self._people.items()
                if now_ns - person.seen_ns < GONE_AFTER_S * 1e9
            }
            return [person for name, person in self._people.items() if name != client]
