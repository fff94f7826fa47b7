"""What is wanting, and the sentence, for boards held anywhere and for a person who does as told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.live.coverage import CELLS, MOST_VIEWS, TILTED_DEG, Coverage
from calibration.live.guidance import ENOUGH, REGIONS, TARGETS, Targets, advise, needs, tree
from calibration.quality import COVER_CELLS
from calibration.verdict import WARN_COVERAGE, WARN_SHARED, WARN_VIEWS
from tests.calibration.live.boards import view

CAMERAS = 4
NAMES = tuple(f"cam_{c}" for c in range(CAMERAS))
LOW = Targets(coverage=0.2, views=3, tilted=1, shared=2)

share = st.floats(0.0, 1.0)
views = st.builds(
    view, st.integers(0, CAMERAS - 1), share, share, st.floats(0.05, 0.6), st.floats(0, 70),
    smear_px=st.sampled_from([0.0, 0.1, 3.0, float("inf"), float("nan")]),
)  # fmt: skip
frame_sets = st.lists(views, max_size=CAMERAS, unique_by=lambda one: one.camera)


def state(coverage: Coverage) -> list[np.ndarray]:
    return [
        coverage.cells.copy(), coverage.views.copy(), coverage.tilted.copy(), coverage.shared.copy(),
        np.array(coverage.kept),
    ]  # fmt: skip


def holds(coverage: Coverage, targets: Targets) -> bool:
    """Whether all targets do, told otherwise than by a tree: the well-shared pairs join all cameras."""
    reached = {0}
    for _ in range(coverage.cameras):
        reached |= {b for a in reached for b in range(CAMERAS) if coverage.shared[a, b] >= targets.shared}
    return (
        len(reached) == coverage.cameras
        and bool((coverage.covered >= targets.coverage).all())
        and bool((coverage.views >= targets.views).all())
        and bool((coverage.tilted >= targets.tilted).all())
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(frame_sets, max_size=25))
def test_coverage_only_grows_and_what_is_wanting_only_shrinks(sets) -> None:
    coverage = Coverage(CAMERAS)
    before, worst = state(coverage), 1.0
    for one in sets:
        kept = coverage.take(one)
        after = state(coverage)
        assert all((new >= old).all() for new, old in zip(after, before, strict=True))
        assert kept == (after[-1] > before[-1])
        if not kept:
            assert all((new == old).all() for new, old in zip(after, before, strict=True))
        assert not coverage.take(one)  # the same again tells nothing
        lacking = max((need.lacking for need in needs(coverage, LOW)), default=0.0)
        assert lacking <= worst
        before, worst = after, lacking
        np.testing.assert_array_equal(coverage.shared, coverage.shared.T)
        assert (coverage.tilted <= coverage.views).all() and (coverage.views <= MOST_VIEWS).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(frame_sets, max_size=25), st.sampled_from([LOW, TARGETS]))
def test_the_sentence_names_the_worst_and_enough_is_said_when_the_targets_hold(sets, targets) -> None:
    coverage = Coverage(CAMERAS)
    for one in sets:
        coverage.take(one)
        wanting = needs(coverage, targets)
        advice = advise(wanting, NAMES)
        assert advice.enough == (advice.sentence == ENOUGH) == holds(coverage, targets)
        if advice.need is not None:
            assert advice.need.urgency == max(need.urgency for need in wanting)
            assert all(NAMES[c] in advice.sentence for c in advice.need.cameras)
            assert advice.need.where in advice.sentence
            assert all(0 < need.lacking <= 1 and 1 <= need.urgency <= 4 for need in wanting)


@pytest.mark.parametrize("seed", range(3))
def test_whoever_does_as_told_comes_to_an_end(seed: int) -> None:
    random = np.random.default_rng(seed)
    coverage, asked = Coverage(CAMERAS), 0
    while (need := advise(needs(coverage), NAMES).need) is not None:
        shown = []
        for camera in need.cameras:
            left, top, right, bottom = REGIONS[need.where] if need.where else (1, 1, 7, 5)
            x, y = random.uniform([left, top], [right, bottom]) / CELLS
            tilt_deg = random.uniform(30, 45) if need.tilted else random.uniform(0, 45)
            shown.append(view(camera, x, y, random.uniform(0.15, 0.5), tilt_deg))
        coverage.take(shown)
        asked += 1
        assert asked < 400
    assert holds(coverage, TARGETS)
    assert coverage.kept <= 130  # what calibrate takes of stills at most


def test_nothing_seen_begins_in_the_middle_and_links_come_last() -> None:
    coverage = Coverage(2)
    wanting = needs(coverage)
    assert advise(wanting, NAMES).sentence == "hold the board in the middle of cam_0, tilted"
    assert [need.kind for need in wanting].index("link") == len(wanting) - 1
    assert advise(wanting[-1:], NAMES).sentence == "show the board to cam_0 and cam_1 at once"


def test_cameras_are_linked_through_others_where_they_share_most() -> None:
    coverage = Coverage(CAMERAS)
    for a, b, count in ((0, 2, 9), (2, 1, 8), (1, 3, 7), (0, 1, 6), (0, 3, 1)):
        coverage.shared[a, b] = coverage.shared[b, a] = count
    assert set(tree(coverage)) == {(0, 2), (1, 2), (1, 3)}
    assert tree(Coverage(CAMERAS)) == ((0, 1), (1, 2), (2, 3))
    assert tree(Coverage(1)) == ()


def test_a_view_in_motion_or_blurred_does_not_count() -> None:
    coverage = Coverage(1)
    for smear_px in (0.6, 30.0, float("inf"), float("nan")):
        assert not coverage.take([view(0, 0.5, 0.5, smear_px=smear_px)])
        assert coverage.trouble(view(0, 0.5, 0.5, smear_px=smear_px)) == "moving"
    for x in (0.1, 0.3, 0.5, 0.7, 0.9):
        assert coverage.take([view(0, x, 0.5)])
    soft = view(0, 0.5, 0.1, sharpness=0.1)
    assert coverage.trouble(soft) == "blurred" and not coverage.take([soft])
    assert coverage.take([view(0, 0.5, 0.1)])


def test_one_view_for_a_camera_may_be_a_new_one_for_a_pair() -> None:
    coverage = Coverage(2)
    assert coverage.take([view(0, 0.5, 0.5)])
    assert coverage.take([view(0, 0.5, 0.5), view(1, 0.2, 0.2)])
    assert coverage.views.tolist() == [1, 1] and coverage.shared[0, 1] == 1


def test_a_tilt_at_the_same_place_is_another_view() -> None:
    coverage = Coverage(1)
    assert coverage.take([view(0, 0.5, 0.5)])
    assert not coverage.take([view(0, 0.51, 0.5, tilt_deg=5)])
    assert coverage.take([view(0, 0.5, 0.5, tilt_deg=40)])
    assert coverage.tilted[0] == 1 and coverage.cells.max() == 40 >= TILTED_DEG


def test_regions_are_all_of_the_image_once() -> None:
    count = np.zeros((CELLS[1], CELLS[0]), dtype=int)
    for left, top, right, bottom in REGIONS.values():
        count[top:bottom, left:right] += 1
    assert (count == 1).all()


def test_what_is_enough_here_is_enough_for_the_report() -> None:
    assert CELLS == COVER_CELLS
    assert TARGETS.coverage > WARN_COVERAGE
    assert TARGETS.views >= 2 * WARN_VIEWS
    assert TARGETS.shared > WARN_SHARED
