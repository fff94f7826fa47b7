"""Keys of the stream: files that hold a CURVE key, and a folder that says who may listen.

    keys/server.pub  keys/server.secret     the publisher's own pair
    keys/allowed/ada.pub                    a client that may listen: `ada` is its name in counts and events

A key file is a ZeroMQ certificate (ZPL, ZeroMQ RFC 4, as CZMQ and pyzmq read it), so that clients in other
languages can use it. Every file is 0600 and every folder 0700; a secret is never printed.
This module needs pyzmq only, so that a client can take it along.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from zmq.utils import z85

from acquisition.errors import RigposeError

SERVER = "server"
ALLOWED = "allowed"
PUBLIC_SUFFIX, SECRET_SUFFIX = ".pub", ".secret"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LINE = re.compile(r'^\s*(public|secret)-key\s*=\s*"([^"\n]*)"\s*$', re.MULTILINE)
_LARGEST_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A public key and its secret, 40 characters of Z85 each."""

    public: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """What a subscriber needs: the publisher's public key, and a pair of its own that is allowed there."""

    server: str
    own: KeyPair


def fresh_pair() -> KeyPair:
    """A pair that no file holds."""
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode(), secret.decode())


def new_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a pair; the files `<name>.pub` and `<name>.secret` in `folder`.

    Raises
    ------
    RigposeError
        If the name is none, or a file of it is there already.
    """
    require_name(name)
    files = folder / f"{name}{PUBLIC_SUFFIX}", folder / f"{name}{SECRET_SUFFIX}"
    for file in files:
        if file.exists():
            raise RigposeError(
                file, expected="a new name", found="a key of that name",
                remedy="Give another name, or remove both files of the old one",
            )  # fmt: skip
    pair = fresh_pair()
    with _folder(folder):
        _write(files[1], f'secret-key = "{pair.secret}"', pair.public)
        _write(files[0], "", pair.public)
    return files


def allow(folder: Path, public_file: Path, name: str | None = None) -> str:
    """Let the holder of a public key listen; returns the name it is known by.

    Parameters
    ----------
    folder:
        The publisher's keys.
    public_file:
        The client's public key.
    name:
        By default the file's name.

    Raises
    ------
    RigposeError
        If it is no public key, or the name or the key is there already with another.
    """
    public = read_public(public_file)
    name = public_file.name.removesuffix(PUBLIC_SUFFIX) if name is None else name
    require_name(name)
    known = allowed(folder)
    if known.get(public) == name:
        return name
    if public in known or name in known.values():
        raise RigposeError(
            public_file, expected="a client that is not allowed yet",
            found=f"its key as '{known[public]}'" if public in known else f"another key as '{name}'",
            remedy=f"Run: rigpose keys revoke {known.get(public, name)}, or give --name",
        )  # fmt: skip
    with _folder(folder), _folder(folder / ALLOWED):
        _write(folder / ALLOWED / f"{name}{PUBLIC_SUFFIX}", "", public)
    return name


def revoke(folder: Path, name: str) -> None:
    """Take a client off the list; raises `RigposeError` where it is not on it."""
    require_name(name)
    try:
        (folder / ALLOWED / f"{name}{PUBLIC_SUFFIX}").unlink()
    except FileNotFoundError:
        raise RigposeError(
            folder, expected=f"a client '{name}' that is allowed", found=_names(folder),
            remedy="Run: rigpose keys list",
        ) from None  # fmt: skip


def allowed(folder: Path) -> dict[str, str]:
    """Public key to name of all clients that may listen.

    Raises
    ------
    RigposeError
        If a file on the list is no public key: nobody is let in by half a list.
    """
    return {read_public(file): file.name.removesuffix(PUBLIC_SUFFIX) for file in allowed_files(folder)}


def allowed_files(folder: Path) -> list[Path]:
    """The files of the list, by name; a folder that is not there is an empty list."""
    return sorted((folder / ALLOWED).glob(f"[!.]*{PUBLIC_SUFFIX}"))


def server_pair(folder: Path) -> KeyPair:
    """The publisher's own pair; raises `RigposeError` where it is missing or others can read it."""
    file = folder / f"{SERVER}{SECRET_SUFFIX}"
    if not file.exists():
        raise RigposeError(
            folder, expected=f"the publisher's key, {file.name}", found="none",
            remedy=f"Run: rigpose keys new {SERVER} --keys {folder}",
        )  # fmt: skip
    return read_secret(file)


