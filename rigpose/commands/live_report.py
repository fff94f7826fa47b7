"""What `rigpose live` says at its end."""

from __future__ import annotations

from rigpose.commands.options import Measured


def show(measured: Measured) -> None:
    """Latencies, accounts, and what went wrong."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    if "sets_in" not in measured:
        console.print(f"nothing was tracked; ended: {measured['ended']}")
        return
    times = Table("stage, ms", *(f"[right]{name}" for name in ("p50", "p95", "p99", "max")), box=None)
    rows = {**measured["stages"], **measured["subscriber"].get("latency", {})}
    for stage, figures in rows.items():
        values = (figures[f"{name}_ms"] for name in ("p50", "p95", "p99", "max"))
        times.add_row(stage.replace("_", " "), *(f"{value:.2f}" for value in values))
    console.print(times)
    lost = [
        f"{camera} {count} {cause}" for camera, causes in measured["lost"].items()
        for cause, count in causes.items()
    ]  # fmt: skip
    counts = {name: measured[name] for name in ("sets_in", "published", "skipped", "empty")}
    complete = f"{measured['complete_published']} of {measured['complete_in']} complete ones published"
    console.print(
        "{sets_in} frame sets: {published} published, {skipped} skipped, {empty} empty; ".format(**counts)
        + f"{complete}; ended: {measured['ended']}"
    )
    console.print(f"absent frames: {', '.join(lost) or 'none'}")
    refused = {
        name.removeprefix("clients_refused_").replace("_", " "): count
        for name, count in measured["stream"].items() if name.startswith("clients_refused_") and count
    }  # fmt: skip
    if refused:
        console.print("refused clients: " + ", ".join(f"{count} {why}" for why, count in refused.items()))
    for topic, horizons in measured["prediction"].items():
        # The others are in the JSON: those of sets that were late.
        horizon, figures = max(horizons.items(), key=lambda item: item[1]["points"])
        unit = "px" if topic == "pose2d" else "mm"
        ours, none = (
            ", ".join(f"{name} {figures[f'{begin}{name}_{unit}']}" for name in ("median", "p95"))
            for begin in ("", "without_")
        )
        console.print(f"{topic} predicted {horizon} ahead is off by {ours} {unit}; without prediction {none}")
    if measured["processor"]:
        facts = measured["processor"]
        slow = facts["latency"].get("exposure_to_process", {}).get("p95_ms")
        console.print(
            f"processor: {facts['calls']} poses, {facts['skipped']} passed over for newer ones; "
            f"p95 from exposure {'unknown' if slow is None else f'{slow:.1f} ms'}"
        )
    for name, facts in measured["outputs"].items():
        lines = [f"{count} refused: {why}" for why, count in facts["refused"].items()]
        lines += [f"{count} cut: {why}" for why, count in facts["cut"].items()]
        p95 = facts["exposure_to_output"]["p95_ms"]
        lines += [] if p95 is None else [f"p95 from exposure to output {p95:.1f} ms"]
        console.print(f"output '{name}': on {facts['on']} times; {'; '.join(lines) or 'nothing refused'}")
    for process, reason in measured["died"].items():
        console.print(f"process '{process}' died: {reason}")
    if measured["recording"]:
        recording = measured["recording"]
        paused = max(recording["not_asked"].values(), default=0)
        while_paused = f"; paused for {paused} frames of a camera" if paused else ""
        console.print(f"{recording['session']}: {recording['ended']}{while_paused}")
