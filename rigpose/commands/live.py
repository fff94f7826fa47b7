"""`rigpose live` and `rigpose watch`: poses while they happen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from rigpose.commands.options import (
    ClientKey,
    Measured,
    Minutes,
    Precision,
    Runtime,
    ServerKey,
    numbers_of,
    time_of,
)

if TYPE_CHECKING:
    from deploy.closed_loop.outputs.settings import OutputSettings
    from deploy.closed_loop.run import Loop
    from deploy.stream.messages import Kind
    from deploy.tracking_settings import TrackingSettings

Seconds = Annotated[float | None, Parameter(help="A budget of time in seconds.")]


def live(
    rig: Path,
    /,
    *,
    model: Annotated[Path, Parameter(help="The model bundle, X.bundle.")],
    calibration: Annotated[
        Path | None, Parameter(help="Calibration for 3D; by default the rig file's; without one 2D only.")
    ] = None,
    minutes: Minutes = None,
    seconds: Seconds = None,
    record: Annotated[Path | None, Parameter(help="Record a session into this new folder beside.")] = None,
    record_paused: Annotated[
        bool, Parameter(help="Begin with the recording paused; --page-control switches it on.", negative=())
    ] = False,
    subject: Annotated[str, Parameter(help="Who is recorded; kept in the session.")] = "",
    notes: Annotated[str, Parameter(help="Anything worth knowing later; kept in the session.")] = "",
    endpoint: Annotated[str | None, Parameter(help="Where to publish; by default the rig file's.")] = None,
    keys: Annotated[Path | None, Parameter(help="Folder of keys; by default the rig file's.")] = None,
    runtime: Runtime = "auto",
    precision: Precision = "auto",
    threads: Annotated[int, Parameter(help="Threads of the network.")] = 1,
    crop: Annotated[
        tuple[str, ...],
        Parameter(help="CAMERA=LEFT,TOP,WIDTH,HEIGHT: look at no more of its image.", negative_iterable=()),
    ] = (),
    follow: Annotated[
        bool | None,
        Parameter(help="The window of every camera follows the animal; by default the rig file's."),
    ] = None,
    smooth: Annotated[
        Literal["none", "one-euro", "kalman"] | None, Parameter(help="Publish filtered poses as well.")
    ] = None,
    predict: Annotated[
        bool | None, Parameter(help="Publish where the animal is by now as well, and how wrong that was.")
    ] = None,
    lead_ms: Annotated[
        float | None, Parameter(help="Predict so much further, for what comes after the stream.")
    ] = None,
    processor: Annotated[
        str | None, Parameter(help="FILE.py:CLASS: closed-loop code, in a process of its own.")
    ] = None,
    processor_options: Annotated[
        str, Parameter(help="What the class is made with, as JSON: '{\"threshold\": 0.6}'.")
    ] = "{}",
    processor_camera: Annotated[
        str, Parameter(help="Whose 2D pose it gets; by default the first camera's.")
    ] = "",
    processor_pose: Annotated[
        Literal["measured", "filtered", "predicted"], Parameter(help="Which poses it gets.")
    ] = "measured",
    page: Annotated[bool, Parameter(help="Serve a page: views, 3D, latency, health.")] = False,
    page_port: Annotated[int | None, Parameter(help="Its port; by default 8612 or a free one.")] = None,
    page_control: Annotated[
        bool, Parameter(help="Print a second address: it may end the run, pause and resume the recording.")
    ] = False,
    poses: Annotated[
        Path | None, Parameter(help="Write what a subscriber received to this .npz (kept in memory).")
    ] = None,
) -> Measured:
    """Capture, track and stream 2D and 3D poses from a rig.

    Without a time it runs until Ctrl-C. `rigpose watch` shows the stream. The accounts at the end say what
    became of every frame set, and how old its poses were when a subscriber in another process had them.

    Parameters
    ----------
    rig:
        The rig file, rig.yaml.
    model:
        The model bundle.
    calibration:
        Calibration TOML for 3D.
    minutes, seconds:
        How long, counted from the first pulse.
    record, subject, notes:
        A session to record into, with the measured poses in its folder `poses`.
    record_paused:
        Nothing is recorded before somebody at the second address of the page says so. Tracking goes on.
    endpoint:
        ZeroMQ address to publish on. Without keys it must be of this host.
    keys:
        Folder made with `rigpose keys new server`: encrypts the stream; lets in the clients allowed there.
    runtime, precision, threads:
        What runs the network.
    crop, follow:
        The part of each image that the network sees: fixed, or following the animal at the size it had in
        training. Poses are in pixels of the full image all the same.
    smooth, predict, lead_ms:
        Poses of kind filtered and predicted beside the measured ones.
    processor, processor_options, processor_camera, processor_pose:
        Code of yours, DeepLabCut-Live's processors among it, that sees every pose and may switch the outputs
        of the rig file.
    page, page_port, page_control:
        A page for a browser on this machine (from another: through ssh). It shows and changes nothing, unless
        it is opened by the second address: there the recording is paused and resumed, and the run ended.
    poses:
        An .npz for all poses that arrived, with their stamps.

    Returns
    -------
    dict
        Frame sets in, published, skipped; absences by camera and cause; p50, p95, p99 and maximum of every
        stage and from exposure to subscriber, ms; views and deviation of 3D; errors of prediction.

    Raises
    ------
    RigposeError
        A damaged bundle, a calibration without one of the cameras, an endpoint in use, a camera that is
        not there.

    Examples
    --------
    rigpose live rig.yaml --model mouse.bundle --calibration calibration.toml --record sessions/mouse-7
    rigpose live rig.yaml --model mouse.bundle --predict --processor zone_entry.py:ZoneEntry
    rigpose live rig.yaml --model mouse.bundle --record sessions/mouse-7 --record-paused --page-control
    """
    import rigpose
    from acquisition.recordings.session import CLEAN_ENDS
    from acquisition.settings import parse_settings
    from deploy.live.live import LiveOptions
    from deploy.live.live import live as run_live
    from deploy.page.plan import PageAddress
    from deploy.stream.settings import StreamSettings
    from rigpose.commands.live_report import show
    from rigpose.commands.outcome import CommandFailed
    from rigpose.rig_file import load_rig

    file = load_rig(rig)
    stream = file.stream
    given = {"endpoint": endpoint, "keys": None if keys is None else keys.resolve()}
    wished = {name: value for name, value in given.items() if value is not None}
    if wished:
        stream = parse_settings(
            StreamSettings, {**stream.model_dump(), **wished}, " ".join(f"--{name}" for name in wished)
        )
    options = LiveOptions(
        bundle=model.resolve(),
        calibration=calibration or file.calibration,
        seconds=time_of("rigpose live", minutes, seconds),
        runtime=runtime,
        precision=precision,
        threads=threads,
        tracking=_tracking(file.tracking, crop, follow, smooth, predict, lead_ms),
        loop=_loop(processor, processor_options, processor_camera, processor_pose, file.outputs),
        record=record,
        paused=record_paused,
        subject=subject,
        notes=notes,
        poses=poses,
        page=PageAddress(port=page_port, control=page_control) if page or page_control else None,
        version=rigpose.__version__,
    )
    measured = run_live(file.acquisition, stream, options)
    show(measured)
    if measured["ended"] not in CLEAN_ENDS:
        raise CommandFailed(f"the run ended early: {measured['ended']}", measured)
    recording = measured["recording"]
    if recording is not None and recording["ended"] not in CLEAN_ENDS:
        raise CommandFailed(f"the recording ended early: {recording['ended']}; tracking went on", measured)
    return measured


def watch(
    endpoint: Annotated[str, Parameter(help="Address of the stream.")] = "tcp://127.0.0.1:5555",
    /,
    *,
    server_key: ServerKey = None,
    key: ClientKey = None,
    seconds: Seconds = None,
) -> Measured:
    """Show a running stream: rate, losses, latency, and the newest 3D pose.

    On a terminal a table that is redrawn, elsewhere one line a second.

    Parameters
    ----------
    endpoint:
        ZeroMQ address that `rigpose live` publishes on.
    server_key, key:
        The publisher's public key and your own secret one, for a stream that has keys.
    seconds:
        How long; by default until Ctrl-C.

    Returns
    -------
    dict
        Messages received and lost by topic, sessions seen, latency percentiles in ms.

    Raises
    ------
    RigposeError
        If the address is none, or a key file is none.

    Examples
    --------
    rigpose watch tcp://127.0.0.1:5555 --seconds 10
    rigpose watch tcp://rig:5555 --server-key server.pub --key keys/ada.secret
    """
    from acquisition.progress import is_quiet
    from deploy.stream.keys import keys_of
    from deploy.stream.watch import watch as watch_stream

    keys = keys_of(server_key, key)
    return watch_stream(endpoint, time_of("--seconds", None, seconds), keys=keys, quiet=is_quiet())


def _loop(
    processor: str | None, made_with: str, camera: str, kind: Kind, outputs: dict[str, OutputSettings]
) -> Loop | None:
    """The closed loop that the options ask for."""
    from acquisition.errors import RigposeError
    from deploy.closed_loop.run import Loop

    if processor is None:
        return None
    file, separator, name = processor.rpartition(":")
    if not separator or not name.isidentifier():
        raise RigposeError(
            "--processor", expected="FILE.py:CLASS", found=f"'{processor}'", remedy="Name file and class"
        )
    try:
        options = json.loads(made_with)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise RigposeError(
            "--processor-options", expected="a JSON object", found=f"'{made_with}'",
            remedy="Write it like '{\"threshold\": 0.6}'",
        )  # fmt: skip
    return Loop(Path(file), name, options, camera, kind, outputs)


def _tracking(
    file: TrackingSettings, crop: tuple[str, ...], follow: bool | None, smooth: str | None,
    predict: bool | None, lead_ms: float | None,
) -> TrackingSettings:  # fmt: skip
    """The rig file's section with what the options say instead."""
    from acquisition.errors import RigposeError
    from acquisition.settings import parse_settings
    from deploy.tracking_settings import TrackingSettings

    windows = {}
    for text in crop:
        camera, separator, numbers = text.partition("=")
        if not separator:
            raise RigposeError(
                "--crop", expected="CAMERA=LEFT,TOP,WIDTH,HEIGHT", found=f"'{text}'", remedy="Name the camera"
            )
        windows[camera] = numbers_of(numbers, "--crop", 4)
    given = {"follow": follow, "smooth": smooth, "predict": predict, "lead_ms": lead_ms}
    wished: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if windows:
        wished["crop"] = {**file.crop, **windows}
    if not wished:
        return file
    options = " ".join("--" + name.replace("_", "-") for name in wished)
    return parse_settings(TrackingSettings, {**file.model_dump(), **wished}, options)
