import pytest

from acquisition.errors import RigposeError
from acquisition.settings import parse_settings
from deploy.closed_loop.outputs.settings import OutputSettings, check_keypoints


@pytest.mark.parametrize(
    "uri",
    [
        "trigger:line",
        "log:",
        "zmq-pub:tcp://127.0.0.1:5560",
        "zmq-pub:ipc:///tmp/x",
        "zmq-req:tcp://10.0.0.7:1",
    ],
)
def test_addresses_that_can_be(uri: str) -> None:
    settings = OutputSettings(uri=uri)
    assert f"{settings.scheme}:{settings.address}" == uri


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("laser", "must begin with trigger:, zmq-pub:"),
        ("gpio:4", "must begin with trigger:, zmq-pub:"),
        ("trigger:out2", "write trigger:line"),
        ("zmq-pub:tcp://0.0.0.0:5560", "has no keys"),
        ("zmq-pub:5560", "must begin with tcp:// or ipc://"),
        ("zmq-req:tcp://host", "no port"),
        ("log:file", "takes no address"),
    ],
)
def test_addresses_that_cannot(uri: str, message: str) -> None:
    with pytest.raises(RigposeError, match=message):
        parse_settings(OutputSettings, {"uri": uri}, "rig.yaml")


def test_a_policy_about_an_unknown_keypoint_is_refused() -> None:
    outputs = {"laser": OutputSettings(uri="log:", keypoints=("nose", "wing"))}
    check_keypoints(outputs, ("nose", "wing", "tail"))
    with pytest.raises(RigposeError, match=r"outputs.laser: expected keypoints of the network: nose.*'wing'"):
        check_keypoints(outputs, ("nose",))
