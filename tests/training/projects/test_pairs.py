"""Names of left and right: a pair is found where both are there, and a half-known set is never mirrored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.projects.pairs import one_sided, pairs_by_name


@pytest.mark.parametrize(
    "names",
    [
        "leftear rightear lforepaw rforepaw",
        "left_ear right_ear LF_paw RF_paw LH_paw RH_paw",
        "left_eye right_eye earL earR",
        "LEFT_EAR RIGHT_EAR LEar REar Lpaw Rpaw",
        "paw_L paw_R l-eye r-eye toe_L1 toe_R1 pawLF pawRF",
        "paw_FL paw_FR HLpaw HRpaw RL RR",
    ],
)
def test_neighbours_are_pairs_however_their_sides_are_written(names):
    names = names.split()
    pairs = pairs_by_name(["nose", *names, "rump", "tail"])
    assert pairs == tuple(zip(names[::2], names[1::2], strict=True))
    assert one_sided(["nose", *names, "rump", "tail"], pairs) == ()


@pytest.mark.parametrize(
    "alone", ["LF_paw", "earL", "paw_l", "Left hip", "rightknee", "hl_paw", "LE", "LEar", "fl-paw fr-paw",
              "earl earr", "LL LR RL RR"],
)  # fmt: skip
def test_a_name_of_one_side_without_a_partner_is_told(alone):
    names = ["left_ear", "right_ear", "nose", *(alone.split("&") if "hip" in alone else alone.split())]
    assert one_sided(names, pairs_by_name(names)) == tuple(names[3:])


ORDINARY = (
    "rump", "lip", "Leg", "rear", "LED", "spine_L1", "tail_root", "RUMP", "bright_spot", "upright", "BRIGHT",
    "Bright", "headLED", "boxROI", "noseL1", "body_RFID", "light", "topLight",
)  # fmt: skip


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_name_is_of_no_side(name):
    assert one_sided([name, "nose", "tailbase"], ()) == ()


SIDES = [
    "left_ear right_ear",
    "earLeft earRight",
    "earLEFT earRIGHT",
    "left right",
    "earL earR",
    "pawLF pawRF",
]


@given(st.sampled_from(SIDES), st.lists(st.sampled_from(ORDINARY), unique=True), st.randoms())
def test_an_ordinary_name_switches_no_pair_off(sides, ordinary, order):
    left, right = sides.split()
    names = [left, right, *ordinary]
    order.shuffle(names)
    pairs = pairs_by_name(names)
    assert {frozenset(pair) for pair in pairs} == {frozenset((left, right))}
    assert one_sided(names, pairs) == ()
    assert one_sided([left, *ordinary], ()) == (left,)


@given(
    st.text("abLR_1", max_size=3), st.text("abLR_1", max_size=3), st.sampled_from(["light", "Light", "LIGHT"])
)
def test_a_light_is_not_the_right_ones_partner(before, after, light):
    right = light.replace("l", "r").replace("L", "R")
    left = {"right": "left", "Right": "Left", "RIGHT": "LEFT"}[right]
    names = [f"{before}{word}{after}" for word in (left, right, light)]
    assert (names[0], names[1]) in pairs_by_name(names)
    assert pairs_by_name(names[1:]) == ()


@given(st.lists(st.text("lLrReEft_1", min_size=1, max_size=6), unique=True, max_size=10))
def test_every_name_is_in_one_pair_at_most_and_what_differs_in_a_side_is_paired_or_told(names):
    pairs = pairs_by_name(names)
    paired = [name for pair in pairs for name in pair]
    assert len(set(paired)) == len(paired)
    assert set(paired) <= set(names)
    told = one_sided(names, pairs)
    assert set(told) == set(told) - set(paired)
    for name in names:
        for left, right in ("lr", "LR"):
            others = {name[:at] + right + name[at + 1 :] for at, c in enumerate(name) if c == left}
            if others & set(names) and name not in paired:
                assert name in told
