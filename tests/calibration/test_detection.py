import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.settings import parse_settings, read_settings
from calibration.boards import BoardSettings, charuco_board
from calibration.detection import Detector, Pattern, recognise

CHECKER = BoardSettings(kind="checkerboard", inner_corners=(9, 6), square_mm=25)
CHARUCO = BoardSettings(
    kind="charuco", squares=(6, 8), square_mm=30, marker_mm=22, dictionary="DICT_4X4_50"
)  # rows even: the old and the new pattern differ


def flat(board: BoardSettings, square_px: int = 40, legacy: bool = False) -> np.ndarray:
    """The print with a margin of one square, its first inner corner at 2 squares less half a pixel."""
    columns, rows = board.grid[0] + 1, board.grid[1] + 1
    if board.kind == "charuco":
        image = charuco_board(board, legacy).generateImage((columns * square_px, rows * square_px))
    else:
        dark = np.add.outer(np.arange(rows), np.arange(columns)) % 2 == 0
        image = np.where(np.kron(dark, np.ones((square_px, square_px))), 20, 230).astype(np.uint8)
    return cv2.copyMakeBorder(image, *[square_px] * 4, cv2.BORDER_CONSTANT, value=255)


def seen(
    board: BoardSettings, square_px: int = 40, *, quarter_turns: int = 0, inverted: bool = False, **printed
) -> tuple[np.ndarray, np.ndarray]:
    """A picture (720 x 900) of the board at a slant, and its true corners (N, 2)."""
    image = flat(board, square_px, **printed)
    if inverted:
        image = 255 - image
    columns, rows = board.grid
    y, x = np.mgrid[0:rows, 0:columns]
    corners = np.stack([x.ravel() + 2, y.ravel() + 2], axis=-1) * float(square_px) - 0.5
    middle = np.array([image.shape[1] - 1, image.shape[0] - 1]) / 2
    c, s = np.cos(quarter_turns * np.pi / 2 + 0.15), np.sin(quarter_turns * np.pi / 2 + 0.15)
    place = np.array([[c, -s, 450.0], [s, c, 360.0], [0, 0, 1]]) @ np.array(
        [[1, 0, -middle[0]], [0, 1, -middle[1]], [0, 0, 1.0]]
    )
    slant = np.array([[1, 0.08, 0], [0.03, 0.95, 0], [1.2e-4, -1.5e-4, 1]]) @ place
    # four times the size and shrunk by area: what a lens and a sensor do to edges
    up = np.diag([4.0, 4, 1]) @ np.array([[1, 0, 0.375], [0, 1, 0.375], [0, 0, 1]])
    large = cv2.warpPerspective(image, up @ slant, (3600, 2880), borderValue=128)
    small = cv2.resize(large, (900, 720), interpolation=cv2.INTER_AREA)
    noisy = cv2.GaussianBlur(small, (0, 0), 0.7) + np.random.default_rng(0).normal(0, 2, small.shape)
    homogeneous = np.column_stack([corners, np.ones(len(corners))]) @ slant.T
    return np.clip(noisy, 0, 255).astype(np.uint8), homogeneous[:, :2] / homogeneous[:, 2:]


def test_checkerboard_corners_to_a_tenth_of_a_pixel():
    image, true = seen(CHECKER)
    found = Detector(CHECKER).find(image)
    np.testing.assert_array_equal(found.ids, np.arange(54))
    error = np.linalg.norm(found.px - true, axis=1)
    assert np.sqrt(np.mean(error**2)) < 0.1
    assert np.abs((found.px - true).mean(axis=0)).max() < 0.03


def test_a_checkerboard_turned_by_half_is_numbered_from_the_same_corner():
    """9 x 6 inner corners: the colours tell, whatever order OpenCV gives."""
    for turns in (0, 2):
        image, true = seen(CHECKER, quarter_turns=turns)
        found = Detector(CHECKER).find(image)
        assert np.linalg.norm(found.px - true, axis=1).max() < 1.0


