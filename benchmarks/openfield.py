"""Accuracy on DeepLabCut's openfield example: 5 folds, held-out frames, full-resolution error in px.

    python benchmarks/openfield.py [-o FOLDER] [--folds 5] [--minutes 7 10.5] [--input-size WxH] [--no-docs]

Two comparisons by the public command, each resumable: `teacher` (MobileNetV2-1.0) and `student`
(MobileNetV2-0.35, which learns from the labels and from the teacher of the same fold, then with int8's
rounding). What the project set itself was 10 minutes a fold for the one and 20 in all for the other. Every
fold is exported, so FOLDER holds the bundles that the deployment benchmarks run. With all five folds and
these minutes the tables of docs/accuracy.md are written anew. Data from $RIGPOSE_DATA, weights from
$RIGPOSE_WEIGHTS, else ../shared beside the checkout.
Exit code 1 if a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

PROJECT = "openfield-Pranav-2018-10-30"
IMAGENET = "mobilenet_v2_1.0_224_quant.tflite"
TEACHER, STUDENT = "mobilenetv2-1.0", "mobilenetv2-0.35"
FOLDS = 5
# Of each teacher and of each student, which first has a minute or two of labelling by its teacher: 20 in all.
MINUTES = (7.0, 10.5)
# More than the 320 px that serve when nothing is said: at 320x256 a cell of the network is 8 px of the image.
INPUT_SIZE = "480x384"
PAGE = CHECKOUT / "docs" / "accuracy.md"
BEGIN, END = "<!-- openfield: begin, written by benchmarks/openfield.py -->", "<!-- openfield: end -->"

# In px, as the project set itself before it measured.
TEACHER_BOUND, TEACHER_STRETCH = 2.4, 2.1
STUDENT_OVER_TEACHER, STUDENT_STRETCH = 0.3, 2.5
INT8_OVER_FP32, BIAS_BOUND = 0.1, 0.15


def folder_of(variable: str, beside: str) -> Path | None:
    """Where the data lie, as the tests look for them."""
    given = os.environ.get(variable)
    folder = Path(given) if given else CHECKOUT.parent / "shared" / beside
    return folder if folder.is_dir() else None


def row_of(content: dict[str, Any], precision: str) -> dict[str, Any]:
    """The row of all folds, or {} where one of them has no such artifact: then nothing was measured."""
    folds = max(row["folds"] for row in content["rows"])
    rows = (row for row in content["rows"] if (row["precision"], row["folds"]) == (precision, folds))
    return next(rows, {})


def judged(teacher: dict[str, Any], student: dict[str, Any]) -> list[dict[str, Any]]:
    """What was promised, what was measured: name, bound, value, stretch, all in px."""
    large, small = row_of(teacher, "fp32"), row_of(student, "int8")
    checks: list[tuple[str, float, float | None, float | None]] = [
        ("MobileNetV2-1.0, fp32", TEACHER_BOUND, large["mean_px"], TEACHER_STRETCH),
        ("MobileNetV2-0.35, int8, distilled + QAT", large["mean_px"] + STUDENT_OVER_TEACHER,
         small.get("mean_px"), STUDENT_STRETCH),
    ]  # fmt: skip
    for name, content in (("MobileNetV2-1.0", teacher), ("MobileNetV2-0.35", student)):
        gap = row_of(content, "int8").get("against_fp32") or {}
        checks.append((f"{name}, int8 beyond its own fp32", INT8_OVER_FP32, gap.get("difference_px"), None))
    for name, row in (("MobileNetV2-1.0, fp32", large), ("MobileNetV2-0.35, int8", small)):
        for axis in ("x", "y"):
            bias = row.get(f"bias_{axis}_px")
            size = None if bias is None else abs(bias)
            checks.append((f"{name}, mean signed error {axis}", BIAS_BOUND, size, None))
    keys = ("figure", "bound_px", "measured_px", "stretch_px")
    return [
        {**dict(zip(keys, check, strict=True)), "met": check[2] is not None and check[2] <= check[1]}
        for check in checks
    ]


def px(value: float | None) -> str:
    return "none: refused" if value is None else f"{value:.2f}"


def machine() -> str:
    name = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        models = [line.split(":")[1] for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0].strip() if models else name
    return f"{os.cpu_count()} cores of {name}"


def tables(teacher: dict[str, Any], student: dict[str, Any], checks: list[dict[str, Any]]) -> str:
    """The region of the page: bounds, a row a network, a row a fold."""
    from training.comparison.show import markdown_folds, markdown_rows

    lines = ["| figure | bound, px | measured, px | |", "|---|---|---|---|"]
    for check in checks:
        stretch = "" if check["stretch_px"] is None else f" (stretch {check['stretch_px']:g})"
        verdict = "met" if check["met"] else "**missed**"
        measured = px(check["measured_px"])
        lines.append(f"| {check['figure']} | <= {check['bound_px']:.2f}{stretch} | {measured} | {verdict} |")
    both = [*teacher["rows"], *student["rows"]]
    folds = [*teacher["folds"], *student["folds"]]
    spent = [row["seconds_per_fold"] / 60 for row in (row_of(teacher, "fp32"), row_of(student, "fp32"))]
    return "\n".join([
        f"5 folds, every frame held out once, {machine()}; {spent[0]:.1f} minutes a fold for the teacher, "
        f"{spent[0]:.1f} + {spent[1]:.1f} for the student.",
        "", *lines, "", markdown_rows(both), "Fold by fold:", "", markdown_folds(folds),
        "![error while training, teacher](openfield-teacher.png) "
        "![error while training, student](openfield-student.png)",
    ])  # fmt: skip


def write_page(text: str) -> None:
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=CHECKOUT / "bench-out" / "openfield")
    parser.add_argument("--folds", type=int, default=FOLDS)
    parser.add_argument(
        "--minutes", type=float, nargs=2, default=MINUTES, metavar=("TEACHER", "STUDENT"), help="a fold"
    )
    parser.add_argument("--input-size", default=INPUT_SIZE, metavar="WxH")
    parser.add_argument("--no-docs", action="store_true", help="leave docs/accuracy.md as it is")
    arguments = parser.parse_args()
    data, weights = folder_of("RIGPOSE_DATA", "data"), folder_of("RIGPOSE_WEIGHTS", "weights")
    if data is None or weights is None:
        print("no data or no weights: set RIGPOSE_DATA and RIGPOSE_WEIGHTS to their folders")
        return 0
    import rigpose

    for_teacher, for_student = arguments.minutes
    common = {
        "folds": arguments.folds, "init": str(weights / IMAGENET), "input_size": arguments.input_size,
        "export": True,
    }  # fmt: skip
    teacher = rigpose.compare(
        data / PROJECT, output=arguments.output / "teacher", networks=TEACHER, minutes=for_teacher, **common
    )
    student = rigpose.compare(
        data / PROJECT, output=arguments.output / "student", networks=STUDENT, minutes=for_student, qat=True,
        teacher=[arguments.output / "teacher" / TEACHER / "{fold}"], **common,
    )  # fmt: skip
    checks = judged(teacher, student)
    for check in checks:
        missed = "" if check["met"] else "   MISSED"
        print(f"{check['figure']:<52} {px(check['measured_px']):>6} px, <= {check['bound_px']:.2f}{missed}")
    (arguments.output / "bounds.json").write_text(json.dumps(checks, indent=1) + "\n")
    asked = arguments.folds, tuple(arguments.minutes), arguments.input_size
    if asked == (FOLDS, MINUTES, INPUT_SIZE) and not arguments.no_docs:
        for name in ("teacher", "student"):
            curves = arguments.output / name / "learning_curves.png"
            shutil.copyfile(curves, PAGE.parent / f"openfield-{name}.png")
        write_page(tables(teacher, student, checks))
        print(f"Written: {PAGE}")
    return 0 if all(check["met"] for check in checks) else 1


if __name__ == "__main__":
    raise SystemExit(main())
