"""`rigpose fetch-data`, from a server on this machine that has what the origins have."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import rigpose
from acquisition.errors import RigposeError
from rigpose.public_data import fetch
from rigpose.public_data.fetch import fetch_set
from rigpose.public_data.sets import PUBLIC_SETS, PublicSet, checksums
from training.projects.labels import read_labels
from training.projects.project import Project

FILES = {"labels.csv": b"1,2\n", "pictures/a b.png": b"\x89PNG", "video.mp4": b"frames" * 1000}


class Server:
    """Serves `folder`; counts what was asked for."""

    def __init__(self, folder: Path) -> None:
        asked: list[str] = []

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                asked.append(self.path)

        self.asked = asked
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def ready(part: Path, final: Path) -> None:
    (part / "ready.txt").write_text(str(final))


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A set of three files, at a server, beside an address where nobody is."""
    with Server(written(tmp_path / "origin", FILES)) as server:
        origins = ("http://127.0.0.1:9", server.address)
        table = {"little": PublicSet("little", "", origins, False, "", "", ready, ())}
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
        monkeypatch.setattr(fetch, "PUBLIC_SETS", table)
        monkeypatch.setattr(fetch, "checksums", {"little": sums}.__getitem__)
        yield server


def test_every_file_is_there_and_made_ready_for_its_place(served: Server, tmp_path: Path) -> None:
    output = tmp_path / "here" / "little"
    assert fetch_set("little", output) == sorted(FILES)
    assert {path: (output / path).read_bytes() for path in FILES} == FILES
    assert (output / "ready.txt").read_text() == str(output)
    assert [entry.name for entry in output.parent.iterdir()] == ["little"]
    with pytest.raises(RigposeError, match="does not exist yet"):
        fetch_set("little", output)


def test_what_was_fetched_before_an_interruption_is_not_fetched_again(served: Server, tmp_path: Path) -> None:
    missing = tmp_path / "origin" / "video.mp4"
    missing.rename(tmp_path / "kept")
    with pytest.raises(RigposeError, match=r"video\.mp4: expected the published file, found File not found"):
        fetch_set("little", tmp_path / "little")
    assert not (tmp_path / "little").exists()
    (tmp_path / "kept").rename(missing)
    served.asked.clear()
    fetch_set("little", tmp_path / "little")
    assert served.asked == ["/video.mp4"]


def test_what_is_not_as_published_is_refused_and_not_kept(served: Server, tmp_path: Path) -> None:
    (tmp_path / "origin" / "labels.csv").write_bytes(b"2,1\n")
    with pytest.raises(RigposeError, match=r"labels\.csv: expected the published file, SHA-256"):
        fetch_set("little", tmp_path / "little")
    assert not (tmp_path / "little").exists()
    (tmp_path / "origin" / "labels.csv").write_bytes(FILES["labels.csv"])
    fetch_set("little", tmp_path / "little")


@pytest.mark.parametrize(
    "origin", ["no address", "ftp://127.0.0.1:9/x", "http://127.0.0.1:9", "file:///none"]
)
def test_an_address_that_has_nothing_is_one_line(origin: str, tmp_path: Path) -> None:
    with pytest.raises(RigposeError, match="--origin"):
        fetch_set("openfield", tmp_path / "openfield", origin)
    assert not (tmp_path / "openfield").exists()


def test_a_zip_that_is_none_or_lacks_a_file_is_one_line(tmp_path: Path) -> None:
    damaged = tmp_path / "stereo.zip"
    damaged.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(RigposeError, match="a zip with the published files"):
        fetch_set("stereo", tmp_path / "stereo", damaged.as_uri())
    with zipfile.ZipFile(damaged, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("left01.jpg", b"a picture" * 100)
    content = bytearray(damaged.read_bytes())
    content[40:44] = b"\xff" * 4  # behind the local header: the compressed picture itself
    damaged.write_bytes(content)
    with pytest.raises(RigposeError, match="a zip with the published files"):
        fetch_set("stereo", tmp_path / "stereo", damaged.as_uri())
    with zipfile.ZipFile(damaged, "w") as archive:
        archive.writestr("stereo_example/left01.jpg", b"another picture")
    with pytest.raises(RigposeError, match="SHA-256"):
        fetch_set("stereo", tmp_path / "stereo", damaged.as_uri())
    assert not (tmp_path / "stereo").exists()


def test_paths_of_the_tables_stay_in_their_folder() -> None:
    for name in PUBLIC_SETS:
        for path, digest in checksums(name).items():
            assert not path.startswith("/") and ".." not in Path(path).parts
            assert len(digest) == 64


@pytest.mark.data
def test_openfield_becomes_a_project_that_both_programs_open(tmp_path: Path, data_dir: Path) -> None:
    output = tmp_path / "openfield"
    with Server(data_dir / PUBLIC_SETS["openfield"].folder) as server:
        figures = rigpose.fetch_data("openfield", output=output, origin=server.address)
    assert figures["files"] == 118
    project = Project.open(output)
    labels = read_labels(project)  # refuses a CSV and an h5 that disagree
    assert len(labels) == 116 and labels.keypoints == ("snout", "leftear", "rightear", "tailbase")
    assert (output / "labeled-data" / "m4s1" / "CollectedData_Pranav.h5").is_file()
    assert str(output / "videos" / "m3v1mp4.mp4") in project.video_sets()
    theirs = read_labels(Project.open(data_dir / PUBLIC_SETS["openfield"].folder))
    assert (labels.images, labels.points.tobytes()) == (theirs.images, theirs.points.tobytes())


@pytest.mark.data
def test_stereo_comes_out_of_its_zip_with_its_board(tmp_path: Path, data_dir: Path) -> None:
    zipped = tmp_path / "stereo_example.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        for file in (data_dir / "stereo-checkerboard").iterdir():
            archive.write(file, f"stereo_example/{file.name}")
    figures = rigpose.fetch_data("stereo", output=tmp_path / "boards", origin=zipped.as_uri())
    assert figures["files"] == 30
    assert len(list((tmp_path / "boards").glob("*.jpg"))) == 28
    assert "[9, 6]" in (tmp_path / "boards" / "board.yaml").read_text()
