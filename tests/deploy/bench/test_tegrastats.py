"""What tegrastats writes on several modules; and the tool itself, as a program that writes such lines."""

import stat
import time
from pathlib import Path

import pytest

from deploy.bench import tegrastats
from deploy.bench.tegrastats import Tegrastats, parse, summarise

ORIN_NANO = (  # JetPack 6
    "11-15-2024 08:38:09 RAM 6185/7620MB (lfb 8x2MB) SWAP 851/3810MB (cached 1MB) "
    "CPU [15%@729,11%@729,14%@729,13%@729,11%@729,8%@729] EMC_FREQ 43%@2133 GR3D_FREQ 63%@[621] "
    "NVDEC off NVJPG off NVJPG1 off VIC off OFA off APE 200 cpu@53.968C soc2@52.437C soc0@50.75C gpu@53.343C "
    "tj@53.968C soc1@51.656C VDD_IN 12479mW/12479mW VDD_CPU_GPU_CV 4667mW/4667mW VDD_SOC 2817mW/2817mW"
)
AGX_ORIN = (  # JetPack 5: zones that are off, rails without a name
    "04-24-2023 00:01:24 RAM 1282/62795MB (lfb 15152x4MB) SWAP 0/31398MB (cached 0MB) CPU [0%@729,off] "
    "EMC_FREQ 0%@2133 GR3D_FREQ 0%@0 GR3D2_FREQ 0%@0 VIC_FREQ 729 APE 174 CV0@-256C CPU@42.593C Tboard@32C "
    "GPU@-256C tj@42.593C VDD_GPU_SOC 2399mW/2399mW VDD_CPU_CV 400mW/400mW VIN_SYS_5V0 4032mW/4032mW "
    "NC 0mW/0mW VDDQ_VDD2_1V8AO 301mW/301mW NC 0mW/0mW"
)
NANO = (  # JetPack 4: no units
    "RAM 613/3964MB (lfb 634x4MB) SWAP 0/1982MB (cached 0MB) CPU [2%@102,1%@102,0%@102,0%@102] EMC_FREQ 0% "
    "GR3D_FREQ 0% PLL@39C CPU@40.5C PMIC@100C GPU@41C AO@46C thermal@41C POM_5V_IN 900/943 POM_5V_GPU 0/0 "
    "POM_5V_CPU 123/123"
)


def test_an_orin_nano_tells_its_input_its_rails_and_its_zones() -> None:
    sample = parse(ORIN_NANO)
    assert sample.power_mw == {"VDD_IN": 12479.0, "VDD_CPU_GPU_CV": 4667.0, "VDD_SOC": 2817.0}
    assert sample.temperature_c == {
        "cpu": 53.968, "soc2": 52.437, "soc0": 50.75, "gpu": 53.343, "tj": 53.968, "soc1": 51.656,
    }  # fmt: skip
    assert sample.gpu_percent == 63.0


def test_zones_that_are_off_are_left_out_and_memory_is_no_rail() -> None:
    sample = parse(AGX_ORIN)
    assert sample.temperature_c == {"CPU": 42.593, "Tboard": 32.0, "tj": 42.593}
    assert sample.power_mw == {
        "VDD_GPU_SOC": 2399.0, "VDD_CPU_CV": 400.0, "VIN_SYS_5V0": 4032.0, "VDDQ_VDD2_1V8AO": 301.0,
    }  # fmt: skip
    assert summarise([sample])["input_w"] is None  # no rail of this module carries everything


def test_rails_without_units_are_read_as_now_not_as_the_average() -> None:
    sample = parse(NANO)
    assert sample.power_mw == {"POM_5V_IN": 900.0, "POM_5V_GPU": 0.0, "POM_5V_CPU": 123.0}
    assert sample.temperature_c["GPU"] == 41.0 and sample.gpu_percent == 0.0


@pytest.mark.parametrize("line", ["", "nonsense", "RAM 1/2MB", "tegrastats: command not found"])
def test_other_lines_tell_nothing(line: str) -> None:
    sample = parse(line)
    assert sample.power_mw == {} and sample.temperature_c == {}


def test_means_and_maxima_of_several_lines() -> None:
    busier = ORIN_NANO.replace("VDD_IN 12479mW", "VDD_IN 14479mW").replace("tj@53.968C", "tj@60C")
    figures = summarise([parse(ORIN_NANO), parse(busier)])
    assert figures["samples"] == 2
    assert figures["input_w"] == {"mean": 13.479, "max": 14.479}
    assert figures["zones_c"]["tj"]["max"] == 60.0
    assert figures["gpu_percent"] == {"mean": 63.0, "max": 63.0}


def test_the_tool_is_read_while_the_block_runs_and_stopped_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "tegrastats"
    tool.write_text(
        f"#!/bin/sh\n[ $1 = --interval ] || exit 1\nwhile :; do echo '{ORIN_NANO}'; sleep 0.02; done\n"
    )
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with Tegrastats(every_ms=20) as jetson:
        until = time.monotonic() + 20
        while len(jetson.samples) < 3 and time.monotonic() < until:
            time.sleep(0.01)
        taken = jetson.take()
    assert len(taken) >= 3 and taken[0] == parse(ORIN_NANO)
    assert jetson._process is not None and jetson._process.poll() is not None


def test_on_another_machine_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tegrastats.shutil, "which", lambda name: None)
    with Tegrastats() as jetson:
        assert jetson.take() == []