@pytest.mark.parametrize(("grid", "count"), [((9, 6), 1), ((8, 6), 2), ((7, 5), 2), ((6, 6), 4), ((7, 7), 2)])
def test_symmetries_leave_the_pattern_as_it_was(grid, count):
    board = BoardSettings(kind="checkerboard", inner_corners=grid, square_mm=1)
    assert len(board.symmetries) == count
    colour = np.add.outer(np.arange(grid[1] - 1), np.arange(grid[0] - 1)) % 2
    points = board.points_mm[:, :2]
    for permutation in board.symmetries:
        assert sorted(permutation) == list(range(len(points)))
        moved = points[permutation]
        for row in range(grid[1] - 1):
            for column in range(grid[0] - 1):
                first = row * grid[0] + column
                middle = moved[[first, first + 1, first + grid[0], first + grid[0] + 1]].mean(axis=0)
                assert colour[int(middle[1]), int(middle[0])] == colour[row, column]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("inverted", [False, True])
def test_every_charuco_print_is_recognised_by_itself(legacy, inverted):
    image, true = seen(CHARUCO, legacy=legacy, inverted=inverted)
    pattern = recognise(CHARUCO, [np.full_like(image, 90), image], "board.yaml")
    assert pattern == Pattern(legacy, inverted)
    found = Detector(CHARUCO, pattern).find(image)
    assert len(found.ids) == 35
    error = np.linalg.norm(found.px - true[found.ids], axis=1)
    assert np.sqrt(np.mean(error**2)) < 0.1


def test_a_part_of_a_charuco_board_keeps_its_numbers():
    image, true = seen(CHARUCO)
    image[:, 480:] = 128
    found = Detector(CHARUCO).find(image)
    assert 6 <= len(found.ids) < 30
    assert np.linalg.norm(found.px - true[found.ids], axis=1).max() < 1.0


def test_a_blurred_view_is_less_sharp():
    image, _ = seen(CHECKER)
    still = Detector(CHECKER).find(image)
    moved = Detector(CHECKER).find(cv2.blur(image, (9, 1)))
    assert moved.sharpness < 0.8 * still.sharpness


def test_no_board_is_no_board():
    image = np.random.default_rng(0).integers(0, 255, (480, 640)).astype(np.uint8)
    assert Detector(CHECKER).find(image) is None
    assert Detector(CHARUCO).find(image) is None


@pytest.mark.long
@pytest.mark.parametrize(
    ("described", "shown", "found"),
    [
        (
            BoardSettings(kind="checkerboard", inner_corners=(8, 5), square_mm=25),
            CHECKER,
            "9 x 6 inner corners",
        ),
        (CHARUCO, CHECKER, "9 x 6 inner corners"),
    ],
)
def test_a_wrong_board_file_says_what_was_seen(described, shown, found):
    image, _ = seen(shown)
    with pytest.raises(RigposeError, match=found):
        recognise(described, [image], "board.yaml")


@pytest.mark.long
def test_markers_of_another_dictionary_are_named():
    image, _ = seen(CHARUCO)
    other = CHARUCO.model_copy(update={"dictionary": "DICT_6X6_250"})
    with pytest.raises(RigposeError, match="of DICT_4X4_1000, not lying as on that board"):
        recognise(other, [image], "board.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kind": "charuco", "square_mm": 10, "squares": [5, 7]}, "a charuco needs 'dictionary'"),
        (
            {"kind": "checkerboard", "square_mm": 10, "inner_corners": [9, 6], "marker_mm": 3},
            "has no 'marker_mm'",
        ),
        ({"kind": "checkerboard", "square_mm": 10, "inner_corners": [9, 1]}, "2 x 2"),
        (
            {
                "kind": "charuco",
                "square_mm": 10,
                "squares": [5, 7],
                "marker_mm": 12,
                "dictionary": "DICT_4X4_50",
            },
            "smaller than square_mm",
        ),
        (
            {"kind": "charuco", "square_mm": 10, "squares": [5, 7], "marker_mm": 7, "dictionary": "DICT_9X9"},
            "dictionary must be one of",
        ),
        ({"kind": "checkerboard", "square_mm": 10, "inner_corner": [9, 6]}, "inner_corners"),
    ],
)
def test_board_files_with_a_mistake(content, message):
    with pytest.raises(RigposeError, match=message):
        parse_settings(BoardSettings, content, "board.yaml")


def test_a_dictionary_too_small_for_the_board_is_said_at_once(tmp_path):
    (tmp_path / "board.yaml").write_text(
        "kind: charuco\nsquares: [12, 12]\nsquare_mm: 20\nmarker_mm: 15\ndictionary: DICT_4X4_50\n"
    )
    with pytest.raises(RigposeError, match="72 markers are needed, DICT_4X4_50 has 50"):
        read_settings(BoardSettings, tmp_path / "board.yaml")
