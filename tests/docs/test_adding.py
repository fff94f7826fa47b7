"""Whatever stands in a table of the code has its row on the page about adding to it."""

import ast
import re

import pytest

from acquisition.camera import DRIVERS
from acquisition.videos.encoder import CODECS
from deploy.bundles.runtimes.table import RUNTIMES
from deploy.closed_loop.outputs.table import OUTPUTS
from deploy.poses_io.readers import READERS
from rigpose.commands.table import COMMANDS
from tests.docs.pages import CHECKOUT, DOCS, quoted, rows, section


def trunks() -> dict[str, str]:
    """Keys of TRUNKS and the module behind each, read off the source: importing it would import torch."""
    for node in ast.parse((CHECKOUT / "training/networks/table.py").read_text()).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "TRUNKS":
            assert isinstance(node.value, ast.Dict)
            pairs = zip(node.value.keys, node.value.values, strict=True)
            return {ast.literal_eval(key): ast.unparse(value).partition(".")[0] for key, value in pairs}
    raise AssertionError("no TRUNKS")


def file_of(target: str) -> str:
    return f"{target.partition(':')[0].replace('.', '/')}.py"


TABLES = {
    "A camera": {name: file_of(target) for name, target in DRIVERS.items()},
    "A runtime": {name: file_of(row.target) for name, row in RUNTIMES.items()},
    "A network": {name: f"training/networks/{module}.py" for name, module in trunks().items()},
}


@pytest.mark.parametrize("heading", TABLES)
def test_every_entry_of_a_table_has_its_row_with_its_file(heading):
    table = rows(section((DOCS / "adding.md").read_text(), heading))
    assert all(len(cells) >= 3 and all(cells) for cells in table)
    described = {quoted(cells[0])[0]: next(c for c in cells if c.endswith(".py`")) for cells in table}
    assert {name: cell.strip("`") for name, cell in described.items()} == TABLES[heading]


def test_a_runtime_s_row_names_its_extra():
    for cells in rows(section((DOCS / "adding.md").read_text(), "A runtime")):
        assert quoted(cells[2]) == [RUNTIMES[quoted(cells[0])[0]].extra]


def test_every_driver_is_in_the_table_of_addresses_and_leads_to_its_section():
    addresses = [cells[0] for cells in rows((DOCS / "cameras.md").read_text())]
    schemes = {scheme for address in addresses for scheme in re.findall(r"`(\w+)://", address)}
    assert schemes == set(DRIVERS)
    for cells in rows(section((DOCS / "adding.md").read_text(), "A camera")):
        assert re.fullmatch(r"\[[^]]+\]\(\w+\.md#[\w-]+\)", cells[2])


def test_every_command_has_its_section_of_the_reference():
    sections = re.findall(r"^### `rigpose ([a-z -]+)`$", (DOCS / "commands.md").read_text(), re.M)
    assert sections == list(COMMANDS)


@pytest.mark.parametrize(
    ("page", "names"),
    [("formats.md", list(READERS)), ("recordings.md", list(CODECS)), ("closed_loop.md", list(OUTPUTS))],
)
def test_formats_and_their_like_are_named_on_their_page(page, names):
    text = " ".join(quoted((DOCS / page).read_text()))
    assert [name for name in names if name not in text] == []


def test_a_missing_row_is_found_out():
    page = (DOCS / "adding.md").read_text().replace("| `rtsp` |", "| `rstp` |")
    named = {quoted(cells[0])[0] for cells in rows(section(page, "A camera"))}
    assert named != set(DRIVERS)
