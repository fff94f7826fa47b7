"""The table of public recordings: where they are, what they must be, and what makes them ready to use.

Every file's SHA-256 stands in `NAME.sha256`, as `sha256sum -c` reads it. Addresses are tried in order.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training.files import write_bytes
from training.projects.collected_data import h5_bytes
from training.projects.config_file import dumped, fresh_config
from training.projects.labels import read_folder
from training.projects.project import CONFIG_FILE, LABELED_DATA, Project


@dataclass(frozen=True, slots=True)
class PublicSet:
    """A public recording.

    Attributes
    ----------
    folder:
        Its name on disk.
    what:
        It is, in a line.
    origins:
        Addresses: of a folder with the files, or of a zip that holds them (`archive`).
    terms, cite:
        Its licence, and whom to thank.
    ready:
        Writes what the origin has not: into the first folder, which will be renamed to the second.
    then:
        Commands to go on with.
    """

    folder: str
    what: str
    origins: tuple[str, ...]
    archive: bool
    terms: str
    cite: str
    ready: Callable[[Path, Path], None]
    then: tuple[str, ...]


def checksums(name: str) -> dict[str, str]:
    """Path within the folder -> SHA-256, of the set `name`."""
    lines = (Path(__file__).parent / f"{name}.sha256").read_text(encoding="ascii").splitlines()
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


OPENFIELD_KEYPOINTS = ("snout", "leftear", "rightear", "tailbase")
OPENFIELD_LABELS, OPENFIELD_VIDEO = "m4s1", "m3v1mp4.mp4"
OPENFIELD_SIZE_PX = (640, 480)


def openfield_ready(part: Path, final: Path) -> None:
    """`config.yaml` with the paths of this machine, and the labels as h5 too, as DeepLabCut wants them.

    The origin's own `config.yaml` holds a placeholder for every path, and changes with DeepLabCut's versions.
    """
    day = datetime.date(2018, 10, 30)
    config = fresh_config("openfield", "Pranav", day, final, OPENFIELD_KEYPOINTS, ())
    write_bytes(part / CONFIG_FILE, dumped(config))
    width, height = OPENFIELD_SIZE_PX
    videos = (final / "videos" / name for name in (f"{OPENFIELD_LABELS}.mp4", OPENFIELD_VIDEO))
    project = Project.open(part).enter_videos({str(path): (0, width, 0, height) for path in videos}, {})
    labels = read_folder(project, OPENFIELD_LABELS)
    assert labels is not None  # its checksum was right
    rows = [(LABELED_DATA, OPENFIELD_LABELS, Path(image).name) for image in labels.images]
    values = labels.points.reshape(len(rows), -1)
    write_bytes(
        part / LABELED_DATA / OPENFIELD_LABELS / f"CollectedData_{project.scorer}.h5",
        h5_bytes(project, rows, values),
    )


def stereo_ready(part: Path, final: Path) -> None:
    """The board's settings: 9 x 6 inner corners, squares of 30 mm (Bouguet's fifth example)."""
    write_bytes(part / "board.yaml", b"kind: checkerboard\ninner_corners: [9, 6]\nsquare_mm: 30\n")


PUBLIC_SETS: dict[str, PublicSet] = {
    "openfield": PublicSet(
        folder="openfield-Pranav-2018-10-30",
        what="a DeepLabCut project: a mouse, 116 labelled frames, four keypoints, a video of 2330 frames",
        origins=(
            "https://raw.githubusercontent.com/DeepLabCut/DeepLabCut/main/examples/openfield-Pranav-2018-10-30",
        ),
        archive=False,
        terms="of the LGPL-3.0 repository of DeepLabCut",
        cite="Mathis et al. 2018 (doi:10.1038/s41593-018-0209-y), Nath et al. 2019",
        ready=openfield_ready,
        then=(
            "rigpose train openfield-Pranav-2018-10-30 -o run --init imagenet --minutes 10",
            "rigpose evaluate run",
        ),
    ),
    "stereo": PublicSet(
        folder="stereo-checkerboard",
        what="14 pairs of pictures of a checkerboard by two cameras, 640 x 480",
        origins=(
            "http://robots.stanford.edu/cs223b04/JeanYvesCalib/htmls/stereo_example.zip",
            "http://www.vision.caltech.edu/bouguetj/calib_doc/htmls/stereo_example.zip",
        ),
        archive=True,
        terms="none stated",
        cite="J.-Y. Bouguet, Camera Calibration Toolbox for Matlab, fifth example",
        ready=stereo_ready,
        then=("rigpose calibrate stereo-checkerboard --board stereo-checkerboard/board.yaml -o stereo.toml",),
    ),
}
