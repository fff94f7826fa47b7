"""`rigpose fetch-data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from rigpose.commands.options import Measured

Where = Annotated[
    Path | None,
    Parameter(name=["--output", "-o"], help="The folder to make; by default the set's own name, here."),
]
Origin = Annotated[
    str | None,
    Parameter(help="Another address to fetch from: https, http or file, of the folder or of the zip."),
]


def fetch_data(
    name: Literal["openfield", "stereo"], /, *, output: Where = None, origin: Origin = None
) -> Measured:
    """Fetch a public recording to try rigpose on, and check every file's SHA-256.

    openfield is DeepLabCut's example of a labelled project, stereo Bouguet's pictures of a checkerboard by
    two cameras. An interrupted call goes on where it was.

    Parameters
    ----------
    name:
        Which one.

    Returns
    -------
    dict
        `folder`, `files` (how many), `terms`, `cite`.

    Raises
    ------
    RigposeError
        If the folder exists, the files cannot be fetched, or one is not as it was published.

    Examples
    --------
    rigpose fetch-data openfield
    rigpose fetch-data stereo -o boards
    """
    from acquisition.progress import is_quiet
    from rigpose.public_data.fetch import fetch_set
    from rigpose.public_data.sets import PUBLIC_SETS

    public = PUBLIC_SETS[name]
    folder = output or Path(public.folder)
    files = fetch_set(name, folder, origin)
    console = Console(quiet=is_quiet(), soft_wrap=True, highlight=False)
    console.print(f"{folder}: {public.what}")
    console.print(f"terms: {public.terms}; please cite {public.cite}")
    for line in public.then:
        console.print(f"then: {line.replace(public.folder, str(folder))}")
    return {"folder": str(folder), "files": len(files), "terms": public.terms, "cite": public.cite}
