"""A COCO file, its images found before sleap-io reads it.

sleap-io takes any image of the same name for one that is not where the file says, and drops what it does
not find without a word. Of keypoints it passes over `score`, which only a network's have
(https://cocodataset.org/#format-results).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from training.projects.label_sources import find_images


@dataclass(frozen=True, slots=True)
class CocoFile:
    """What sleap-io is to read.

    Attributes
    ----------
    path:
        A copy that names the labelled images where they are, and no other ones; or the file itself where it
        is no COCO file.
    gone:
        Names of labelled images that are gone.
    scores:
        By image as the copy names it: the score of its keypoints, where they are a network's.
    """

    path: Path
    gone: list[str] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)


def with_found_images(path: Path, videos: Path | None, folder: Path) -> CocoFile:
    """The file as sleap-io shall read it; the copy lies in `folder`.

    Parameters
    ----------
    videos:
        Where to look for images that are no longer where the file says.

    Raises
    ------
    RigposeError
        If a folder is not to be found with any of its images, or one named without a folder is there twice.
    """
    try:
        content = json.loads(path.read_bytes()) if path.suffix.lower() == ".json" else None
        if not isinstance(content, dict) or not {"images", "annotations", "categories"} <= content.keys():
            return CocoFile(path)
        posed = [note for note in content["annotations"] if any(note.get("keypoints") or ())]
        labelled = {note["image_id"] for note in posed}
        scores = {note["image_id"]: float(note["score"]) for note in posed if note.get("score") is not None}
        names = {image["id"]: str(image["file_name"]) for image in content["images"]}
    except (ValueError, KeyError, TypeError, AttributeError):  # damaged: sleap-io says how
        return CocoFile(path)
    wanted = [names[i] for i in names if i in labelled]
    found, gone = find_images(names.values(), wanted, path, videos, below=True)
    content["images"] = [
        image | {"file_name": str(found[names[image["id"]]])}
        for image in content["images"]
        if image["id"] in labelled and names[image["id"]] in found
    ]
    copy = folder / path.name
    copy.write_text(json.dumps(content))
    return CocoFile(copy, gone, {str(found[names[i]]): scores[i] for i in scores if names.get(i) in found})
