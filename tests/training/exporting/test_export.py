"""Export: what is shipped does what the network does, and a network that was not understood is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from acquisition.errors import RigposeError
from deploy.bundles.acceptance import judge
from deploy.bundles.bundle import Bundle
from deploy.bundles.decode import decode
from deploy.bundles.manifest import PixelError
from deploy.bundles.predictor import Predictor
from tests.training.colour_finder import ColourFinder, frames, settings
from tests.training.dots import dot_project
from tests.training.runs import random_run
from training.exporting import export as export_module
from training.exporting.artifacts import ARTIFACTS
from training.exporting.conversion import INPUT_SHIFT, _Shifted, _WithDecoding
from training.exporting.export import export, export_network
from training.networks.table import build_network, fold_batch_norm
from training.projects.labels import read_labels, write_labels
from training.projects.project import Project

GOLDEN = Path(__file__).parents[2] / "deploy" / "golden" / "six_artifacts.bundle"


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow converters replaced by the golden artifacts of the same network."""

    def golden(network: object, stride: int, input_wh: object, inputs: object, ranges: object, folder: Path,
               *_: object) -> None:  # fmt: skip
        for row in ARTIFACTS:
            (folder / row.file).write_bytes((GOLDEN / row.file).read_bytes())

    monkeypatch.setattr(export_module, "make_artifacts", golden)


def test_a_bundle_tells_the_truth_about_every_artifact(tmp_path: Path, converted: None) -> None:
    training, held_out = frames(8, 1), frames(40, 2)
    output = tmp_path / "dots.bundle"
    result = export_network(ColourFinder(), settings(), training, held_out, output, run_sha256="abc")
    bundle = Bundle.load(output)
    assert result["bundle_sha256"] == bundle.sha256
    assert result["refused"] == []
    manifest = bundle.manifest
    assert manifest.name == "dots"
    assert manifest.keypoints == ("red", "blue")
    assert manifest.provenance.run_sha256 == "abc"
    assert manifest.provenance.made_with["torch"] == torch.__version__
    assert manifest.trained is not None
    assert manifest.animal_size is not None
    distances = np.linalg.norm(training.labels[:, 0] - training.labels[:, 1], axis=1) / 2
    assert manifest.animal_size.median_px == pytest.approx(np.median(distances))
    assert {a.file for a in manifest.artifacts} == {row.file for row in ARTIFACTS}
    for artifact in manifest.artifacts:
        assert artifact.held_out is not None
        assert artifact.held_out.points == 80
        assert artifact.parity.mean_px < (0.2 if artifact.precision == "int8" else 0.02)
        assert artifact.parity.max_px >= artifact.parity.mean_px
        assert artifact.within_tolerance
        if artifact.file == "int8_tensorrt.onnx":
            continue  # the only one that nothing on a CPU is given
        runtime = "onnx" if artifact.file.endswith("onnx") else "litert"
        predictor = Predictor(bundle, runtime=runtime, precision=artifact.precision)
        found = np.concatenate([predictor.predict([image]) for image in held_out.images])
        mean = np.linalg.norm(found[..., :2] - held_out.labels, axis=-1).mean()
        assert artifact.held_out.mean_px == pytest.approx(mean, abs=1e-4)
    check = bundle.check()
    assert check is not None
    assert len(check.images) == 32


def test_a_project_that_was_moved_is_said_where_it_lies(tmp_path: Path, converted: None) -> None:
    project = dot_project(tmp_path / "old", count=9)
    run = random_run(tmp_path / "run", project, stride=4, input_wh=(128, 96))
    moved = Path(shutil.move(project.root, tmp_path / "new"))
    with pytest.raises(RigposeError, match=r"no config\.yaml there.*--project FOLDER"):
        export(run, tmp_path / "dots.bundle")
    with pytest.raises(RigposeError, match="expected an artifact that does what"):  # its project was read
        export(run, tmp_path / "dots.bundle", project=moved)
    labels = read_labels(Project.open(moved))
    write_labels(Project.open(moved), "a", [name.split("/")[2] for name in labels.images], labels.points + 1)
    with pytest.raises(RigposeError, match="changed since"):
        export(run, tmp_path / "dots.bundle", project=moved)


def test_an_artifact_that_deviates_is_not_shipped(tmp_path: Path, converted: None) -> None:
    """The network's offsets have changed since the artifacts were made."""
    network = ColourFinder()
    with torch.no_grad():
        network.head.offset.bias += 0.1  # 0.4 px of the network's input: too much for floats, not for int8
    output = tmp_path / "dots.bundle"
    result = export_network(network, settings(), frames(4, 1), frames(8, 2), output)
    left = {artifact.precision for artifact in Bundle.load(output).manifest.artifacts}
    assert left == {"int8"}
    assert len(result["refused"]) == 3
    assert "from the trained network" in result["refused"][0]
    assert not (output / "fp32.onnx").exists()


