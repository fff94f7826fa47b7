"""A COCO file, its images found before sleap-io reads it.

sleap-io takes any image of the same name for one that is not where the file says, and drops what it does
not find without a word.
"""

from __future__ import annotations

import json
from pathlib import Path

from training.projects.label_sources import find_images


def with_found_images(path: Path, videos: Path | None, folder: Path) -> tuple[Path, list[str]]:
    """A copy of the file in `folder` that names its labelled images where they are, and no other ones.

    Parameters
    ----------
    videos:
        Where to look for images that are no longer where the file says.

    Returns
    -------
    The copy, or `path` itself where it is no COCO file; and the names of labelled images that are gone.

    Raises
    ------
    RigposeError
        If a folder is not to be found with any of its images, or one named without a folder is there twice.
    """
    try:
        content = json.loads(path.read_bytes()) if path.suffix.lower() == ".json" else None
        if not isinstance(content, dict) or not {"images", "annotations", "categories"} <= content.keys():
            return path, []
        labelled = {note["image_id"] for note in content["annotations"] if any(note.get("keypoints") or ())}
        names = {image["id"]: str(image["file_name"]) for image in content["images"]}
    except (ValueError, KeyError, TypeError, AttributeError):  # damaged: sleap-io says how
        return path, []
    wanted = [names[i] for i in names if i in labelled]
    found, gone = find_images(names.values(), wanted, path, videos, below=True)
    content["images"] = [
        image | {"file_name": str(found[names[image["id"]]])}
        for image in content["images"]
        if image["id"] in labelled and names[image["id"]] in found
    ]
    copy = folder / path.name
    copy.write_text(json.dumps(content))
    return copy, gone
