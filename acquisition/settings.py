"""Reading settings from YAML: safely, strictly, with errors a person can mend."""

from __future__ import annotations

import difflib
import os.path
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from acquisition.errors import RigposeError


class Settings(BaseModel):
    """Base of every settings section: frozen, and a key that does not exist is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


S = TypeVar("S", bound=Settings)
_MERGE = "tag:yaml.org,2002:merge"


class _RepeatedKeyError(yaml.YAMLError):
    """A mapping names a key twice; lines count from 1."""

    def __init__(self, key: str, lines: tuple[int, int]) -> None:
        super().__init__(key)
        self.key = key
        self.lines = lines


class _OnceLoader(yaml.SafeLoader):
    """The safe loader, where a repeated key is an error; by itself the last one wins without a word."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        # here, where merge keys (<<) are not yet resolved: a key may stand over the one that is merged in
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in lines:
                raise _RepeatedKeyError(key.value, (lines[name], line))
            lines[name] = line
        return node


def read_yaml(path: Path, repeated: str = "Remove one of them") -> dict[str, Any]:
    """A YAML mapping read with the safe loader.

    Parameters
    ----------
    repeated:
        The remedy where a key is there twice.

    Raises
    ------
    RigposeError
        If the file is missing, is not YAML, names a key twice, or is not a mapping.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            loader = _OnceLoader(stream)
            try:
                content = loader.get_single_data()
            finally:
                loader.dispose()
    except OSError as error:
        raise RigposeError(
            path,
            expected="a readable YAML file",
            found=error.strerror or "no file",
            remedy="Check the path",
        ) from None
    except _RepeatedKeyError as error:
        first, second = error.lines
        raise RigposeError(
            path,
            expected="each key once",
            found=f"'{error.key}' in line {first} and again in line {second}",
            remedy=repeated,
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # not UTF-8, a date that is none, too deep
        raise RigposeError(
            path,
            expected="YAML",
            found=" ".join(str(error).split()),
            remedy="Mend the file; indentation is by spaces",
        ) from None
    if not isinstance(content, dict):
        raise RigposeError(
            path,
            expected="a mapping of keys to values",
            found="an empty file" if content is None else type(content).__name__,
            remedy="See the example in the README",
        )
    return content


def parse_settings(model: type[S], content: dict[str, Any], whose: object) -> S:
    """`content` as `model`; the first fault found becomes a `RigposeError` naming its key."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            known = _known_keys(model, fault["loc"][:-1])
            close = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1)
            hint = f"Did you mean '{close[0]}'?" if close else "Remove the key"
            raise RigposeError(
                whose,
                expected=f"one of the keys {', '.join(known)}",
                found=f"the unknown key '{key}'",
                remedy=hint,
            ) from None
        if fault["type"] == "value_error" and isinstance(fault["input"], dict):
            # of a whole section, which is not shown: it may hold a password
            section = f"keys of '{key}'" if key else "keys"
            raise RigposeError(
                whose,
                expected=f"{section} that agree",
                found=str(fault["ctx"]["error"]),
                remedy="Mend the file",
            ) from None
        found = "nothing" if fault["type"] == "missing" else repr(fault["input"])[:80]
        expected = f"a value for '{key}'" if fault["type"] == "missing" else f"'{key}': {fault['msg']}"
        raise RigposeError(whose, expected=expected, found=found, remedy="Mend that key") from None


def read_settings(model: type[S], path: Path) -> S:
    """The settings file at `path` as `model`; raises `RigposeError`."""
    return parse_settings(model, read_yaml(path), path)


def beside(folder: Path, path: Path | str) -> Path:
    """A path named by a settings file in `folder`: relative ones count from there, `~` is the home folder."""
    return folder / os.path.expanduser(path)  # noqa: PTH111 - Path's own raises where there is no such user


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys of the section at `location`; a mapping's own keys (camera names) are stepped over."""
    section: Any = model
    for part in location:
        fields = getattr(section, "model_fields", {})
        if part in fields:
            section = fields[str(part)].annotation
        for candidate in _models_in(section):
            section = candidate
            break
    return sorted(getattr(section, "model_fields", {}))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _models_in(part)]
