"""`rigpose bench`: what this machine makes of a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rigpose.commands.options import MOST_SECONDS, Measured, Precision, Runtime

_COLUMNS = ("p50", "p95", "p99", "max", "jitter")


def bench(
    bundle: Path,
    /,
    *,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="Folder for bench.json and bench.svg.")
    ] = None,
    runtime: Runtime = "auto",
    precision: Precision = "auto",
    cameras: Annotated[
        tuple[int, ...],
        Parameter(help="Cameras that share one inference call; given twice, both.", negative_iterable=()),
    ] = (1, 4),
    threads: Annotated[int, Parameter(help="Threads of the inference.")] = 1,
    video: Annotated[
        Path | None, Parameter(help="What every camera shows; by default the bundle's held-out frames.")
    ] = None,
    turns: Annotated[int, Parameter(help="How often each artifact has its turn.")] = 10,
    frame_sets: Annotated[int, Parameter(help="Frame sets in a turn.")] = 30,
    warm_up: Annotated[int, Parameter(help="Frame sets before the first turn, which do not count.")] = 20,
    loop: Annotated[
        Path | None,
        Parameter(help="A rig file: measure from the trigger's LED to an output of that rig instead."),
    ] = None,
    camera: Annotated[str, Parameter(help="With --loop: who sees the LED; by default the first.")] = "",
    output_name: Annotated[
        str, Parameter(help="With --loop: the output that answers; by default the rig file's first.")
    ] = "",
    calibration: Annotated[
        Path | None, Parameter(help="With --loop: for 3D; by default the rig file's.")
    ] = None,
    seconds: Annotated[float, Parameter(help="With --loop: how long.")] = 20.0,
) -> Measured:
    """Measure latency and throughput of every stage on this machine, artifact by artifact.

    All that the bundle holds and this machine runs takes turns, each in a process of its own; what cannot run
    is named with the reason. One frame set goes through decoding, resampling, inference, filters,
    triangulation, the stream and an encoder.

    With --loop a whole rig runs: the trigger's LED is seen in a camera's picture, and an output answers when
    the pose of that frame set has reached a processor.

    Parameters
    ----------
    bundle:
        The model bundle.
    output:
        A folder for the figures and a picture of them.
    runtime, precision:
        Only these; by default all.
    cameras:
        `--cameras 1 --cameras 4` measures both.
    video:
        A video as your cameras see; its size counts.
    turns, frame_sets, warm_up:
        How long: turns times frame sets a row.
    loop, camera, output_name, calibration, seconds:
        From light to TTL. Every output but that one stays low; an LED in the view of the camera is needed.

    Returns
    -------
    dict
        With --loop `flashes` and `light_to_ttl` (p50, p95, p99, maximum); else
        `machine`, `rows` (per artifact and number of cameras: p50, p95, p99, maximum, jitter and frames a
        second of every stage and end to end, CPU percent, memory, on a Jetson power and temperature),
        `refused`.

    Raises
    ------
    RigposeError
        A damaged bundle, a video that is none, or nothing that runs here.

    Examples
    --------
    rigpose bench mouse.bundle
    rigpose bench mouse.bundle --runtime litert --cameras 4 --video day-1/day-1_top.mkv -o bench
    rigpose bench mouse.bundle --loop rig.yaml --output-name reward
    """
    import json

    from acquisition.errors import RigposeError
    from deploy.bench.bench import BenchOptions
    from deploy.bench.bench import bench as run_bench
    from deploy.bench.picture import draw
    from deploy.bundles.bundle import Bundle
    from deploy.whole_file import whole_file

    limits = {"turns": (turns, 10_000), "frame-sets": (frame_sets, 1000), "threads": (threads, 1024)}
    limits |= {"warm-up": (warm_up, 100_000)}
    asked = [(name, value, most) for name, (value, most) in limits.items()]
    asked += [("cameras", count, 64) for count in cameras or [0]]
    for name, value, most in asked:
        if not 1 <= value <= most:
            raise RigposeError(
                f"--{name}", expected=f"1 to {most}", found=str(value), remedy="Give another number"
            )
    if loop is not None:
        if output is not None:
            raise RigposeError(
                "--loop", expected="no --output, since it draws nothing", found=f"-o {output}",
                remedy="Leave it out; --json FILE keeps the figures",
            )  # fmt: skip
        return _loop(bundle, loop, calibration, camera, output_name, seconds, runtime, precision, threads)
    measured = run_bench(
        Bundle.load(bundle),
        BenchOptions(runtime, precision, cameras, threads, video, turns, frame_sets, warm_up),
    )
    _show(measured)
    if output is not None:
        for name, content in {"json": json.dumps(measured, indent=1) + "\n", "svg": draw(measured)}.items():
            with whole_file(output / f"bench.{name}") as path:
                path.write_text(content, encoding="utf-8")
        print(output / "bench.svg")
    return measured


def _loop(
    bundle: Path, rig: Path, calibration: Path | None, camera: str, output: str, seconds: float, runtime: str,
    precision: str, threads: int,
) -> Measured:  # fmt: skip
    """From light to TTL."""
    import rigpose
    from acquisition.errors import RigposeError
    from deploy.bench.loop import LoopOptions, measure_loop
    from deploy.live.live import LiveOptions
    from rigpose.rig_file import load_rig

    if not 5 <= seconds < MOST_SECONDS:
        raise RigposeError(
            "--seconds", expected="5 or more: the LED has to be found first", found=f"{seconds:g}",
            remedy="Give another",
        )  # fmt: skip
    file = load_rig(rig)
    options = LiveOptions(
        bundle=bundle.resolve(), calibration=calibration or file.calibration, seconds=seconds,
        runtime=runtime, precision=precision, threads=threads, tracking=file.tracking,
        version=rigpose.__version__,
    )  # fmt: skip
    measured = measure_loop(file.acquisition, file.stream, file.outputs, LoopOptions(options, camera, output))
    figures = measured["light_to_ttl"]
    times = ", ".join(f"{name} {figures[f'{name}_ms']:.2f}" for name in ("p50", "p95", "p99", "max"))
    seen = measured["seen"]
    print(
        f"{measured['flashes']} flashes in '{measured['camera']}' answered by '{measured['output']}' "
        f"({measured['uri']}), light to TTL in ms: {times}"
    )
    if not_in_time := {**measured["refused"], **measured["cut"]}:
        told = ", ".join(f"{why} {count}" for why, count in not_in_time.items())
        print(f"Not in these times, by the output's policy: {told}")
    print(f"LED read rightly {seen['right']} times, wrongly {seen['wrong']} times, at {seen['led_px']} px")
    return measured


def _show(measured: Measured) -> None:
    """A table for each artifact and number of cameras."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    options = measured["options"]
    console.print(
        f"{measured['machine']['processor']}, {options['threads']} thread(s) of inference; "
        f"{options['turns']} turns of {options['frame_sets']} frame sets, after {options['warm_up']} to warm "
        f"up; pictures: {measured['source']}"
    )
    for row in measured["rows"]:
        cameras = "1 camera" if row["cameras"] == 1 else f"{row['cameras']} cameras"
        error = "not known" if row["held_out_px"] is None else f"{row['held_out_px']:.2f} px"
        table = Table("stage, ms", *(f"[right]{name}" for name in _COLUMNS), "[right]frames/s", box=None)
        for stage, figures in {**row["stages"], "end to end": row["end_to_end"]}.items():
            times = (f"{figures[f'{name}_ms']:.3f}" for name in _COLUMNS)
            table.add_row(stage.replace("_", " "), *times, f"{figures['frames_per_s']:.0f}")
        console.print(
            f"\n[bold]{row['runtime']} {row['precision']}, {cameras}[/bold]: held-out error {error}, "
            f"CPU {row['cpu_percent']:.0f} %, {row['pss_mb']:.0f} MB (PSS){_power(row)}"
        )
        console.print(table)
    for each in measured["refused"]:
        console.print(f"not run: {each['runtime']} {each['precision']}: {each['why']}")


def _power(row: Measured) -> str:
    jetson = row["jetson"]
    if jetson is None:
        return ""
    hottest = max((zone["max"] for zone in jetson["zones_c"].values()), default=None)
    power = "" if jetson["input_w"] is None else f", {jetson['input_w']['mean']:.1f} W"
    return power + ("" if hottest is None else f", {hottest:.0f} °C at most")
