"""The `outputs` section of rig.yaml: what a processor may switch, and under which conditions."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, field_validator

from acquisition.errors import RigposeError
from acquisition.settings import Settings


class OutputSettings(Settings):
    """One output. It is either high or low; low is safe."""

    uri: str = Field(
        description="trigger:line, zmq-pub:tcp://127.0.0.1:PORT, zmq-req:tcp://HOST:PORT, "
        "or log: (nothing but the events)"
    )
    keypoints: tuple[str, ...] = Field(
        (), description="the policy looks at these; without any at all of the network's"
    )
    max_age_ms: float = Field(100.0, gt=0, description="a pose exposed longer ago does not switch it on")
    min_confidence: float = Field(0.5, ge=0, le=1, description="of every keypoint, in its best camera")
    min_views: int = Field(
        1, ge=1, description="of every keypoint: cameras in its 3D point; in 2D those confident enough"
    )
    max_on_ms: float = Field(100.0, gt=0, description="it is never high for longer at a time")
    silence_ms: float = Field(
        200.0, ge=10, description="it falls if the processor has dealt with no pose exposed within that time"
    )

    @field_validator("uri")
    @classmethod
    def _is_one_of_the_table(cls, uri: str) -> str:
        from deploy.closed_loop.outputs.table import OUTPUTS

        scheme, separator, address = uri.partition(":")
        if not separator or scheme not in OUTPUTS:
            raise ValueError(f"'{uri}' must begin with {', '.join(f'{known}:' for known in OUTPUTS)}")
        OUTPUTS[scheme].check(address)
        return uri

    @property
    def scheme(self) -> str:
        """The line of the table."""
        return self.uri.partition(":")[0]

    @property
    def address(self) -> str:
        """What follows the scheme."""
        return self.uri.partition(":")[2]


def check_keypoints(outputs: dict[str, OutputSettings], keypoints: Sequence[str]) -> None:
    """Refuse, with `RigposeError`, a policy about a keypoint that the network does not have."""
    for name, settings in outputs.items():
        for keypoint in settings.keypoints:
            if keypoint not in keypoints:
                raise RigposeError(
                    f"outputs.{name}", expected=f"keypoints of the network: {', '.join(keypoints)}",
                    found=f"'{keypoint}'", remedy="Mend 'keypoints' in the rig file",
                )  # fmt: skip
