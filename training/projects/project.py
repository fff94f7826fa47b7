"""A project: DeepLabCut's folder and `config.yaml`, with our additions in `rigpose.yaml` beside it.

`config.yaml` never gets a key of ours (DeepLabCut 3 rejects unknown ones), and keys we do not know are
kept. Its `project_path` and the keys of `video_sets` may be placeholders or stale: the folder in which
the file lies is the project.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from acquisition.errors import RigposeError
from acquisition.settings import Settings, read_settings, read_yaml
from training.files import write_bytes
from training.projects.config_file import dumped, fresh_config, round_trip
from training.projects.pairs import Pair, one_sided, pairs_by_name

CONFIG_FILE = "config.yaml"
SIDECAR_FILE = "rigpose.yaml"
LABELED_DATA = "labeled-data"

Crop = tuple[int, int, int, int]
"""x1, x2, y1, y2 px: columns x1 to x2 - 1, rows y1 to y2 - 1, as in config.yaml."""


class Sidecar(Settings):
    """What rigpose knows of a project beyond DeepLabCut's `config.yaml`.

    Attributes
    ----------
    symmetric_pairs:
        Keypoints that change places in a mirror. None: found by their names.
    recordings:
        Folder of labelled images -> the recording it came from. Images of one recording with equal
        numbers show one instant, so that a split keeps them together.
    """

    symmetric_pairs: tuple[Pair, ...] | None = None
    recordings: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Project:
    """A labelled project on disk.

    Attributes
    ----------
    root:
        Its folder.
    task, scorer:
        As in `config.yaml`.
    keypoints:
        Names in the order of `bodyparts`.
    skeleton, symmetric_pairs:
        Bones, and keypoints that change places in a mirror, by name.
    individuals:
        Names in a multi-animal project, else empty.
    recordings:
        Folder of labelled images -> recording it came from, where known.
    one_sided:
        Keypoints whose names are those of one side and lack a partner; empty where `rigpose.yaml` lists the
        pairs. While there are any, nobody knows what a mirrored image shows.
    """

    root: Path
    task: str
    scorer: str
    keypoints: tuple[str, ...]
    skeleton: tuple[Pair, ...]
    symmetric_pairs: tuple[Pair, ...]
    individuals: tuple[str, ...]
    recordings: dict[str, str]
    one_sided: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: Path) -> Project:
        """The project in folder `path` (or of the `config.yaml` at `path`), as it is.

        Raises
        ------
        RigposeError
            If there is no project, or a key that is needed is missing.
        """
        path = Path(path)
        config_file = path if path.is_file() else path / CONFIG_FILE
        if not config_file.is_file():
            raise RigposeError(
                path, expected=f"a project folder with {CONFIG_FILE}", found="none there",
                remedy="Give the folder that holds config.yaml",
            )  # fmt: skip
        config = read_yaml(config_file)
        root = config_file.resolve().parent
        several = bool(config.get("multianimalproject"))
        keypoints = _names(config, "multianimalbodyparts" if several else "bodyparts", config_file)
        sidecar = Sidecar()
        if (root / SIDECAR_FILE).is_file():
            sidecar = read_settings(Sidecar, root / SIDECAR_FILE)
        listed = sidecar.symmetric_pairs
        pairs = pairs_by_name(keypoints) if listed is None else listed
        for key, links in (("skeleton", _skeleton(config)), ("symmetric_pairs", pairs)):
            strange = sorted({name for link in links for name in link} - set(keypoints))
            if strange and key == "symmetric_pairs":
                raise RigposeError(
                    root / SIDECAR_FILE, expected=f"{key} of the keypoints {', '.join(keypoints)}",
                    found=f"'{strange[0]}'", remedy="Mend that pair",
                )  # fmt: skip
        return cls(
            root=root,
            task=str(config.get("Task") or root.name),
            scorer=str(config.get("scorer") or ""),
            keypoints=keypoints,
            # bones of points that are no keypoints (any more) are DeepLabCut's business, not an error
            skeleton=tuple(bone for bone in _skeleton(config) if set(bone) <= set(keypoints)),
            symmetric_pairs=pairs,
            individuals=tuple(str(name) for name in config.get("individuals") or ()) if several else (),
            recordings=dict(sidecar.recordings),
            one_sided=one_sided(keypoints, pairs) if listed is None else (),
        )

    @classmethod
    def create(
        cls,
        parent: Path,
        *,
        task: str,
        scorer: str,
        keypoints: Sequence[str],
        skeleton: Iterable[Pair] = (),
        symmetric_pairs: Iterable[Pair] | None = None,
        date: datetime.date | None = None,
    ) -> Project:
        """Make the folder `<task>-<scorer>-<date>` in `parent` and open it.

        Parameters
        ----------
        symmetric_pairs:
            Keypoints that change places in a mirror; None: found by their names.
        date:
            Today by default.

        Raises
        ------
        RigposeError
            If the folder exists, or a name cannot be one.
        """
        for name in (task, scorer, *keypoints):
            if not re.fullmatch(r"\w[\w .+-]*", name):
                raise RigposeError(
                    f"the name '{name}'", expected="letters, digits, spaces, _ . + or -",
                    found=repr(name), remedy="Choose another name",
                )  # fmt: skip
        if not keypoints or len(set(keypoints)) != len(keypoints):
            raise RigposeError(
                "keypoints", expected="at least one name, each once", found=", ".join(keypoints) or "none",
                remedy="Name the keypoints, for instance nose,tail",
            )  # fmt: skip
        day = date or datetime.date.today()
        root = Path(parent).resolve() / f"{task}-{scorer}-{day.isoformat()}"
        if root.exists():
            raise RigposeError(
                root, expected="a folder that does not exist yet", found="one that does",
                remedy="Choose another name, or open that project",
            )  # fmt: skip
        config = fresh_config(task, scorer, day, root, keypoints, skeleton)
        sidecar: dict[str, Any] = {}
        if symmetric_pairs is not None:
            sidecar["symmetric_pairs"] = [list(pair) for pair in symmetric_pairs]
        for folder in (LABELED_DATA, "videos"):
            (root / folder).mkdir(parents=True)
        write_bytes(root / SIDECAR_FILE, dumped(sidecar))
        write_bytes(root / CONFIG_FILE, dumped(config))  # last: a folder without it is no project
        return cls.open(root)

    def add_labelled_folder(self, folder: str, *, size_px: tuple[int, int], recording: str = "") -> Project:
        """Make `labeled-data/<folder>`, enter it in `config.yaml` and say what it came from.

        Parameters
        ----------
        size_px:
            Width and height of its images, for `video_sets`.
        recording:
            The recording that its images come from; folders of several cameras share one.
        """
        (self.root / LABELED_DATA / folder).mkdir(parents=True, exist_ok=True)
        videos = {} if folder in self.videos_by_folder() else {
            str(self.root / "videos" / f"{folder}.mkv"): (0, size_px[0], 0, size_px[1])
        }  # fmt: skip
        return self.enter_videos(videos, {folder: recording} if recording else {})

    @property
    def mirrored_pairs(self) -> tuple[Pair, ...]:
        """What changes places in a mirrored image; where that is half known nothing, and none is made."""
        return () if self.one_sided else self.symmetric_pairs

    def video_sets(self) -> dict[Any, Any]:
        """What stands under `video_sets` in config.yaml, by path as written; raises `RigposeError`."""
        entries = read_yaml(self.root / CONFIG_FILE).get("video_sets") or {}
        if not isinstance(entries, dict):
            raise RigposeError(
                self.root / CONFIG_FILE, expected="video_sets with a line for each video, its path first",
                found=f"a {type(entries).__name__}", remedy="Mend it: rigpose add-videos writes such lines",
            )  # fmt: skip
        return entries

    def videos_by_folder(self) -> dict[str, list[str]]:
        """Folder of labelled images -> the videos that `config.yaml` names for it, as written there.

        More than one where two videos have the same name: their images lie in one folder.
        """
        found: dict[str, list[str]] = {}
        for key in self.video_sets():
            found.setdefault(_stem(key), []).append(str(key))
        return found

    def enter_videos(self, crops: Mapping[str, Crop], recordings: Mapping[str, str]) -> Project:
        """Enter videos (path -> crop) in `config.yaml`, in the place of any of the same name.

        Parameters
        ----------
        crops:
            x1, x2, y1, y2 px by path.
        recordings:
            Folder of labelled images -> the recording its images come from.
        """
        if crops:
            self.video_sets()  # a damaged one is told before anything is written
            config = round_trip((self.root / CONFIG_FILE).read_bytes())
            videos = config.get("video_sets") or {}
            replaced = {_stem(video) for video in crops}
            for key in [key for key in videos if _stem(key) in replaced]:
                del videos[key]
            for video, crop in crops.items():
                videos[video] = {"crop": ", ".join(str(edge) for edge in crop)}
            config["video_sets"] = videos
            write_bytes(self.root / CONFIG_FILE, dumped(config))
        new = {folder: name for folder, name in recordings.items() if self.recordings.get(folder) != name}
        if new:
            path = self.root / SIDECAR_FILE
            sidecar = (round_trip(path.read_bytes()) if path.is_file() else None) or {}
            sidecar["recordings"] = {**(sidecar.get("recordings") or {}), **new}
            write_bytes(path, dumped(sidecar))
        return Project.open(self.root)

    def raise_iteration(self) -> int:
        """Raise `iteration` in `config.yaml` by one and return it; no other line changes.

        Raises
        ------
        RigposeError
            If it is no whole number.
        """
        config = round_trip((self.root / CONFIG_FILE).read_bytes())
        before = config.get("iteration") or 0
        if not isinstance(before, int):
            raise RigposeError(
                self.root / CONFIG_FILE, expected="a whole number under 'iteration'", found=repr(before),
                remedy="Write 0 there",
            )  # fmt: skip
        config["iteration"] = before + 1
        write_bytes(self.root / CONFIG_FILE, dumped(config))
        return before + 1


def _names(config: dict[str, Any], key: str, whose: Path) -> tuple[str, ...]:
    names = config.get(key)
    if not isinstance(names, list) or not names:
        raise RigposeError(
            whose, expected=f"a list of names under '{key}'", found=repr(names)[:60],
            remedy="List the keypoints there",
        )  # fmt: skip
    if len({str(name) for name in names}) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RigposeError(
            whose, expected=f"each name under '{key}' once", found=f"'{twice}' twice", remedy="Remove one"
        )
    return tuple(str(name) for name in names)


def _skeleton(config: dict[str, Any]) -> tuple[Pair, ...]:
    bones = config.get("skeleton") or ()
    return tuple((str(bone[0]), str(bone[1])) for bone in bones if isinstance(bone, list) and len(bone) == 2)


def _stem(video: object) -> str:
    return Path(str(video).replace("\\", "/")).stem
