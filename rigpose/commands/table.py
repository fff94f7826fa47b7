"""The table of commands: the help text, the parser and the public Python names all read it.

Adding a command: one function in a module of `rigpose/commands/` and one line here. The line's
`help` is the first line of the function's docstring (a test compares them); it stands here as well
so that `rigpose --help` imports nothing. A name of two words (`configs copy`) is a sub-command; its
Python name joins the words with an underscore. No command may have the name of a module in
`rigpose/`, because `rigpose.NAME` would then mean two things.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table.

    Attributes
    ----------
    target:
        `module:function`, imported only when the command is called.
    help:
        One line for a person: the first line of the function's docstring.
    """

    target: str
    help: str


GROUPS: dict[str, dict[str, Command]] = {
    "Start here": {
        "demo": Command(
            "rigpose.commands.demo:demo", "Show the whole loop on the simulated rig, with a report."
        ),
        "fetch-data": Command(
            "rigpose.commands.public_data:fetch_data",
            "Fetch a public recording to try rigpose on, and check every file's SHA-256.",
        ),
        "doctor": Command("rigpose.commands.doctor:doctor", "Check this machine, and say what to change."),
        "status": Command("rigpose.commands.status:status", "Say what runs on this machine, and how it is."),
        "inspect": Command(
            "rigpose.commands.deployment:inspect", "Say what a file or folder is, and the chain it came from."
        ),
    },
    "Cameras and recordings": {
        "cameras": Command(
            "rigpose.commands.cameras:cameras",
            "List all cameras of all drivers; with a URI, what that camera is and what can be set.",
        ),
        "preview": Command(
            "rigpose.commands.preview:preview",
            "Show all views of a rig, with focus, saturation, exposure margin, rate, drops and link load.",
        ),
        "record": Command(
            "rigpose.commands.recording:record", "Record all cameras of a rig, synchronised, into a session."
        ),
        "adopt": Command(
            "rigpose.commands.adoption:adopt",
            "Make a session of existing synchronised videos, one a camera.",
        ),
        "recover": Command(
            "rigpose.commands.recording:recover",
            "Finish recordings that were cut off, by a kill, a loss of power or a full disk.",
        ),
        "check-sync": Command(
            "rigpose.commands.synchronisation:check_sync",
            "Prove with the trigger's LED that no camera is off by a pulse: on a rig, or in a session.",
        ),
        "sync-report": Command(
            "rigpose.commands.synchronisation:sync_report",
            "Make a session's synchronisation report (again): counts, gaps, clocks, a verdict.",
        ),
        "trigger flash": Command(
            "rigpose.commands.trigger:flash", "Put the trigger's firmware on an Arduino Uno or Nano."
        ),
        "trigger test": Command(
            "rigpose.commands.trigger:test",
            "Let a trigger board pulse for some seconds, and judge what it says.",
        ),
    },
    "Calibration and 3D": {
        "board": Command(
            "rigpose.commands.calibration:board", "Make a calibration board to print: a PDF in true size."
        ),
        "calibrate": Command(
            "rigpose.commands.calibration:calibrate",
            "Calibrate a rig from board images: lenses, places, and a report.",
        ),
        "convert-calibration": Command(
            "rigpose.commands.calibration:convert_calibration",
            "Bring a calibration from or to Anipose, OpenCV or DeepLabCut.",
        ),
        "refine-calibration": Command(
            "rigpose.commands.calibration:refine_calibration",
            "Find which cameras were moved since the calibration, by the animal's keypoints, and mend it.",
        ),
        "triangulate": Command(
            "rigpose.commands.triangulation:triangulate", "Triangulate 2D poses of several cameras into 3D."
        ),
    },
    "Projects, labels, networks": {
        "new": Command(
            "rigpose.commands.projects:new", "Make a project for labels, in DeepLabCut's folder layout."
        ),
        "open": Command(
            "rigpose.commands.projects:open",
            "Open a project, DeepLabCut's included, as it is: what is labelled, what to do next.",
        ),
        "add-videos": Command(
            "rigpose.commands.projects:add_videos",
            "Take videos, or the videos of recordings, into a project.",
        ),
        "check-labels": Command(
            "rigpose.commands.label_files:check_labels",
            "Find what is wrong with a project's labels, and draw every labelled frame.",
        ),
        "import-labels": Command(
            "rigpose.commands.label_files:import_labels",
            "Take labels of DeepLabCut, SLEAP, COCO and other formats into a project, with their images.",
        ),
        "frames": Command(
            "rigpose.commands.frames:frames", "Choose frames of videos and recordings for labelling."
        ),
        "label": Command(
            "rigpose.commands.labelling:label",
            "Label frames in a browser, on a page that this machine serves.",
        ),
        "train": Command("rigpose.commands.training:train", "Train a network on a project's labels."),
        "evaluate": Command(
            "rigpose.commands.evaluation:evaluate",
            "Measure a trained network on labelled images, keypoint by keypoint.",
        ),
        "compare": Command(
            "rigpose.commands.evaluation:compare",
            "Compare networks: on folds, one video left out at a time, or runs on one split.",
        ),
        "refine find": Command(
            "rigpose.commands.frames:refine_find",
            "Find frames in which a network is probably wrong, for a person to correct.",
        ),
        "refine merge": Command(
            "rigpose.commands.frames:refine_merge",
            "Take in the frames of refine find that were reviewed, and raise the project's iteration.",
        ),
    },
    "Running a network": {
        "live": Command(
            "rigpose.commands.live:live", "Capture, track and stream 2D and 3D poses from a rig."
        ),
        "watch": Command(
            "rigpose.commands.live:watch",
            "Show a running stream: rate, losses, latency, and the newest 3D pose.",
        ),
        "replay": Command(
            "rigpose.commands.stream:replay", "Publish the poses of a recording as if they were live."
        ),
        "fuse": Command(
            "rigpose.commands.fusion:fuse",
            "Join the 2D poses of several hosts into one 3D rig, and publish it as one stream.",
        ),
        "lsl": Command(
            "rigpose.commands.stream:lsl",
            "Hand a running stream on to Lab Streaming Layer, for LabRecorder and its like.",
        ),
        "keys new": Command(
            "rigpose.commands.stream:keys_new",
            "Make a pair of keys: NAME.pub to give away, NAME.secret to keep.",
        ),
        "keys allow": Command(
            "rigpose.commands.stream:keys_allow",
            "Let the holder of a public key listen to this machine's stream.",
        ),
        "keys revoke": Command(
            "rigpose.commands.stream:keys_revoke", "Take a client off the list, and end its connections."
        ),
        "keys list": Command(
            "rigpose.commands.stream:keys_list", "List the clients that may listen, with their public keys."
        ),
        "export": Command(
            "rigpose.commands.deployment:export",
            "Make a model bundle of a run: convert, quantize, measure every artifact.",
        ),
        "analyze": Command(
            "rigpose.commands.deployment:analyze",
            "Find the keypoints in videos, image folders and recordings.",
        ),
        "bench": Command(
            "rigpose.commands.bench:bench",
            "Measure latency and throughput of every stage on this machine, artifact by artifact.",
        ),
    },
    "Poses": {
        "filter": Command(
            "rigpose.commands.poses:filter",
            "Filter poses, 2D or 3D: X.h5 gives X_filtered.h5, and what was measured stays.",
        ),
        "plot": Command(
            "rigpose.commands.poses:plot",
            "Draw charts of poses: trajectories, coordinates over time, likelihood, steps; 2D or 3D.",
        ),
        "label-video": Command(
            "rigpose.commands.poses:label_video",
            "Draw poses into their videos: skeleton, trail, several views beside 3D axes.",
        ),
        "skeleton": Command(
            "rigpose.commands.poses:skeleton",
            "Measure bones and joints over time: lengths, directions, angles; 2D or 3D.",
        ),
        "export-nwb": Command(
            "rigpose.commands.exports:export_nwb",
            "Write a recording into one NWB file: videos, their times, 2D and 3D poses, events.",
        ),
        "export-slp": Command(
            "rigpose.commands.exports:export_slp",
            "Write poses into a SLEAP file (.slp), to look at and correct them there.",
        ),
    },
    "Videos": {
        "video check": Command(
            "rigpose.commands.videos:check",
            "Check videos and recordings: broken frames, rate, times, frames that are missing.",
        ),
        "video shorten": Command(
            "rigpose.commands.videos:shorten",
            "Copy a part of a video, to the frame; the times between frames stay as they were.",
        ),
        "video crop": Command(
            "rigpose.commands.videos:crop",
            "Copy a part of every picture of a video; the times of the frames stay as they were.",
        ),
        "video downsample": Command(
            "rigpose.commands.videos:downsample",
            "Copy a video with smaller pictures, or with every so many-th frame only, or turned.",
        ),
        "video pack": Command(
            "rigpose.commands.videos:pack",
            "Copy a recording's videos at a constant rate, lost pictures black and listed.",
        ),
    },
    "This installation": {
        "configs copy": Command(
            "rigpose.commands.configs:copy",
            "Copy the hardware files (network, udev, systemd, cameras) into a folder.",
        ),
    },
}

COMMANDS: dict[str, Command] = {name: row for rows in GROUPS.values() for name, row in rows.items()}
PYTHON_NAMES: dict[str, str] = {name.replace(" ", "_").replace("-", "_"): name for name in COMMANDS}
