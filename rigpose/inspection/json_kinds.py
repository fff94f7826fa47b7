"""The kinds of JSON files that rigpose writes: which keys tell them, what is shown of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rigpose.inspection.links import (
    Chain,
    joined,
    of_bundle,
    of_calibration,
    of_footage,
    of_labels,
    short,
)

Content = dict[str, Any]


@dataclass(frozen=True, slots=True)
class JsonKind:
    """One kind of JSON file.

    Attributes
    ----------
    kind:
        For a person.
    keys:
        All of them are at the top of every such file; a `key=value` must have that value.
    facts, chain:
        What is shown of it.
    """

    kind: str
    keys: tuple[str, ...]
    facts: Callable[[Content], Mapping[str, Any]]
    chain: Callable[[Content], Chain] = lambda said: []

    def fits(self, said: Content) -> bool:
        """Whether a file with this content is of this kind."""
        pairs = (key.partition("=") for key in self.keys)
        return all(name in said and (not mark or said[name] == value) for name, mark, value in pairs)


def _counts(videos: list[Content]) -> str:
    states = [video["state"] for video in videos]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states)))


def _of_meta(said: Content) -> Mapping[str, Any]:
    figures = said["figures"]
    return {
        "state": said["state"], "why": said["why"], "frames": figures.get("frames"),
        "rows": f"{figures['rows']} {said['about'].get('rows', '')}".strip() if "rows" in figures else None,
        "window": said["about"].get("window"), "warning": figures.get("warning"),
        "files": joined(list(said.get("sizes", {}))), "scorer": said["about"].get("scorer"),
        "ran": said["execution"]["reason"],
    }  # fmt: skip


def _of_status(said: Content) -> Mapping[str, Any]:
    wrong = [f"{each['video']}: {each['why']}" for each in said["videos"] if each.get("why")]
    return {
        "videos": _counts(said["videos"]), "not done": "; ".join(wrong[:5]), "scorer": said["scorer"],
        "rows": said["rows"], "ran": said["execution"]["reason"],
    }  # fmt: skip


def _of_calibration_details(said: Content) -> Mapping[str, Any]:
    report = said.get("report", {})
    return {
        "of the calibration": short(said["sha256"]), "cameras": joined(list(said["cameras"])),
        "verdict": report.get("verdict"), "frame sets": report.get("frame_sets"),
        "reprojection error": _px(report.get("rms_px")), "board": _board(said.get("board")),
    }  # fmt: skip


def _devices(said: Content) -> Chain:
    return [
        f"camera {name}: serial number {camera['serial']}"
        for name, camera in said["cameras"].items()
        if camera.get("serial")
    ]


def _px(value: object) -> str | None:
    return f"{value:.2f} px RMS" if isinstance(value, (int, float)) else None


def _board(said: Content | None) -> str | None:
    return f"{said['kind']}, squares of {said['square_mm']:g} mm" if said else None


def _of_bench(said: Content) -> Mapping[str, Any]:
    rows = {}
    for row in said["rows"]:
        name = f"{row['runtime']} {row['precision']}, cameras: {row['cameras']}"
        rows[name] = f"p50 {row['end_to_end']['p50_ms']:.2f} ms end to end"
    return {
        "machine": said["machine"].get("processor"), "network": said.get("network"), **rows,
        "not run": len(said["refused"]),
    }  # fmt: skip


def _of_errors(said: Content) -> str | None:
    every = said.get("all") or {}
    return (
        None if every.get("mean_px") is None else f"{every['mean_px']:.2f} px over {every['points']} points"
    )


def _of_packed(said: Content) -> Mapping[str, Any]:
    black = {
        name: len(each["black"]) if isinstance(each["black"], list) else each["black"]
        for name, each in said["videos"].items()
    }
    return {
        "pictures": said["pictures"], "rate": f"{said['rate_hz']:g} Hz",
        "first picture is frame set": said["first_index"],
        "black": ", ".join(f"{name} {count}" for name, count in black.items()),
        "gaps": "; ".join(said.get("gaps", [])),
    }  # fmt: skip


def _verdict(said: Content) -> Mapping[str, Any]:
    worst = said["findings"][0] if said["findings"] else None
    return {
        "verdict": said["verdict"], "findings": len(said["findings"]),
        "worst": f"{worst['whose']}: {worst['found']}" if worst else None,
    }  # fmt: skip


def _of_live(said: Content) -> Mapping[str, Any]:
    return {
        "ended": said["ended"], "pulses": said["pulses"], "frame sets published": said["published"],
        "skipped": said["skipped"], "balanced": said["balanced"], "cameras": joined(list(said["cameras"])),
    }  # fmt: skip


def _recorded(said: Content) -> Chain:
    return [f"recording {said['session']}"] if said.get("session") else []


# The first that fits. Those that say their format come first, then those with the most peculiar keys.
KINDS: tuple[JsonKind, ...] = (
    JsonKind(
        "meta file of poses", ("format=rigpose analysis of a video", "about", "execution"), _of_meta,
        lambda said: of_bundle({**said["execution"], **said["about"]}) + of_footage(said["about"]),
    ),
    JsonKind(
        "status file of an analysis", ("format=rigpose analysis", "videos"), _of_status,
        lambda said: of_bundle({**said["execution"], "bundle": said["bundle"]}),
    ),
    JsonKind(
        "note of an analysis that failed", ("stem", "state=failed", "made_from"),
        lambda said: {"video": said["stem"], "why": said["why"]},
    ),
    JsonKind(
        "settled execution of an analysis",
        ("bundle_sha256", "artifact_sha256", "within_tolerance", "reason"),
        lambda said: {"ran": said["reason"], "threads": said["threads"]}, of_bundle,
    ),
    JsonKind(
        "details of a calibration", ("schema", "sha256", "cameras"), _of_calibration_details,
        lambda said: of_calibration(said["sha256"]) + _devices(said),
    ),
    JsonKind(
        "figures of a calibration", ("verdict", "rms_px", "calibration", "sha256"),
        lambda said: {**_verdict(said), "reprojection error": _px(said["rms_px"]), "report": said["report"]},
        lambda said: [f"{of_calibration(said['sha256'])[0]} at {said['calibration']}"],
    ),
    JsonKind(
        "synchronisation report", ("session", "frame_sets", "complete_sets", "findings"),
        lambda said: {
            **_verdict(said), "frame sets": said["frame_sets"], "complete": said["complete_sets"],
            "uncertain": said["uncertain_sets"], "pulses": said["pulses"],
            "optical proof": (said.get("optical") or {}).get("verdict", "none"),
        }, _recorded,
    ),
    JsonKind(
        "optical proof of synchrony", ("windows", "cameras", "findings"),
        lambda said: {
            **_verdict(said),
            **{f"camera {name}": f"{each['words']} words, off by {joined(each['off_by'])}"
               for name, each in said["cameras"].items()},
        },
    ),
    JsonKind("bench", ("bundle_sha256", "machine", "rows", "refused"), _of_bench, of_bundle),
    JsonKind(
        "list of packed videos", ("session", "first_index", "videos", "pictures"), _of_packed, _recorded
    ),
    JsonKind(
        "figures of a triangulation", ("calibration_sha256", "files", "frame_sets", "possible"),
        lambda said: {
            "output": said["output"], "cameras": joined(said["cameras"]),
            "keypoints": joined(said["keypoints"]), "frame sets": said["frame_sets"],
            "points": f"{said['points']} of {said['possible']}",
        },
        lambda said: [
            *of_calibration(said["calibration_sha256"]),
            *(f"poses of camera {camera}: {file}" for camera, file in said["files"].items()),
        ],
    ),
    JsonKind(
        "figures of an analysis", ("runs", "scorer", "videos", "failed"),
        lambda said: {
            "videos": len(said["videos"]), "failed": len(said["failed"]), "status file": said.get("status"),
            "ran": said["runs"]["reason"],
        },
        lambda said: of_bundle(said["runs"]),
    ),
    JsonKind(
        "figures of an export", ("bundle", "bundle_sha256", "trained", "artifacts"),
        lambda said: {each["file"]: each["verdict"] for each in said["artifacts"]}, of_bundle,
    ),
    JsonKind(
        "figures of a live run", ("ended", "pulses", "published", "network", "cameras"), _of_live,
        lambda said: of_bundle(said["network"]) + of_calibration(said.get("calibration_sha256"))
        + ([f"recording {said['recording']['session']}"] if said.get("recording") else []),
    ),
    JsonKind(
        "figures of a recording", ("session", "cameras", "frame_sets", "synchronisation"),
        lambda said: {"ended": said["ended"], "frame sets": said["frame_sets"],
                      "complete": said["complete_sets"], "cameras": joined(list(said["cameras"]))},
        _recorded,
    ),
    JsonKind(
        "figures of rigpose demo", ("bounds", "held_out", "live_3d"),
        lambda said: {
            "bounds held": f"{sum(bool(each['held']) for each in said['bounds'])} of {len(said['bounds'])}"
        },
    ),
    JsonKind(
        "comparison of networks", ("held_out_by", "dataset_sha256", "rows", "folds"),
        lambda said: {
            "held out by": said["held_out_by"], "folds": len(said["folds"]),
            **{f"{row['network']} {row['precision']}": _row_error(row) for row in said["rows"]},
        },
        lambda said: [of_labels(said["project"], said["dataset_sha256"])],
    ),
    JsonKind(
        "plan of a comparison", ("held_out_by", "dataset_sha256", "splits"),
        lambda said: {"held out by": said["held_out_by"], "folds": joined(list(said["splits"]))},
        lambda said: [of_labels(said["project"], said["dataset_sha256"])],
    ),
    JsonKind(
        "record of a training", ("dataset_sha256", "run", "images", "network"),
        lambda said: {
            "run": said["run"], "network": said["network"], "images": said["images"],
            "held-out images": said["held_out_images"],
        },
        lambda said: [
            of_labels("", said["dataset_sha256"], said["split"]), f"weights: {said['initialisation']}"
        ],
    ),
    JsonKind(
        "evaluation", ("part", "split", "all", "images"),
        lambda said: {
            "part": said["part"], "split": said["split"], "images": said["images"],
            "mean error": _of_errors(said),
        },
    ),
    JsonKind(
        "split of labelled images", ("name", "train", "test"),
        lambda said: {"name": said["name"], "train": len(said["train"]), "test": len(said["test"])},
    ),
    JsonKind(
        "TensorRT engine that was built here", ("key", "plan_sha256", "acceptance"),
        lambda said: {"engine": short(said["plan_sha256"]), **said["key"]},
    ),
)  # fmt: skip


def _row_error(row: Content) -> str:
    return "nothing labelled" if row.get("mean_px") is None else f"{row['mean_px']:.2f} px"
