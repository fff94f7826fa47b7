"""`rigpose cameras`: what is there, and what can be set."""

from __future__ import annotations

from typing import Any

from rigpose.commands.options import Measured


def cameras(uri: str | None = None, /) -> Measured:
    """List all cameras of all drivers; with a URI, what that camera is and what can be set.

    Nothing is changed on a camera. A driver whose extra is not installed is one line, not an error.

    Parameters
    ----------
    uri:
        One camera, as the list gives it and a rig file names it.

    Returns
    -------
    dict
        `cameras`: `uri`, `model`, `serial` of each, and `drivers`: "" or why one could not look. With a
        URI: `camera`, as the session would store it, and `features`: `name`, `value`, `low`, `high`,
        `choices`, `unit` of each.

    Raises
    ------
    RigposeError
        With a URI: no such driver or camera, or one that another program uses.

    Examples
    --------
    rigpose cameras aravis://GV01
    """
    from dataclasses import asdict

    from acquisition.find_cameras import find_cameras, look_at_camera

    if uri is not None:
        info, features = look_at_camera(uri)
        figures = {"camera": asdict(info), "features": [asdict(feature) for feature in features]}
        _show_one(figures)
        return figures
    searches = find_cameras()
    figures = {
        "cameras": [asdict(camera) for search in searches for camera in search.cameras],
        "drivers": {search.driver: search.trouble for search in searches},
    }
    _show_all(figures)
    return figures


def _show_all(figures: Measured) -> None:
    from rich.console import Console

    console = Console()
    rows = [[camera["uri"], camera["model"], camera["serial"]] for camera in figures["cameras"]]
    if rows:
        _print_table(console, ["uri", "model", "serial"], rows)
    else:
        console.print("No camera found.")
    for driver, trouble in figures["drivers"].items():
        if trouble:
            console.print(f"{driver}: {trouble}", highlight=False, soft_wrap=True, markup=False)


def _show_one(figures: Measured) -> None:
    from rich.console import Console

    console = Console()
    camera = figures["camera"]
    console.print(
        f"{camera['model']}, serial {camera['serial']}: {camera['width_px']}x{camera['height_px']} "
        f"{camera['pixel_format']}, {camera['rate_hz']:g} frames/s, exposure {camera['exposure_us']:g} us\n"
        f"stamps: {camera['stamp_meaning']}, within {camera['stamp_uncertainty_ns'] / 1e3:g} us",
        highlight=False, soft_wrap=True, markup=False,
    )  # fmt: skip
    rows = [[feature["name"], _plain(feature["value"]), _can_be(feature)] for feature in figures["features"]]
    if rows:
        _print_table(console, ["feature", "now", "can be"], rows)


def _print_table(console: Any, headings: list[str], rows: list[list[str]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table, highlight=False, markup=False)


def _can_be(feature: dict[str, Any]) -> str:
    if feature["choices"]:
        return ", ".join(feature["choices"])
    limits = [None if limit is None else f"{limit:g}" for limit in (feature["low"], feature["high"])]
    if limits == [None, None]:
        return "true, false" if isinstance(feature["value"], bool) else feature["unit"]
    return " ".join(filter(None, [limits[0], "to" if None not in limits else "", limits[1], feature["unit"]]))


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
