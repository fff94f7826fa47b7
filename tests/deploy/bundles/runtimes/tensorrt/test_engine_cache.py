"""An engine comes back to whoever built it, and to nobody else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from deploy.bundles.acceptance import Acceptance
from deploy.bundles.manifest import Parity
from deploy.bundles.runtimes.tensorrt.engine_cache import EngineCache, EngineKey, Kept

KEY = EngineKey("ab" * 32, "int8", 4, "Orin", "8.7", "10.3.0", 1)
PARITY = Parity(mean_px=0.1, max_px=0.2, points=9, mean_all_px=0.1, max_all_px=0.2, frames=3)
PASSED = Acceptance(parity=PARITY, held_out=None, refused="", within_tolerance=True, verdict="is well")
FAILED = PASSED.model_copy(update={"refused": "3 px from the trained network"})


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


@pytest.mark.parametrize("acceptance", [PASSED, None])
def test_what_was_stored_is_loaded(cache: EngineCache, acceptance: Acceptance | None) -> None:
    assert cache.load(KEY) is None
    cache.store(KEY, b"engine", acceptance)
    assert cache.load(KEY) == Kept(b"engine", acceptance)
    assert sorted(path.suffix for path in cache.folder.iterdir()) == [".engine", ".json"]


@pytest.mark.parametrize(
    "change",
    [{"artifact_sha256": "cd" * 32}, {"precision": "fp16"}, {"batch": 1}, {"gpu": "NVIDIA H200"},
     {"capability": "9.0"}, {"tensorrt": "11.4.1"}, {"recipe": 2}],
)  # fmt: skip
def test_anything_else_has_another_name(cache: EngineCache, change: dict[str, object]) -> None:
    cache.store(KEY, b"engine", PASSED)
    other = dataclasses.replace(KEY, **change)
    assert other.name != KEY.name
    assert cache.load(other) is None
    for path in list(cache.folder.iterdir()):  # and by a name given to it by hand it is not taken either
        path.rename(path.with_name(path.name.replace(KEY.name, other.name)))
    assert cache.load(other) is None


def test_gpus_of_one_kind_share_timings_and_others_do_not(cache: EngineCache) -> None:
    assert cache.timing_cache(KEY) == cache.timing_cache(dataclasses.replace(KEY, batch=1, precision="fp16"))
    assert cache.timing_cache(KEY) != cache.timing_cache(dataclasses.replace(KEY, tensorrt="11.4.1"))


@pytest.mark.parametrize("damage", ["engine cut", "engine gone", "record cut", "record of another kind"])
def test_a_damaged_engine_is_none(cache: EngineCache, damage: str) -> None:
    cache.store(KEY, b"engine", PASSED)
    engine, record = cache.folder / f"{KEY.name}.engine", cache.folder / f"{KEY.name}.json"
    if damage == "engine cut":
        engine.write_bytes(b"engi")
    elif damage == "engine gone":
        engine.unlink()
    elif damage == "record cut":
        record.write_bytes(record.read_bytes()[:40])
    else:
        record.write_text(json.dumps({**json.loads(record.read_text()), "acceptance": {"parity": 1}}))
    assert cache.load(KEY) is None


def test_of_a_refused_engine_only_the_refusal_is_kept(cache: EngineCache) -> None:
    cache.store(KEY, b"engine", FAILED)
    assert cache.load(KEY) == Kept(None, FAILED)
    assert [path.suffix for path in cache.folder.iterdir()] == [".json"]


def test_a_folder_that_cannot_be_written_is_survived(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = EngineCache(tmp_path / "file" / "engines")
    cache.store(KEY, b"engine", PASSED)
    assert cache.load(KEY) is None


def test_it_lies_where_caches_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert EngineCache().folder == tmp_path / "rigpose" / "engines"
