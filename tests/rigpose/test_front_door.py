import json
import subprocess
import sys
from pathlib import Path

import pytest

from rigpose import __version__, front_door
from rigpose.commands.table import Command

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a command line against a table with two sample commands: (exit code, stdout, stderr)."""
    row = Command("tests.rigpose.sample_command:sample", "Do nothing, or go wrong.")
    table = {"sample": row, "video sample": row}
    monkeypatch.setattr(front_door, "COMMANDS", table)
    monkeypatch.setattr(front_door, "GROUPS", {"Samples": table})
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        code = front_door.main(list(words))
        return code, *capsys.readouterr()

    return run


def one_line(err: str) -> str:
    assert err.startswith("rigpose: error: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert "Traceback" not in err
    return err


def test_a_command_that_works(run):
    code, out, err = run("sample", "here", "-o", "there", "--minutes", "1.5")
    assert (code, out, err) == (0, "a line for a person\n", "")


def test_the_longer_name_wins_and_takes_its_own_words(run):
    assert run("video", "sample", "here", "-o", "there")[0] == 0


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_the_table(run, words):
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    assert "Samples\n  sample        Do nothing" in out


def test_the_first_word_of_a_group_lists_that_group(run):
    code, out, _ = run("video")
    assert code == 0
    assert "  video sample  Do nothing" in out
    assert "\n  sample" not in out


def test_version(run):
    assert run("--version") == (0, f"rigpose {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["smaple"], "there is no command 'smaple'; did you mean 'sample'?"),
        (["video", "sampel"], "did you mean 'video sample'?"),
        (["zzz"], "there is no command 'zzz'; run 'rigpose --help' for the list"),
        (["--zzz"], "there is no option '--zzz'"),
        (["sample", "here"], "--output"),
        (["sample", "-o", "there"], "SOURCE"),
        (["sample", "here", "-o", "there", "--labell", "x"], "Did you mean --label?"),
        (["sample", "here", "-o", "there", "--minutes", "soon"], '--minutes: unable to convert "soon"'),
        (["sample", "here", "-o", "there", "--fault", "other"], "--fault"),
        (["sample", "here", "-o", "there", "--json"], "--json"),
        (["sample", "here", "-o", "there", "--json", "no/such/folder/x.json"], "existing folder"),
        (["sample", "here", "-o", "there", "--json", "."], "found a folder"),
        (
            ["sample", "here", "-o", "there", "--fault", "rigpose"],
            "here: expected an animal, found a rock. Run",
        ),
        (["sample", "here", "-o", "there", "--fault", "missing"], "there/no such folder/file: No such file"),
        (["sample", "here", "-o", "there", "--fault", "full"], "there: No space left on device; free some"),
        (["sample", "here", "-o", "there", "--fault", "port"], "Address already in use; stop what uses"),
        (["sample", "here", "-o", "there", "--fault", "extra"], "pip install 'rigpose[train]'"),
    ],
)
def test_what_a_person_can_mend_is_one_line_and_exit_code_2(run, tmp_path, words, says):
    code, _, err = run(*words)
    assert code == 2
    assert says in one_line(err)
    assert list(tmp_path.iterdir()) == []


def test_a_missed_bound_is_one_line_exit_code_1_and_still_written(run, tmp_path):
    code, _, err = run("sample", "here", "-o", "there", "--fault", "bound", "--json", "measured.json")
    assert code == 1
    assert one_line(err) == "rigpose: error: error 3.0 px is above its bound of 1.5 px\n"
    assert json.loads((tmp_path / "measured.json").read_text())["where"] == "there"


def test_json_holds_what_was_measured_and_nothing_else_is_left(run, tmp_path):
    assert run("sample", "here", "more", "-o", "there", "--json", "measured.json")[0] == 0
    assert [file.name for file in tmp_path.iterdir()] == ["measured.json"]
    measured = json.loads((tmp_path / "measured.json").read_text())
    assert measured == {
        "types": ["PosixPath", "PosixPath", "PosixPath", "str"],
        "minutes": None,
        "error_px": None,
        "where": "there",
    }


def test_an_interrupted_command_leaves_the_json_of_before(run, tmp_path):
    (tmp_path / "measured.json").write_text('{"measured": "before"}')
    code, _, err = run("sample", "here", "-o", "there", "--fault", "interrupt", "--json", "measured.json")
    assert (code, err) == (130, "rigpose: interrupted\n")
    assert [file.name for file in tmp_path.iterdir()] == ["measured.json"]
    assert (tmp_path / "measured.json").read_text() == '{"measured": "before"}'


def test_quiet_prints_errors_only(run):
    assert run("sample", "here", "-o", "there", "--quiet") == (0, "", "")
    code, out, err = run("sample", "here", "-o", "there", "--quiet", "--fault", "rigpose")
    assert (code, out) == (2, "")
    one_line(err)


def test_a_bug_keeps_its_traceback(run):
    with pytest.raises(ZeroDivisionError):
        run("sample", "here", "-o", "there", "--fault", "bug")


def test_a_reader_that_goes_away_is_no_error():
    ran = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m rigpose --help | true; echo ${{PIPESTATUS[0]}}"],
        cwd=CHECKOUT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout.strip() in ("0", "141")
    assert ran.stderr == ""


def test_the_extras_named_to_a_person_are_those_of_pyproject():
    text = (CHECKOUT / "pyproject.toml").read_text()
    for extra, packages in front_door.EXTRAS.items():
        wanted = text.partition(f"\n{extra} = [")[2].partition("]")[0]
        for package in packages:
            assert f'"{package.replace("_", "-")}' in wanted


def shadowing_folder(folder: Path) -> Path:
    for name in ("training", "deploy", "calibration", "acquisition"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('the wrong package was imported')\n")
    return folder


@pytest.mark.parametrize("through", ["module", "script"])
def test_a_folder_with_packages_of_our_names_is_not_imported(tmp_path, through):
    script = tmp_path / "bin" / "rigpose"
    script.parent.mkdir()
    script.write_text("import sys\nfrom rigpose.front_door import main\nsys.exit(main())\n")
    folder = tmp_path / "work"
    folder.mkdir()
    start = ["-m", "rigpose"] if through == "module" else [str(script)]
    ran = subprocess.run(
        [sys.executable, *start, "configs", "copy", "hardware"],
        cwd=shadowing_folder(folder), env={"PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (folder / "hardware" / "README.md").is_file()


def test_a_deleted_working_directory_is_no_reason_to_fail(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    ran = subprocess.run(
        ["bash", "-c", f"cd '{gone}' && rmdir '{gone}' && exec '{sys.executable}' -m rigpose --version"],
        env={"PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (0, f"rigpose {__version__}\n")
