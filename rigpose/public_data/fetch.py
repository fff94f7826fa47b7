"""A public recording, fetched file by file or as a zip, checked, and made ready to use."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from acquisition.errors import RigposeError
from acquisition.progress import Progress
from rigpose.public_data.sets import PUBLIC_SETS, checksums
from training.fetching import fetch, reason, sha256_of

ARCHIVE = ".archive.zip"
MEMBER_BYTES = 1 << 27  # no file of these sets is larger


def fetch_set(name: str, output: Path, origin: str | None = None) -> list[str]:
    """Fetch the set `name` into the new folder `output`; returns the files' paths in it.

    What an interrupted call has fetched lies in `.OUTPUT.part` and is not fetched again. `origin` replaces
    the addresses of the table: of a folder, or of the zip where the set is one.

    Raises
    ------
    RigposeError
        If `output` exists, the files cannot be had, or one is not as published; `output` is not there then.
    """
    if output.exists():
        raise RigposeError(
            output, expected="a folder that does not exist yet", found="one that does",
            remedy="Give another with -o, or remove it",
        )  # fmt: skip
    public, wanted = PUBLIC_SETS[name], checksums(name)
    origins = public.origins if origin is None else (origin.rstrip("/"),)
    part = output.parent / f".{output.name}.part"
    part.mkdir(parents=True, exist_ok=True)
    missing = [path for path, digest in wanted.items() if not _is(part / path, digest)]
    if missing and public.archive:
        _unpacked(origins, part, missing)
    elif missing:
        with Progress(public.folder, total=len(missing)) as bar:
            for path in missing:
                _first_of([f"{base}/{quote(path)}" for base in origins], part / path, part)
                bar.advance(1)
    for path in missing:
        if not _is(part / path, wanted[path]):
            found = sha256_of(part / path)[:12] if (part / path).is_file() else "none in the archive"
            (part / path).unlink(missing_ok=True)
            raise RigposeError(
                f"{origins[0]}, {path}", expected=f"the published file, SHA-256 {wanted[path][:12]}",
                found=found, remedy="Try again; if it stays so the origin has changed: please tell us",
            )  # fmt: skip
    (part / ARCHIVE).unlink(missing_ok=True)
    public.ready(part, output.resolve())
    part.rename(output)
    return sorted(wanted)


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and sha256_of(path) == digest


def _first_of(addresses: list[str], path: Path, part: Path, label: str = "") -> None:
    """Fetch from the first address that has it."""
    for address in addresses:
        try:
            fetch(address, path, label)
            return
        except OSError as error:
            why = reason(error)
        except ValueError:  # urllib's word for what is no address
            why = "no address that begins with https, http or file"
    raise RigposeError(
        addresses[-1], expected="the published file", found=why,
        remedy=f"Try again, or give another address with --origin; what is here stays in {part}",
    )  # fmt: skip


def _unpacked(origins: tuple[str, ...], part: Path, missing: list[str]) -> None:
    """Those files of the zip, by their own names wherever in it they lie."""
    _first_of(list(origins), part / ARCHIVE, part, "archive")
    try:
        with zipfile.ZipFile(part / ARCHIVE) as archive:
            members = {PurePosixPath(each.filename).name: each for each in archive.infolist()}
            for path in missing:
                member = members.get(path)
                if member is None or member.file_size > MEMBER_BYTES:
                    continue
                with archive.open(member) as source, (part / path).open("wb") as target:
                    shutil.copyfileobj(source, target)
    # zipfile's and zlib's words for a damaged archive, an unknown method and one behind a password
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        (part / ARCHIVE).unlink(missing_ok=True)
        raise RigposeError(
            origins[0], expected="a zip with the published files", found=str(error) or "a damaged one",
            remedy="Try again, or give another address with --origin",
        ) from None  # fmt: skip
