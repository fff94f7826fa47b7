"""The model bundle: one directory that says what a network is, how good it is and where it came from.

    <name>.bundle/
        manifest.json       `Manifest`: keypoints, tensor contract, provenance, measured errors, hashes
        manifest.sha256     of manifest.json: the bundle's hash
        <artifacts>         one file each
        check/              held-out images (PNG) and check.npz: labels, transforms, fp32 keypoints

It is written under a temporary name and renamed when whole; its files are read-only from then on
(the folders are not, so that an ordinary `rm -r` removes it). Everything is checked at load.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.settings import parse_settings
from calibration.image_transform import ImageTransform
from deploy.bundles.manifest import SCHEMA_VERSION, Artifact, Manifest

MANIFEST_FILE = "manifest.json"
HASH_FILE = "manifest.sha256"
CHECK_FOLDER = "check"
CHECK_TABLE = "check.npz"
CHECK_IMAGES_AT_MOST = 32


@dataclass(frozen=True, slots=True)
class Check:
    """The held-out frames a bundle carries, to measure its artifacts anywhere.

    Attributes
    ----------
    images:
        uint8 (H, W) or (H, W, 3) RGB; sizes may differ.
    transforms:
        From each image to the network's input.
    labels:
        float64 (N, K, 2) px of the image; NaN where not labelled.
    keypoints:
        float32 (N, K, 3): what the trained network finds, px of the image and confidence.
    """

    images: tuple[Image, ...]
    transforms: tuple[ImageTransform, ...]
    labels: npt.NDArray[np.float64]
    keypoints: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on disk whose hashes were verified.

    Attributes
    ----------
    path:
        Its directory.
    sha256:
        The bundle's hash: SHA-256 (hex) of manifest.json, which holds those of all other files.
    """

    path: Path
    manifest: Manifest
    sha256: str

    @classmethod
    def load(cls, path: Path | str) -> Bundle:
        """Read and verify.

        Raises
        ------
        RigposeError
            If there is no bundle, a byte was changed, a file is missing, the schema is of a later
            version, or the check's keypoints are not the manifest's.
        """
        path = Path(path)
        content = _read(path / MANIFEST_FILE, path)
        found_hash = hashlib.sha256(content).hexdigest()
        written_hash = _read(path / HASH_FILE, path).decode("ascii", "replace").strip()
        _same_hash(path / MANIFEST_FILE, written_hash, found_hash)
        raw = json.loads(content)
        version = raw.get("schema_version")
        if not isinstance(version, int) or version > SCHEMA_VERSION:
            raise RigposeError(
                path,
                expected=f"a bundle of schema version {SCHEMA_VERSION} or older",
                found=f"version {version}",
                remedy="Update rigpose here, or export again with this version",
            )
        manifest = parse_settings(Manifest, raw, path / MANIFEST_FILE)
        hashes = {artifact.file: artifact.sha256 for artifact in manifest.artifacts}
        hashes.update({f"{CHECK_FOLDER}/{name}": digest for name, digest in manifest.check_files.items()})
        for name, digest in hashes.items():
            _same_hash(path / name, digest, hashlib.sha256(_read(path / name, path)).hexdigest())
        bundle = cls(path, manifest, found_hash)
        if CHECK_TABLE in manifest.check_files:
            with np.load(path / CHECK_FOLDER / CHECK_TABLE, allow_pickle=False) as table:
                count = table["keypoints"].shape[1]
            if count != len(manifest.keypoints):
                raise RigposeError(
                    path,
                    expected=f"{len(manifest.keypoints)} keypoints, as the manifest names",
                    found=f"{count} in {CHECK_FOLDER}/{CHECK_TABLE}",
                    remedy="Export the bundle again",
                )
        return bundle

    @property
    def name(self) -> str:
        """Network and hash in a form fit for file names: `<name>_<first 8 of the hash>`."""
        return f"{self.manifest.name}_{self.sha256[:8]}"

    @property
    def input_wh(self) -> tuple[int, int]:
        """Width and height of the network's input, px."""
        return self.manifest.input.width_px, self.manifest.input.height_px

    def artifact(self, runtime: str, precision: str) -> Artifact | None:
        """The artifact that this runtime runs in this precision, if the bundle holds one."""
        for artifact in self.manifest.artifacts:
            if artifact.precision == precision and runtime in (artifact.runtime, *artifact.also):
                return artifact
        return None

    def check(self) -> Check | None:
        """The held-out frames, or None where the bundle carries none."""
        if CHECK_TABLE not in self.manifest.check_files:
            return None
        folder = self.path / CHECK_FOLDER
        with np.load(folder / CHECK_TABLE, allow_pickle=False) as table:
            names, matrices = table["images"], table["transforms"]
            labels, keypoints = table["labels"], table["keypoints"]
        return Check(
            tuple(_read_png(folder / str(name)) for name in names),
            tuple(ImageTransform(matrix) for matrix in matrices),
            labels,
            keypoints,
        )