def client_keys(server_public: Path | str, own_secret: Path | str) -> ClientKeys:
    """A subscriber's keys from its two files; raises `RigposeError`."""
    return ClientKeys(read_public(Path(server_public)), read_secret(Path(own_secret)))


def keys_of(server_public: Path | None, own_secret: Path | None) -> ClientKeys | None:
    """The same where both may be left out (no keys); raises `RigposeError` where one of two is there."""
    if server_public is None and own_secret is None:
        return None
    if server_public is None or own_secret is None:
        raise RigposeError(
            "the keys", expected="--server-key and --key, or neither",
            found="--key only" if server_public is None else "--server-key only",
            remedy="Give the publisher's public key and your own secret one",
        )  # fmt: skip
    return client_keys(server_public, own_secret)


def read_public(path: Path) -> str:
    """The public key in a file; raises `RigposeError`, also where the file holds a secret."""
    keys = _read(path)
    if "secret" in keys:
        raise RigposeError(
            path, expected="a public key", found="a secret one",
            remedy=f"Give the {PUBLIC_SUFFIX} file made with it; a secret stays on its machine",
        )  # fmt: skip
    return keys["public"]


def read_secret(path: Path) -> KeyPair:
    """The pair in a secret file; raises `RigposeError`, also where others can read the file."""
    keys = _read(path)
    if "secret" not in keys:
        raise RigposeError(
            path, expected="a secret key", found="a public one",
            remedy=f"Give the {SECRET_SUFFIX} file made with it",
        )  # fmt: skip
    if path.stat().st_mode & 0o077:
        raise RigposeError(
            path, expected="a secret that only its owner can read", found="a file open to others",
            remedy=f"Run: chmod 600 {path}; if others have been there, make a new key",
        )  # fmt: skip
    if zmq.curve_public(keys["secret"].encode()).decode() != keys["public"]:
        raise _no_key(path, "a public key that is another's")
    return KeyPair(keys["public"], keys["secret"])


def require_name(name: str) -> None:
    """Refuse what cannot be a file's name everywhere; raises `RigposeError`."""
    if not _NAME.fullmatch(name):
        raise RigposeError(
            "the key's name", expected="letters, digits, dot, dash and underscore", found=f"'{name[:80]}'",
            remedy="Give another name",
        )  # fmt: skip


def _read(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as stream:
            text = stream.read(_LARGEST_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise RigposeError(
            path, expected="a key file", found=error.strerror or "no file",
            remedy="Give a file that 'rigpose keys new' has written",
        ) from None  # fmt: skip
    keys = dict(_LINE.findall(text))
    for key in keys.values():
        if not _is_key(key):
            raise _no_key(path, "a key that is not 40 characters of Z85")
    if "public" not in keys:
        raise _no_key(path, "no key in it")
    return keys


def _is_key(text: str) -> bool:
    """Whether `text` is 32 bytes in Z85 (ZeroMQ RFC 32)."""
    try:
        return len(text) == 40 and z85.encode(z85.decode(text.encode("ascii"))) == text.encode("ascii")
    except (KeyError, ValueError, struct.error):  # what pyzmq's decoder does with other characters
        return False


def _no_key(path: Path, found: str) -> RigposeError:
    return RigposeError(
        path, expected="a key file", found=found, remedy="Give a file that 'rigpose keys new' has written"
    )


def _names(folder: Path) -> str:
    names = [file.name.removesuffix(PUBLIC_SUFFIX) for file in allowed_files(folder)]
    return ", ".join(names) or "nobody allowed"


@contextlib.contextmanager
def _folder(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise RigposeError(
            folder, expected="a folder for keys that can be written", found=error.strerror or str(error),
            remedy="Give another one after --keys",
        ) from None  # fmt: skip


def _write(path: Path, secret_line: str, public: str) -> None:
    """A key file, 0600 from its first byte, there whole or not at all."""
    kind = "secret key: keep it on this machine" if secret_line else "public key: give it to the other side"
    lines = [f"#   rigpose {kind}", "metadata", "curve", f'    public-key = "{public}"']
    if secret_line:
        lines.append(f"    {secret_line}")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(number, "w", encoding="ascii") as stream:
            stream.write("\n".join(lines) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
