"""Features of a camera in EMVA's own GenApi, from a description whose rate follows from its exposure."""

from __future__ import annotations

import pytest

from acquisition.drivers.genapi import GenApiFeatures, swig_module
from acquisition.drivers.genicam import _spelling
from acquisition.errors import RigposeError

pytest.importorskip("genicam", reason="no genicam: pip install 'rigpose[genicam]'")

ORDERS = [("rate_hz", "exposure_us"), ("exposure_us", "rate_hz")]
_FLOAT = '<Float Name="{}"><Value>{}</Value><Min>1</Min><Max>{}</Max></Float>'
_CAMERA = (
    """<?xml version="1.0"?>
<RegisterDescription ModelName="Wire" VendorName="None" ToolTip="" StandardNameSpace="None"
 SchemaMajorVersion="1" SchemaMinorVersion="1" SchemaSubMinorVersion="0" MajorVersion="1" MinorVersion="0"
 SubMinorVersion="0" ProductGuid="00000000-0000-0000-0000-000000000000"
 VersionGuid="00000000-0000-0000-0000-000000000001" xmlns="http://www.genicam.org/GenApi/Version_1_1">"""
    + _FLOAT.format("ExposureTime", 30_000, 100_000)
    + _FLOAT.format("AcquisitionFrameRate", 10, 1000)
    + """<SwissKnife Name="ResultingFrameRate"><pVariable Name="EXPOSURE">ExposureTime</pVariable>
<pVariable Name="RATE">AcquisitionFrameRate</pVariable>
<Formula>(RATE &lt; 1000000 / (EXPOSURE + 500)) ? RATE : 1000000 / (EXPOSURE + 500)</Formula></SwissKnife>
<Enumeration Name="TriggerActivation"><EnumEntry Name="RisingEdge"><Value>0</Value></EnumEntry>
<Value>7</Value></Enumeration>
</RegisterDescription>"""
)


@pytest.fixture
def features() -> GenApiFeatures:
    nodes = swig_module("genicam.genapi").NodeMap()
    nodes.load_xml_from_string(_CAMERA)
    return GenApiFeatures("top", _spelling(), nodes.get_node, lambda: list(nodes.nodes))


@pytest.mark.parametrize("order", ORDERS)
def test_rate_that_the_exposure_leaves_no_time_for_is_refused_in_any_order(features, order):
    features.set({"exposure_us": 1_000.0})
    wished = {"rate_hz": 60.0, "exposure_us": 30_000.0}
    with pytest.raises(RigposeError, match=r"rate_hz .*found 60\.0 \(at most 32\.7869 Hz with this exposure"):
        features.set({name: wished[name] for name in order})


@pytest.mark.parametrize("order", ORDERS)
def test_rate_that_becomes_possible_with_what_is_set_after_it_is_taken(features, order):
    wished = {"rate_hz": 60.0, "exposure_us": 9_000.0}
    assert features.set({name: wished[name] for name in order}) == wished
    assert features.rate_hz == 60.0


def test_a_feature_that_cannot_be_read_is_an_empty_word(features):
    """Its value has no name in the description."""
    assert features.has("TriggerActivation") and features.word("TriggerActivation") == ""
    assert features.word("ExposureTime") == "30000.0" and features.word("Sharpness") == ""