class BundleWriter:
    """Writes a bundle whole or not at all; a context manager.

    Files go into `.folder`; `finish` hashes them, writes the manifest and renames the folder. Leaving
    without `finish` removes everything.

    Raises
    ------
    RigposeError
        If `output` exists.
    """

    def __init__(self, output: Path | str) -> None:
        self.output = Path(output)
        refuse_existing(self.output)
        self.output.parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f".{self.output.name}.", dir=self.output.parent))

    def __enter__(self) -> BundleWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def write_check(self, check: Check) -> None:
        """Write check/: at most `CHECK_IMAGES_AT_MOST` frames."""
        if len(check.images) > CHECK_IMAGES_AT_MOST:
            raise ValueError(f"{len(check.images)} check images, at most {CHECK_IMAGES_AT_MOST}")
        folder = self.folder / CHECK_FOLDER
        folder.mkdir()
        names = [f"{index:02d}.png" for index in range(len(check.images))]
        for name, image in zip(names, check.images, strict=True):
            stored = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(folder / name), stored)
        np.savez(
            folder / CHECK_TABLE,
            images=np.array(names),
            transforms=np.stack([transform.matrix for transform in check.transforms]),
            labels=check.labels.astype(np.float64),
            keypoints=check.keypoints.astype(np.float32),
        )

    def finish(self, manifest: Manifest) -> Bundle:
        """Fill in the hashes, write the manifest, make the bundle appear under its name."""
        artifacts = tuple(
            artifact.model_copy(update={"sha256": _file_sha256(self.folder / artifact.file)})
            for artifact in manifest.artifacts
        )
        kept = {artifact.file for artifact in artifacts}
        for path in self.folder.iterdir():
            if path.is_file() and path.name not in kept:
                path.unlink()  # an artifact that was not shipped
        check = sorted(self.folder.glob(f"{CHECK_FOLDER}/*"))
        manifest = manifest.model_copy(
            update={"artifacts": artifacts, "check_files": {path.name: _file_sha256(path) for path in check}}
        )
        content = (json.dumps(manifest.model_dump(mode="json"), indent=1, allow_nan=False) + "\n").encode()
        (self.folder / MANIFEST_FILE).write_bytes(content)
        (self.folder / HASH_FILE).write_text(hashlib.sha256(content).hexdigest() + "\n")
        for path in self.folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o444)
        self.folder.chmod(0o755)
        refuse_existing(self.output)
        self.folder.rename(self.output)
        return Bundle.load(self.output)


def refuse_existing(output: Path) -> None:
    """Raise `RigposeError` where a bundle cannot be written because something is there."""
    if output.exists():
        raise RigposeError(
            output,
            expected="a name that is free (a bundle is never changed)",
            found="something there",
            remedy="Choose another -o, or remove it",
        )


def _file_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read(path: Path, whose: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RigposeError(
            whose,
            expected=f"a model bundle with {path.relative_to(whose)}",
            found=error.strerror or "no such file",
            remedy="Make one: rigpose export RUN -o X.bundle",
        ) from None


def _same_hash(path: Path, expected: str, found: str) -> None:
    if expected != found:
        raise RigposeError(
            path,
            expected=f"SHA-256 {expected[:16]}…, as written at export",
            found=f"{found[:16]}…",
            remedy="The file was changed or damaged: copy the bundle again, or export it again",
        )


def _read_png(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise RigposeError(path, expected="a PNG", found="no image", remedy="Export the bundle again")
    rgb = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return np.asarray(rgb, np.uint8)
