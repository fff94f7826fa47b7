"""YAML as rigpose reads it: safely, and each key once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from acquisition.settings import beside, read_yaml

KEYS = st.text("abcxyz_", min_size=1, max_size=5)
TREES = st.dictionaries(
    KEYS, st.recursive(st.integers() | st.booleans() | KEYS, lambda below: st.dictionaries(KEYS, below))
)


def read(folder: Path, text: str, **more: str):
    path = folder / "a.yaml"
    path.write_text(text)
    return read_yaml(path, **more)


@given(content=TREES, flow=st.booleans())
def test_what_names_each_key_once_is_read_as_it_is(tmp_path_factory, content, flow):
    text = yaml.safe_dump(content, default_flow_style=flow)
    assert read(tmp_path_factory.getbasetemp(), text) == content


@given(content=TREES.filter(bool), data=st.data())
def test_a_key_that_is_there_twice_is_named_with_its_lines(tmp_path_factory, content, data):
    key = data.draw(st.sampled_from(sorted(content)))
    lines = [*yaml.safe_dump(content).splitlines(), f"{key!r}: 1"]
    first = next(n for n, line in enumerate(lines, 1) if line.startswith((f"{key}:", f"'{key}':")))
    with pytest.raises(RigposeError) as caught:
        read(tmp_path_factory.getbasetemp(), "\n".join(lines))
    assert caught.value.found == f"'{key}' in line {first} and again in line {len(lines)}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: {b: 1, b: 2}", "'b' in line 1 and again in line 1"),
        ("l:\n- a: 1\n  'a': 2\n", "'a' in line 2 and again in line 3"),
        ("1: a\n1: b\n", "'1' in line 1 and again in line 2"),
    ],
)
def test_also_deep_inside(tmp_path, text, found):
    with pytest.raises(RigposeError) as caught:
        read(tmp_path, text, repeated="Mend it")
    assert (caught.value.found, caught.value.remedy) == (found, "Mend it")


def test_merged_keys_may_be_set_anew(tmp_path):
    said = read(
        tmp_path,
        "deep: {a: &a {x: 1, y: 1}, b: &b {<<: *a, x: 2}}\nc: {<<: *b, y: 3}\n"
        "d:\n  <<: [*a, *b]\n  z: 4\ne: {<<: *a, <<: {z: 5}}\n",
    )
    assert said["deep"]["b"] == {"x": 2, "y": 1} and said["c"] == {"x": 2, "y": 3}
    assert said["d"] == {"x": 1, "y": 1, "z": 4} and said["e"] == {"x": 1, "y": 1, "z": 5}


@pytest.mark.parametrize("text", ["day: 2026-13-45", "a: !!int x", "a: " + "[" * 5000, "[a]: 1", "\u00e4: ["])
def test_what_is_no_yaml_is_one_line(tmp_path, text):
    with pytest.raises(RigposeError, match=r"a\.yaml: expected YAML"):
        read(tmp_path, text)


def test_a_path_beside_its_file(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    folder = Path("/rig")
    for path, found in {
        "c.toml": "/rig/c.toml",
        "/c.toml": "/c.toml",
        "~/c": "/home/anna/c",
        "a/~": "/rig/a/~",
    }.items():
        assert beside(folder, path) == beside(folder, Path(path)) == Path(found)
