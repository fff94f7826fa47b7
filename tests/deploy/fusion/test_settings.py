"""fuse.yaml as it is read."""

from __future__ import annotations

from pathlib import Path

from deploy.fusion.settings import load_fuse

FUSE = """\
name: arena
hosts:
  left: {endpoint: "tcp://10.0.0.1:5555", server_key: keys/left.pub}
  right: {endpoint: "tcp://10.0.0.2:5555", server_key: ~/right.pub}
key: ~/fuse.secret
calibration: ~/calibration.toml
stream: {endpoint: "tcp://*:5565", keys: ~/keys}
"""


def test_paths_are_beside_the_file_or_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    (tmp_path / "fuse.yaml").write_text(FUSE)
    fuse = load_fuse(tmp_path / "fuse.yaml")
    home = Path("/home/anna")
    assert [host.server_key for host in fuse.hosts.values()] == [
        tmp_path / "keys/left.pub",
        home / "right.pub",
    ]
    assert (fuse.key, fuse.calibration, fuse.stream.keys) == (
        home / "fuse.secret", home / "calibration.toml", home / "keys",
    )  # fmt: skip
