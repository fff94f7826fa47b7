"""`rigpose label`: the labelling page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rigpose.commands.options import Measured

if TYPE_CHECKING:
    from training.labelling.server import Serving


def label(
    project: Path,
    /,
    *,
    bundle: Annotated[Path | None, Parameter(help="A model bundle that proposes points to correct.")] = None,
    calibration: Annotated[
        Path | None, Parameter(help="Calibration TOML: epipolar lines and reprojected points between views.")
    ] = None,
    author: Annotated[str, Parameter(help="Your name, kept with every point; the page can change it.")] = "",
    host: Annotated[str, Parameter(help="Address to serve on; 0.0.0.0 lets others in.")] = "127.0.0.1",
    port: Annotated[int | None, Parameter(help="Port to serve on; by default 8610 or a free one.")] = None,
    browser: Annotated[bool, Parameter(help="Open the page in a browser.")] = True,
) -> Measured:
    """Label frames in a browser, on a page that this machine serves.

    Every click is on disk before it is acknowledged; CollectedData (csv and h5) follows a second later.
    Whoever has the printed address can label, several people at once. Ctrl-C ends it.

    Parameters
    ----------
    project:
        The folder with config.yaml. Its frames are the images in labeled-data.

    Returns
    -------
    dict
        `frames`, `frames_done`, `points` by origin, `edits`, `replayed` from an interrupted session,
        `seconds`.

    Raises
    ------
    RigposeError
        No frames, labels that do not fit, another server on this project, a port in use, a bundle with
        other keypoints, a calibration of other cameras.

    Examples
    --------
    rigpose label openfield-Pranav-2018-10-30 --author Ada
    rigpose label mouse-annotator-2024-05-01 --bundle mouse.bundle --calibration calibration.toml
    """
    from training.labelling.server import serve

    done = serve(
        project, bundle=bundle, calibration=calibration, author=author, host=host, port=port,
        browser=browser, told=_tell,
    )  # fmt: skip
    origins = ", ".join(f"{count} {origin}" for origin, count in done["points"].items()) or "none"
    print(f"{done['frames_done']} of {done['frames']} frames finished; points: {origins}")
    print(f"Next: rigpose train {project} -o run")
    return done


def _tell(page: Serving) -> None:
    print(f"Labelling {page.store.project.root}\n\n    {page.address}\n")
    if page.store.replayed:
        print(f"{page.store.replayed} edits of an interrupted session were brought back.")
    if page.loopback:
        print("Only this machine can open it. Ctrl-C ends.", flush=True)
    else:
        print(
            "Whoever is on the network and has this address can label; what is sent is not encrypted. "
            "Ctrl-C ends.", flush=True,
        )  # fmt: skip
