from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from rigpose import reference
from rigpose.commands.options import Measured, Minutes, Output
from rigpose.commands.table import COMMANDS, Command

CHECKOUT = Path(__file__).resolve().parents[2]


def sample(
    source: Path, /, *more: Path, output: Output, kind: Literal["a", "b"] = "a", minutes: Minutes = None,
    sizes: tuple[int, ...] = (1, 4), show: Annotated[bool, Parameter(help="Show it.")] = True,
    trail: int = 0,
) -> Measured:  # fmt: skip
    """Do nothing.

    Not even this: a|b.

    Parameters
    ----------
    source, more:
        What is read.
    output:
        The page.
    kind, minutes:
        Both.
    sizes:
        Of each.
    trail:
        How many
        frames.

    Returns
    -------
    dict
        Nothing.

    Raises
    ------
    RigposeError
        Never.

    Examples
    --------
    rigpose sample here -o there
    """


SECTION = r"""### `rigpose sample`
Do nothing.

Not even this: a|b.

`rigpose sample SOURCE [MORE...] --output OUTPUT [OPTIONS]`

| argument, option | takes | default | |
|---|---|---|---|
| `SOURCE` | path | required |  |
| `MORE...` | path |  |  |
| `--output`, `-o` | path | required | The page. |
| `--kind` | a, b | `a` |  |
| `--minutes` | number |  | A budget of time in minutes. |
| `--sizes` | whole number, several | `1 4` | Of each. |
| `--show`, `--no-show` |  | on | Show it. |
| `--trail` | whole number | `0` | How many frames. |

`SOURCE`, `MORE...`: What is read.

`--kind`, `--minutes`: Both.

Measured: Nothing.

Exit code 2: Never.

```
rigpose sample here -o there
```
"""


def test_the_page_in_the_repository_is_what_the_script_writes():
    wanted = "out of date: run python -m rigpose.reference docs/commands.md"
    assert (CHECKOUT / "docs/commands.md").read_text() == reference.page(), wanted


def test_a_section_says_all_that_signature_and_docstring_do(monkeypatch):
    monkeypatch.setattr(
        reference, "GROUPS", {"Samples": {"sample": Command(f"{__name__}:sample", "Do a|b.")}}
    )
    monkeypatch.setattr(reference, "load", lambda command: sample)
    page = reference.page()
    assert page.endswith(SECTION)
    assert "\n## Samples\n" in page
    assert "| [`sample`](#rigpose-sample) | Do a\\|b. |" in page


def test_it_writes_one_file_and_says_how_it_is_called(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(reference, "page", lambda: "# Commands\n")
    assert reference.main([]) == 2
    assert "python -m rigpose.reference docs/commands.md" in capsys.readouterr().err
    assert reference.main([str(tmp_path / "commands.md")]) == 0
    assert (tmp_path / "commands.md").read_text() == "# Commands\n"
    assert f"{len(COMMANDS)} commands" in capsys.readouterr().out
