"""Which keypoints change places in a mirror, told by their names.

A half-known set is worse than none: a mirrored image in which the ears change places and the paws do not
teaches left for right. So `one_sided` tells which names seem to be of one side and have no partner.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

Pair = tuple[str, str]

_WORDS = (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"))
_PART = r"(?<![^\W_])({})(?![^\W_])"  # between anything that is no letter and no digit
_SIDED = re.compile(
    "|".join((
        r"(?<![^\W\d_])(?i:left|right)|Left|Right|(?<=[a-z])(?:LEFT|RIGHT)",  # left_ear, earLeft; not bright
        _PART.format("[lLrR]"),  # paw_L
        _PART.format("(?i:[lr][fhbmr]|[fhbmr][lr])"),  # fl_paw, HR: front, hind, back, middle, rear
        _PART.format("[LR][A-Z]"),  # LE
        r"(?<![^\W_])[LR](?=[A-Z][a-z])",  # LEar
        r"(?<=[a-z])[LR][FHBMR]?(?![^\W_])",  # earL, pawLF; not headLED, noseL1
    ))
)  # fmt: skip


def pairs_by_name(keypoints: Sequence[str]) -> tuple[Pair, ...]:
    """Pairs (left, right) of names that differ only in their side, both of which are there.

    The side is left/right, separate letters l/r (`paw_L`), or a single l/r that begins a part of the name
    (`lforepaw`, `LF_paw`) or, as a capital, ends one (`earL`, `paw_FL`). The l of `light` is no side. A name
    with two possible partners has none.
    """
    known = set(keypoints)
    found = dict.fromkeys(
        (name, other) for name in keypoints for other in _mirrored(name) if other != name and other in known
    )
    names = [name for pair in found for name in pair]
    return tuple(pair for pair in found if all(names.count(name) == 1 for name in pair))


def one_sided(keypoints: Sequence[str], pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Names that look as if they were of one side, or differ in a single l/r, and are in none of `pairs`."""
    paired = {name for pair in pairs for name in pair}
    alone = [name for name in keypoints if name not in paired]
    alike = {name for name in alone for other in alone if _differ_in_side(name, other)}
    return tuple(name for name in alone if name in alike or _SIDED.search(name))


def _mirrored(name: str) -> Iterator[str]:
    """What the right one is called if `name` is a left one."""
    for left, right in _WORDS:
        yield name.replace(left, right)
    yield re.sub(_PART.format("[lL]"), lambda match: "r" if match[1] == "l" else "R", name)
    for at, letter in enumerate(name):
        before, after = name[at - 1 : at], name[at + 1 : at + 2]
        begins = not before.isalnum() or (letter == "L" and (before.islower() or after.islower()))
        ends = letter == "L" and not after.isalpha()
        is_light = name[at : at + 5].lower() == "light"  # which would become "right"
        if letter in "lL" and (begins or ends) and not is_light:
            yield f"{name[:at]}{'r' if letter == 'l' else 'R'}{name[at + 1 :]}"


def _differ_in_side(name: str, other: str) -> bool:
    differing = [{a, b} for a, b in zip(name, other, strict=False) if a != b]
    return len(name) == len(other) and differing in ([{"l", "r"}], [{"L", "R"}])
