"""`rigpose demo`."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from acquisition.errors import RigposeError
from rigpose.commands.options import Measured, Minutes, Output, Seed
from rigpose.commands.outcome import CommandFailed


def demo(
    *, output: Output = Path("demo-out"), seed: Seed = 0, minutes: Minutes = None, short: bool = False
) -> Measured:
    """Show the whole loop on the simulated rig, with a report.

    Records boards, calibrates, records an animal, labels, trains from random weights, exports to int8, tracks
    live in 3D, and judges everything against the simulator's ground truth. Needs no camera, no GPU
    and no network; takes about eight minutes on two cores. Training is as long in steps everywhere, so that a
    slow machine takes longer and shows the same accuracy.

    Parameters
    ----------
    short:
        A minute's version: everything runs, accounts must balance, accuracy is shown but not judged.

    Examples
    --------
    rigpose demo
    rigpose demo --seed 3 -o /tmp/demo
    """
    if importlib.util.find_spec("torch") is None:  # the first step that needs it comes minutes later
        raise RigposeError(
            "demo", expected="the extra 'train'", found="no torch",
            remedy="Run: pip install 'rigpose[train,litert,onnx]'",
        )  # fmt: skip
    from dataclasses import replace

    from rich.console import Console

    from acquisition.progress import is_quiet
    from rigpose.demonstration.demonstrate import SHORT, Plan, demonstrate, print_table, why_slow
    from training.files import write_bytes

    console = Console(quiet=is_quiet(), stderr=False)
    plan = SHORT if short else Plan()
    figures, judged = demonstrate(
        output, seed, plan if minutes is None else replace(plan, minutes=minutes), console
    )
    write_bytes(output / "figures.json", (json.dumps(figures, indent=1) + "\n").encode())
    print_table(judged, console)
    slow = why_slow(figures)
    if slow:
        console.print(slow, highlight=False)
    seconds = figures["seconds"]["all"]
    console.print(f"{seconds:.0f} s in all. Report: {output / 'report.html'}", highlight=False)
    missed = [row.bound.label for row in judged if not row.held]
    if missed:
        raise CommandFailed(f"bounds missed: {'; '.join(missed)}", figures)
    return figures