def test_a_bundle_without_any_artifact_is_not_written(tmp_path: Path, converted: None) -> None:
    network = ColourFinder()
    with torch.no_grad():
        network.head.offset.bias += 2.0
    with pytest.raises(RigposeError, match="does what the trained network does"):
        export_network(network, settings(), frames(4, 1), frames(8, 2), tmp_path / "dots.bundle")
    assert list(tmp_path.iterdir()) == []


def test_without_held_out_labels_int8_is_not_chosen(tmp_path: Path, converted: None) -> None:
    output = tmp_path / "dots.bundle"
    export_network(ColourFinder(), settings(), frames(8, 1), frames(0, 2), output)
    bundle = Bundle.load(output)
    assert bundle.check() is None
    assert bundle.manifest.trained is None
    chosen = Predictor(bundle).describe()
    assert chosen["precision"] == "fp32"
    assert "no held-out labels" in chosen["reason"]


def test_an_existing_output_is_refused_before_the_work(tmp_path: Path) -> None:
    output = tmp_path / "there.bundle"
    shutil.copytree(GOLDEN, output)
    with pytest.raises(RigposeError, match="Choose another -o"):
        export_network(ColourFinder(), settings(), frames(1, 1), frames(1, 2), output)


@pytest.mark.parametrize(
    ("trained_px", "int8_px", "within"),
    [(1.0, 1.14, True), (1.0, 1.16, False), (10.0, 10.49, True), (10.0, 10.51, False), (2.0, 1.5, True)],
)
def test_the_int8_guard(trained_px: float, int8_px: float, within: bool) -> None:
    """Five per cent or 0.15 px, whichever is more."""
    trained, int8 = (
        PixelError(mean_px=mean, median_px=mean, p95_px=mean, bias_x_px=0, bias_y_px=0, points=9)
        for mean in (trained_px, int8_px)
    )
    judged, verdict = judge("int8", int8, trained)
    assert judged is within
    assert f"{int8_px:.3f} px" in verdict


def test_decoding_inside_the_graph_is_the_one_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(3, 4, 7, 9, generator=generator), torch.randn(3, 8, 7, 9, generator=generator)

    class Fixed(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return outputs

    inside = _WithDecoding(Fixed(), 8)(torch.zeros(1)).numpy()
    np.testing.assert_allclose(inside, decode(outputs[0].numpy(), outputs[1].numpy(), 8), atol=1e-5)


def test_folding_the_normalisation_changes_nothing_but_the_rim() -> None:
    """The first convolution pads with its zero: 128 in the shifted form, 127.5 in the network."""
    torch.manual_seed(0)
    network = fold_batch_norm(build_network("mobilenetv2-0.35", 3).eval())
    images = torch.randint(0, 256, (2, 96, 128, 3), dtype=torch.uint8)
    with torch.no_grad():
        stem = network.trunk.stem(images.permute(0, 3, 1, 2).float() / 127.5 - 1)
        shifted = _Shifted(network).trunk.stem((images.float() + INPUT_SHIFT).permute(0, 3, 1, 2))
    np.testing.assert_allclose(shifted[..., :-1, :-1], stem[..., :-1, :-1], atol=1e-5)
    assert (shifted - stem).abs().max() < 0.02


@pytest.mark.long
def test_a_real_network_converts(tmp_path: Path) -> None:
    """Both converters, the quantizer and both runtimes, from random weights; fp32 must agree."""
    torch.manual_seed(0)
    network = build_network("mobilenetv2-0.35", 2)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # statistics of one batch, so that activations keep their size
    training, held_out = frames(8, 1), frames(8, 2)
    with torch.no_grad():
        network.train()(torch.from_numpy(np.stack([image[:192, :256] for image in training.images])))
        torch.nn.init.normal_(network.head.heatmap.weight)
    network = fold_batch_norm(network.eval())
    output = tmp_path / "random.bundle"
    result = export_network(network, settings(), training, held_out, output)
    bundle = Bundle.load(output)
    # what random weights see is noise: rounding turns it over, and the gate says so
    shipped = {artifact.file for artifact in bundle.manifest.artifacts}
    assert shipped | {line.split(":")[0] for line in result["refused"]} == {row.file for row in ARTIFACTS}
    for runtime in ("onnx", "litert"):
        artifact = bundle.artifact(runtime, "fp32")
        assert artifact is not None
        assert artifact.parity.mean_px < 0.05
        assert not (artifact.parity.points == 16 and artifact.parity.max_px == 0)
        single = Predictor(bundle, runtime=runtime, precision="fp32")
        batch = Predictor(bundle, runtime=runtime, precision="fp32", cameras=4)
        expected = np.concatenate([single.predict([image]) for image in held_out.images[:4]])
        np.testing.assert_allclose(batch.predict(held_out.images[:4]), expected, atol=1e-3)
    assert set(result["seconds"]) >= {"onnx", "litert", "int8"}
