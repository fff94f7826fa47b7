"""`rigpose preview`: all views of a rig, without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rigpose.commands.options import Measured, time_of


def preview(
    rig: Path,
    /,
    *,
    seconds: Annotated[
        float | None, Parameter(help="Look for so long without a page, and print a table.")
    ] = None,
    host: Annotated[str, Parameter(help="Address of the page; others cannot reach it.")] = "127.0.0.1",
    port: Annotated[int | None, Parameter(help="Port of the page; by default 8611 or a free one.")] = None,
    browser: Annotated[bool, Parameter(help="Open the page in a browser.")] = True,
) -> Measured:
    """Show all views of a rig, with focus, saturation, exposure margin, rate, drops and link load.

    Nothing is recorded. The page shows until Ctrl-C; with --seconds there is none.

    Parameters
    ----------
    rig:
        The rig file, rig.yaml.

    Returns
    -------
    dict
        `seconds`, `ended`, and per camera: `laplacian_variance` (focus) with median and best,
        `saturated_share`, `headroom_stops` (exposure margin), `exposure_share`, `rate_hz` and
        `rate_hz_wished`, `lost`, `damaged`, `ring_full`, `reopened`, `link_mb_s`.

    Raises
    ------
    RigposeError
        A rig file with an error, a camera that is not there, an address that others could reach.

    Examples
    --------
    rigpose preview rig.yaml
    rigpose preview rig.yaml --seconds 10 --json figures.json
    """
    from acquisition.preview.preview import preview as look
    from rigpose.rig_file import load_rig

    seconds = time_of("--seconds", None, seconds)

    def tell(address: str) -> None:
        print(f"{rig}\n\n    {address}\n\nOnly this machine can open it. Ctrl-C ends.", flush=True)
        if browser:
            _open(address)

    page = (host, port) if seconds is None else None
    measured = look(load_rig(rig).acquisition, seconds=seconds, page=page, told=tell)
    _show(measured)
    return measured


def _open(address: str) -> None:
    """In a browser, where there is a screen."""
    import os
    import threading
    import webbrowser

    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _show(measured: Measured) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("camera", "focus", "best", "saturated", "headroom", "rate", "wished", "drops", "MB/s"):
        table.add_column(heading, justify="left" if heading == "camera" else "right")
    for name, camera in measured["cameras"].items():
        seen = bool(camera.get("pictures"))
        table.add_row(
            name,
            f"{camera['laplacian_variance_median']:.1f}" if seen else "-",
            f"{camera['laplacian_variance_best']:.1f}" if seen else "-",
            f"{100 * camera['saturated_share_max']:.2f} %" if seen else "-",
            f"{camera['headroom_stops_min']:.1f} stops" if seen else "-",
            f"{camera['rate_hz']:.1f}", f"{camera['rate_hz_wished']:.1f}",
            str(camera["lost"] + camera["damaged"] + camera["ring_full"]),
            "-" if camera["link_mb_s"] is None else f"{camera['link_mb_s']:.1f}",
        )  # fmt: skip
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    console.print(f"{measured['seconds']:.1f} s; ended: {measured['ended']}")
