"""`rigpose export-slp`, `rigpose export-nwb`: poses and recordings in the files of others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rigpose.commands.options import Measured, Output
from rigpose.commands.poses import Overwrite

PoseFiles = Annotated[list[Path] | None, Parameter(consume_multiple=True)]
WrittenBones = Annotated[
    Path | None,
    Parameter(name="--skeleton", help="Bones to write, as listed in a bundle, run, project, config.yaml."),
]


def export_slp(
    *files: Path, output: Output, skeleton: WrittenBones = None, overwrite: Overwrite = False
) -> Measured:
    """Write poses into a SLEAP file (.slp), to look at and correct them there.

    Every frame with a point becomes one with a predicted instance; points keep their confidence. A camera
    recorded in segments has a video in it for each. SLEAP seeks by number: of a recording that lost frames
    give the copies of rigpose video pack.

    Parameters
    ----------
    files:
        Files of 2D poses (h5, csv, .poses.npz), and their videos or recordings; without, those that the files
        name.
    output:
        The .slp to write.

    Returns
    -------
    dict
        `labelled_frames`, `points`, and per video its frames and how many are labelled.

    Raises
    ------
    RigposeError
        Files that do not belong together, a video that is not known, sleap-io that is missing, an output that
        exists.

    Examples
    --------
    rigpose export-slp m4s1.mp4 m4s1DLC_x.h5 -o m4s1.slp --skeleton openfield-Pranav-2018-10-30
    rigpose export-slp packed/*.mp4 poses/*.npz -o day-1.slp
    """
    from deploy.offline.export_slp import export_slp as export

    measured = export(files, output, skeleton=skeleton, overwrite=overwrite)
    print(f"{measured['output']}: {measured['labelled_frames']} frames, {measured['points']} points")
    return measured


def export_nwb(
    session: Path, /, *, output: Output, poses: PoseFiles = None, points: Path | None = None,
    calibration: Path | None = None, skeleton: WrittenBones = None, metadata: Path | None = None,
    description: str | None = None, subject_id: str | None = None, species: str | None = None,
    sex: str | None = None, age: str | None = None, date_of_birth: str | None = None,
    strain: str | None = None, genotype: str | None = None, weight: str | None = None,
    experimenter: str | None = None, institution: str | None = None, lab: str | None = None,
    keywords: str | None = None, timezone: str | None = None, overwrite: Overwrite = False,
) -> Measured:  # fmt: skip
    """Write a recording into one NWB file: videos, their times, 2D and 3D poses, events.

    Poses are those of ndx-pose, at the times of their own camera's frames; the videos stay where they are.
    What NWB wants to know of the animal is taken from the session (--subject and --notes of rigpose record),
    a YAML file, or the options below; what is missing is named, all of it at once.

    Parameters
    ----------
    session:
        The recording's folder.
    output:
        The .nwb to write.
    poses:
        Files of 2D poses, one a camera; by default what the tracker wrote beside the recording.
    points:
        3D points of rigpose triangulate; by default the tracker's.
    calibration:
        Lenses and places of the cameras; by default the session's own copy.
    metadata:
        A YAML file with any of the names below, underscores for hyphens.
    description:
        What the session was, for instance "open field, first day".
    subject_id:
        The animal's name.
    species:
        In Latin: "Mus musculus".
    sex:
        M, F, U (unknown) or O (other).
    age:
        ISO 8601: P90D for 90 days.
    date_of_birth:
        Instead of the age: 2026-08-24.
    strain:
        Such as C57BL/6J.
    genotype:
        Such as "wild type".
    weight:
        Such as "0.025 kg".
    experimenter:
        "Lovelace, Ada; Noether, Emmy".
    institution:
        Where.
    lab:
        Whose.
    keywords:
        Separated by semicolons.
    timezone:
        In which the start is told, such as Europe/Berlin; UTC by default.

    Returns
    -------
    dict
        `output`, `start`, and how many frames, 2D poses, 3D points and events it holds.

    Raises
    ------
    RigposeError
        Metadata that is missing, poses of another recording, pynwb that is not installed, an output that
        exists.

    Examples
    --------
    rigpose export-nwb recordings/day-1 -o day-1.nwb --species "Mus musculus" --sex F --age P90D
    rigpose export-nwb day-1 -o day-1.nwb --metadata lab.yaml --poses poses/*.npz --points day-1-3d.csv
    """
    from deploy.offline.nwb import export_nwb as export

    given = {
        "description": description, "subject_id": subject_id, "species": species, "sex": sex, "age": age,
        "date_of_birth": date_of_birth, "strain": strain, "genotype": genotype, "weight": weight,
        "experimenter": experimenter, "institution": institution, "lab": lab, "keywords": keywords,
        "timezone": timezone,
    }  # fmt: skip
    measured = export(
        session, output, poses=poses or (), points=points, calibration=calibration, skeleton=skeleton,
        metadata=metadata, options=given, overwrite=overwrite,
    )  # fmt: skip
    seen = ", ".join(f"{camera} {count}" for camera, count in measured["poses_2d"].items()) or "none"
    print(f"{measured['output']}: 2D poses {seen}; {measured['points_3d']} 3D; {measured['events']} events")
    return measured
