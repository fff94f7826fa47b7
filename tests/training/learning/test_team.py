"""Several processes train one network: as torchrun starts them, with gloo, on this machine's CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch

from acquisition.errors import RigposeError
from tests.training.dots import dot_project
from tests.training.learning.test_dataset import samples_of
from training.learning.batches import Mixture
from training.learning.team import Team, device_of_process, team_of_environment
from training.run import load_network


def test_alone_nothing_is_exchanged():
    with Team() as team:
        assert team.leads
        assert team.agreed(0.25, torch.device("cpu")) == 0.25
        network = torch.nn.Linear(2, 1)
        network(torch.ones(1, 2)).sum().backward()
        before = network.weight.grad.clone()
        team.average_gradients(network)
        assert torch.equal(network.weight.grad, before)


def test_every_process_has_batches_of_its_own_and_together_they_are_those_of_one(tmp_path):
    samples = samples_of(tmp_path, count=12)
    fed = [Mixture(samples, team=Team(rank, 2)).batch(step) for step in (0, 1) for rank in (0, 1)]
    for number, batch in enumerate(fed):
        assert (batch.images == samples.batch(number).images).all()
    assert Mixture(samples, team=Team(0, 2)).steps_per_epoch == 2  # 3 batches of 4, two at a time


def test_an_incomplete_environment_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(RigposeError, match="torchrun"):
        team_of_environment()


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert device_of_process(torch.device("cuda")) == torch.device("cuda", 3)
    assert device_of_process(torch.device("cuda", 1)) == torch.device("cuda", 1)
    assert device_of_process(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.long
def test_two_processes_train_one_run_and_go_on_with_it(tmp_path):
    project = dot_project(tmp_path, count=12)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0",
        "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0",
        "-m", "rigpose", "train", str(project.root), "-o", str(tmp_path / "run"), "--network", "residual-8",
        "--input-size", "96x64", "--stride", "8", "--epochs", "4", "--device", "cpu", "--qat",
        "--json", str(tmp_path / "train.json"), "--quiet",
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    measured = json.loads((tmp_path / "train.json").read_text())
    assert measured["processes"] == 2
    assert measured["held_out"]["points"] > 0
    # ten training images: two batches a step, so one step is an epoch
    assert measured["float_steps"] + measured["steps"] == 4
    assert measured["run"] == str(tmp_path / "run")
    load_network(tmp_path / "run")
    load_network(tmp_path / "run" / "float")
