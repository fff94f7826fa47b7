"""What NWB wants to know of a session that no camera sees: who, which species, how old, where."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acquisition.errors import RigposeError
from acquisition.settings import read_yaml


@dataclass(frozen=True, slots=True)
class Field:
    """One thing to know.

    Attributes
    ----------
    required:
        Whether NWB's checkers take its absence for an error.
    pattern:
        What its value looks like.
    example:
        One that does, for a person.
    """

    required: bool
    pattern: str
    example: str


FIELDS: dict[str, Field] = {
    "description": Field(True, r"(?s).*\S.*", "open field, first day"),
    "subject_id": Field(True, r"[^/\\]*\S[^/\\]*", "mouse-7"),
    "species": Field(True, r"[A-Z][a-z]+ [a-z]+|https?://purl\.obolibrary\.org/\S+", "Mus musculus"),
    "sex": Field(True, r"[MFUO]", "F"),
    # ISO 8601
    "age": Field(False, r"P(?=\d)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(/(P(\d+[YMWD])+)?)?", "P90D"),
    "date_of_birth": Field(False, r"\d{4}-\d\d-\d\d", "2026-08-24"),
    "strain": Field(False, r".+", "C57BL/6J"),
    "genotype": Field(False, r".+", "wild type"),
    "weight": Field(False, r"\d+(\.\d+)? k?g", "0.025 kg"),
    "experimenter": Field(False, r".+,.+", "Lovelace, Ada"),
    "institution": Field(False, r".+", "University of Somewhere"),
    "lab": Field(False, r".+", "Somebody Lab"),
    "keywords": Field(False, r".+", "open field; behaviour"),
    "timezone": Field(False, r"\S+", "Europe/Berlin"),
}
_ONE_OF = ("age", "date_of_birth")


def gather(
    session: Mapping[str, Any], options: Mapping[str, str | None], file: Path | None, whose: Path
) -> dict[str, str]:
    """Everything that is known, by the names in `FIELDS`.

    The session's own subject and notes come first, then a YAML file, then options, each over those before.
    Notes may hold `name: value` pairs, separated by `;` or on lines of their own; without any they are
    the description.

    Raises
    ------
    RigposeError
        One error that names all that is missing or wrong, and how to give it.
    """
    known = from_notes(str(session.get("notes") or ""))
    if session.get("subject"):
        known.setdefault("subject_id", str(session["subject"]))
    if file is not None:
        content = read_yaml(file)
        if strange := sorted(set(content) - set(FIELDS)):
            raise RigposeError(
                file, expected=f"the keys {', '.join(FIELDS)}", found=f"'{strange[0]}'",
                remedy="Remove that key",
            )  # fmt: skip
        known |= {key: str(value) for key, value in content.items() if value is not None}
    known |= {key: value for key, value in options.items() if value is not None}
    wanted = [name for name, field in FIELDS.items() if field.required and name not in known]
    if not any(name in known for name in _ONE_OF):
        wanted.append(_ONE_OF[0])
    wrong = [name for name, value in known.items() if not re.fullmatch(FIELDS[name].pattern, value)]
    if wanted or wrong:
        found = [f"no {name}" for name in wanted] + [f"{name} '{known[name]}'" for name in wrong]
        asked = [f"{name} (such as '{FIELDS[name].example}')" for name in (*wanted, *wrong)]
        options_text = " ".join(
            f'--{name.replace("_", "-")} "{FIELDS[name].example}"' for name in wanted + wrong
        )
        raise RigposeError(
            whose, expected=f"metadata that NWB needs: {', '.join(asked)}", found=", ".join(found),
            remedy=f"Give {options_text}, or these names in a YAML file after --metadata, or in the "
            "session's notes as 'name: value; name: value'",
        )  # fmt: skip
    zone_of(known)
    return known


def from_notes(notes: str) -> dict[str, str]:
    """The pairs in a session's notes; the whole as `description` where there are none."""
    found: dict[str, str] = {}
    rest = []
    for part in re.split(r"[;\n]", notes):
        name, separator, value = part.partition(":")
        key = name.strip().lower().replace(" ", "_")
        if separator and key in FIELDS and value.strip():
            found[key] = value.strip()
        elif part.strip():
            rest.append(part.strip())
    if rest:
        found.setdefault("description", "; ".join(rest))
    return found


def zone_of(known: Mapping[str, str]) -> zoneinfo.ZoneInfo:
    """The time zone the session is told in, UTC by default; raises `RigposeError`."""
    name = known.get("timezone", "UTC")
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise RigposeError(
            "timezone", expected="a time zone such as Europe/Berlin", found=f"'{name}'",
            remedy="Give its name in the IANA database",
        ) from None  # fmt: skip
