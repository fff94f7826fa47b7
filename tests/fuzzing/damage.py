"""How files get broken: bytes that change, ends that are missing, pieces that stand twice or elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

# What breaks readers: signs, sizes, nesting, numbers that are none, other encodings.
TOKENS = (
    b"", b"\x00", b"\xff\xfe", b"-1", b"1e999", b"1e999999999", b"nan", b"99999999999999999999", b"null",
    b"[[[[", b'{"a":', b"{}", b"!!python/object/apply:os.system ['true']", b"\n", b",", b'"', b"true",
    b"\xf0\x9f\x90\x81", b"../../",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edit:
    """One damage: at a place (a share of the length), so many bytes are replaced."""

    place: float
    length: int
    content: bytes

    def __call__(self, good: bytes) -> bytes:
        at = min(len(good), int(self.place * (len(good) + 1)))
        return good[:at] + self.content + good[at + self.length :]


@dataclass(frozen=True, slots=True)
class Cut:
    """The end is missing."""

    place: float

    def __call__(self, good: bytes) -> bytes:
        return good[: int(self.place * len(good))]


@dataclass(frozen=True, slots=True)
class Moved:
    """A piece from elsewhere in the file."""

    place: float
    source: float
    length: int

    def __call__(self, good: bytes) -> bytes:
        start = int(self.source * len(good))
        return Edit(self.place, self.length, good[start : start + self.length])(good)


_place = st.floats(0, 1)
damages = st.lists(
    st.one_of(
        st.builds(Edit, _place, st.integers(0, 8), st.sampled_from(TOKENS)),
        st.builds(Edit, _place, st.integers(0, 40), st.binary(max_size=40)),
        st.builds(Edit, _place, st.just(1), st.binary(min_size=1, max_size=1)),
        st.builds(Moved, _place, _place, st.integers(1, 200)),
        st.builds(Cut, _place),
    ),
    min_size=1,
    max_size=4,
)
