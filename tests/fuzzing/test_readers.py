"""A broken file is refused in one line, or read; it never crashes, hangs, fills the memory or runs anything.

What once failed is kept in `corpus/<reader>/` and read again each time. To look longer:
`pytest tests/fuzzing --hypothesis-profile=...` or raise EXAMPLES.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from acquisition.errors import RigposeError
from tests.fuzzing.damage import damages
from tests.fuzzing.readers import READERS, Reader

CORPUS = Path(__file__).with_name("corpus")
EXAMPLES, LONG_EXAMPLES = 12, 150
MEMORY_BYTES = 2 << 30  # more than a process has after its imports that any of these files may cost
each_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)


@pytest.fixture(autouse=True)
def _bounded_memory() -> Iterator[None]:
    """A length read from a damaged file must not be believed."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def read_broken(reader: Reader, path: Path, content: bytes) -> None:
    """Read it; an error in one line is as good as an answer."""
    path.write_bytes(content)
    try:
        reader.read(path)
    except RigposeError as error:
        assert "\n" not in str(error)
        assert error.remedy


def fuzz(reader: Reader, folder: Path, examples: int) -> None:
    path = reader.make(folder)
    good = path.read_bytes()
    reader_is_right = reader.read if reader.name != "shuffle-pickle" else None  # its labels are not there
    if reader_is_right:
        reader_is_right(path)

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(damage=damages)
    def broken(damage) -> None:
        content = good
        for one in damage:
            content = one(content)
        read_broken(reader, path, content)

    broken()


@each_reader
def test_a_broken_file(reader: Reader, tmp_path: Path) -> None:
    fuzz(reader, tmp_path, EXAMPLES)


@pytest.mark.long
@each_reader
def test_many_broken_files(reader: Reader, tmp_path: Path) -> None:
    fuzz(reader, tmp_path, LONG_EXAMPLES)


@each_reader
def test_what_once_failed(reader: Reader, tmp_path: Path) -> None:
    path = reader.make(tmp_path)
    for kept in sorted((CORPUS / reader.name).glob("*")):
        read_broken(reader, path, kept.read_bytes())


def test_the_corpus_is_of_readers_that_there_are() -> None:
    assert {folder.name for folder in CORPUS.iterdir() if folder.is_dir()} <= {one.name for one in READERS}
