"""A bundle is written whole, read only if every byte is right, and refused in one line otherwise."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import RigposeError
from calibration.image_transform import ImageTransform
from deploy.bundles.bundle import Bundle, BundleWriter, Check
from deploy.bundles.manifest import SCHEMA_VERSION, Artifact, Manifest, Parity, Provenance, TensorContract

GOLDEN = Path(__file__).parents[1] / "golden" / "schema1.bundle"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A bundle that may be damaged."""
    bundle = tmp_path / "mouse.bundle"
    shutil.copytree(GOLDEN, bundle)
    for path in bundle.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return bundle


def manifest_of(file: str) -> Manifest:
    parity = Parity(mean_px=0.0, max_px=0.0, points=1, mean_all_px=0.0, max_all_px=0.0, frames=1)
    return Manifest(
        name="mouse", keypoints=("nose", "tail"), stride_px=4,
        input=TensorContract(width_px=64, height_px=64, normalisation=(1.0, 0.0)),
        provenance=Provenance(network="any"),
        artifacts=(Artifact(file=file, sha256="", runtime="onnx", precision="fp32", parity=parity),),
    )  # fmt: skip


def resign(bundle: Path, change: Callable[[dict], None]) -> None:
    """Change the manifest as a later version of rigpose would: hash and all."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    change(manifest)
    content = json.dumps(manifest).encode()
    (bundle / "manifest.json").write_bytes(content)
    (bundle / "manifest.sha256").write_text(hashlib.sha256(content).hexdigest())


def test_the_golden_bundle_of_every_schema_version_opens() -> None:
    names = {path.name for path in GOLDEN.parent.glob("*.bundle")}
    assert names >= {f"schema{version}.bundle" for version in range(1, SCHEMA_VERSION + 1)}
    for name in names:
        bundle = Bundle.load(GOLDEN.parent / name)
        check = bundle.check()
        assert check is not None
        assert len(check.images) == len(check.labels) == len(check.keypoints) == len(check.transforms)
        assert check.labels.shape[1:] == (len(bundle.manifest.keypoints), 2)


def test_the_hash_names_the_bundle() -> None:
    bundle = Bundle.load(GOLDEN)
    assert bundle.sha256 == hashlib.sha256((GOLDEN / "manifest.json").read_bytes()).hexdigest()
    assert bundle.name == f"schema1_{bundle.sha256[:8]}"


@pytest.mark.parametrize(
    "file",
    sorted(str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*") if path.is_file()),
)
def test_a_changed_byte_anywhere_is_refused(copied: Path, file: str) -> None:
    content = bytearray((copied / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / file).write_bytes(content)
    with pytest.raises(RigposeError, match="SHA-256"):
        Bundle.load(copied)


def test_a_missing_file_is_refused(copied: Path) -> None:
    (copied / "int8.tflite").unlink()
    with pytest.raises(RigposeError, match=r"int8\.tflite.*No such file"):
        Bundle.load(copied)


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RigposeError, match="rigpose export"):
        Bundle.load(tmp_path / "nothing.bundle")


def test_a_later_schema_is_refused_with_the_remedy(copied: Path) -> None:
    resign(copied, lambda manifest: manifest.update(schema_version=SCHEMA_VERSION + 1, new="thing"))
    with pytest.raises(RigposeError, match="Update rigpose"):
        Bundle.load(copied)


def test_a_wrong_number_of_keypoints_is_refused(copied: Path) -> None:
    resign(copied, lambda manifest: manifest["keypoints"].append("third"))
    with pytest.raises(RigposeError, match=r"3 keypoints.*found 2"):
        Bundle.load(copied)


def test_a_manifest_with_an_unknown_key_is_refused(copied: Path) -> None:
    resign(copied, lambda manifest: manifest.update(colour="RGB"))
    with pytest.raises(RigposeError, match="unknown key 'colour'"):
        Bundle.load(copied)


def test_a_bundle_is_written_whole_and_then_read_only(tmp_path: Path) -> None:
    output = tmp_path / "new" / "mouse.bundle"
    rng = np.random.default_rng(0)
    images = tuple(rng.integers(0, 255, shape, dtype=np.uint8) for shape in ((6, 8), (6, 8, 3)))
    transforms = (ImageTransform.resize(2.0), ImageTransform.crop(1.5, 2.0))
    labels = rng.normal(size=(2, 2, 2))
    labels[0, 1] = np.nan
    check = Check(images, transforms, labels, rng.normal(size=(2, 2, 3)).astype(np.float32))
    with BundleWriter(output) as writer:
        (writer.folder / "a.onnx").write_bytes(b"network")
        (writer.folder / "refused.onnx").write_bytes(b"not shipped")
        writer.write_check(check)
        assert not output.exists()
        written = writer.finish(manifest_of("a.onnx"))
    assert [path.name for path in output.parent.iterdir()] == ["mouse.bundle"]
    assert sorted(path.name for path in output.iterdir()) == [
        "a.onnx", "check", "manifest.json", "manifest.sha256",
    ]  # fmt: skip
    assert all(path.stat().st_mode & 0o222 == 0 for path in output.rglob("*") if path.is_file())

    again = Bundle.load(output)
    assert again.sha256 == written.sha256
    read = again.check()
    assert read is not None
    for one, other in zip(read.images, images, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(read.labels, labels)
    np.testing.assert_array_equal(read.keypoints, check.keypoints)
    np.testing.assert_array_equal(read.transforms[1].matrix, transforms[1].matrix)


def test_a_failure_while_writing_leaves_nothing(tmp_path: Path) -> None:
    output = tmp_path / "mouse.bundle"
    with pytest.raises(RuntimeError, match="power cut"), BundleWriter(output) as writer:
        (writer.folder / "a.onnx").write_bytes(b"network")
        raise RuntimeError("power cut")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_bundle_is_never_replaced(copied: Path) -> None:
    with pytest.raises(RigposeError, match="Choose another -o"):
        BundleWriter(copied)
    Bundle.load(copied)
