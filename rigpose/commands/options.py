"""Options that mean the same in every command; a command's signature takes them from here.

    def train(project: Path, /, *, output: Output, minutes: Minutes = None, seed: Seed = 0) -> Measured:

Positional arguments are `Path` (or `str`) before the `/`. `--json` and `--quiet` belong to the front
door; a command neither takes nor sees them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter, validators

from acquisition.errors import RigposeError

# What a command returns: what it measured; keys with units, values that JSON can hold.
Measured = dict[str, Any]

Output = Annotated[Path, Parameter(name=["--output", "-o"], help="Where the result is written.")]
Seed = Annotated[int, Parameter(help="Seed of everything random.", validator=validators.Number(gte=0))]
Device = Annotated[str, Parameter(help="Where to compute: cpu, cuda, cuda:1, or auto.")]
Network = Annotated[str, Parameter(help="Network by name, for instance mobilenetv2-0.35.")]
Init = Annotated[
    str,
    Parameter(help="Weights to begin with: a FILE (a run's, or a classifier's), imagenet, or none."),
]
Minutes = Annotated[float | None, Parameter(help="A budget of time in minutes.")]
Epochs = Annotated[int | None, Parameter(help="Passes over the training frames.")]
Precision = Annotated[Literal["fp32", "fp16", "int8", "auto"], Parameter(help="Precision of the network.")]
Runtime = Annotated[
    Literal["litert", "onnx", "onnx-cuda", "onnx-tensorrt", "tensorrt", "auto"],
    Parameter(help="What runs the network on this machine."),
]
Keys = Annotated[Path, Parameter(help="Folder of keys of the machine that publishes.")]
ServerKey = Annotated[
    Path | None, Parameter(help="For a stream with keys: the publisher's public key, server.pub.")
]
ClientKey = Annotated[
    Path | None, Parameter(help="For a stream with keys: your own secret key, NAME.secret.")
]
SplitFile = Annotated[
    Path | None,
    Parameter(help="A split: a JSON such as a run's split.json, or a shuffle's Documentation_data-*.pickle."),
]


MOST_SECONDS = 1e9  # 31 years


def time_of(whose: str, minutes: float | None, seconds: float | None) -> float | None:
    """A budget of time in seconds, None where neither is given; raises `RigposeError`."""
    if minutes is not None and seconds is not None:
        raise RigposeError(whose, expected="--minutes or --seconds", found="both", remedy="Give one of them")
    wished = minutes * 60 if minutes is not None else seconds
    if wished is not None and not 0 < wished < MOST_SECONDS:  # nor is it nan
        raise RigposeError(
            whose, expected=f"a time above 0, below {MOST_SECONDS:g} s", found=f"{wished:g} s",
            remedy="Give another",
        )  # fmt: skip
    return wished


def input_size_of(text: str | None) -> tuple[int, int] | None:
    """WIDTHxHEIGHT as two numbers; None stays None. Raises `RigposeError`."""
    if text is None:
        return None
    numbers = re.fullmatch(r"(\d+)x(\d+)", text)
    if numbers is None:
        raise RigposeError(
            "--input-size",
            expected="WIDTHxHEIGHT, for instance 320x256",
            found=text,
            remedy="Give both sides",
        )
    return int(numbers[1]), int(numbers[2])


def numbers_of(text: str, option: str, count: int) -> list[int]:
    """`count` whole numbers, none negative, separated by commas. Raises `RigposeError`."""
    parts = text.split(",")
    if len(parts) != count or not all(re.fullmatch(r"\s*\d+\s*", part) for part in parts):
        raise RigposeError(
            option, expected=f"{count} whole numbers separated by commas", found=f"'{text}'",
            remedy="Give them all",
        )  # fmt: skip
    return [int(part) for part in parts]
