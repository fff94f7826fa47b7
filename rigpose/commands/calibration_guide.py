"""What `rigpose calibrate --live` does: a page, a folder of pictures, and what to run next."""

from __future__ import annotations

from pathlib import Path

from acquisition.errors import RigposeError
from rigpose.commands.options import Measured


def guide_live(rig: Path, board: Path, output: Path, *, alone: bool) -> Measured:
    """Watch the board, keep what is worth it, say what to run next.

    Raises
    ------
    RigposeError
        If options other than --board and -o were given (`alone` is false), or as `calibration.live.guide`.
    """
    from rich.console import Console

    from acquisition.settings import read_settings
    from calibration.boards import BoardSettings
    from calibration.live.guide import guide
    from rigpose.rig_file import load_rig

    if not alone:
        raise RigposeError(
            "--live", expected="no option beside it but --board and -o", found="others",
            remedy="Give them afterwards, to calibrate with the folder that it makes",
        )  # fmt: skip
    if output.suffix.lower() == ".toml":
        raise RigposeError(
            f"--live -o {output}", expected="a new folder for pictures of the board",
            found="the name of a calibration", remedy="That comes afterwards: say for instance -o boards",
        )  # fmt: skip

    def tell(address: str, control: str) -> None:
        print(
            f"{rig}\n\n    {control}\n\nOnly this machine can open it. It may end the run, as Ctrl-C does."
            f" To look only:\n\n    {address}\n",
            flush=True,
        )

    wanted = read_settings(BoardSettings, board)
    measured = guide(load_rig(rig).acquisition, wanted, output, told=tell)
    console = Console(soft_wrap=True, highlight=False)
    for name, camera in measured["cameras"].items():
        console.print(
            f"{name}: {camera['views']} views, {camera['tilted']} of them tilted, board seen in "
            f"{camera['coverage']:.0%} of the image", markup=False,
        )  # fmt: skip
    console.print(f"{measured['kept']} frame sets kept in {output}; {measured['sentence']}", markup=False)
    console.print(f"next: rigpose calibrate {output} --board {board} -o calibration.toml", markup=False)
    return measured
