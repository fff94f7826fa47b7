"""fuse.yaml: whose streams are joined, by which calibration, and where the joint stream goes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from acquisition.settings import Settings, beside, read_settings
from deploy.stream.settings import StreamSettings


class HostSettings(Settings):
    """One host of the rig: its stream, and its public key where that has keys."""

    endpoint: str = Field(description="what its publisher binds, seen from here: tcp://10.0.0.2:5555")
    server_key: Path | None = Field(None, description="its public key, server.pub")


class JoinSettings(Settings):
    """When poses of several hosts are of one pulse."""

    tolerance_ms: float = Field(2.0, gt=0, description="largest distance of an exposure from its pulse")
    max_delay_ms: float = Field(40.0, gt=0, description="a set waits no longer than this for a host")


class FuseSettings(Settings):
    """The whole file. The first host is the one with the trigger: its pulse numbers are the rig's."""

    name: str = Field(min_length=1, pattern=r"^[\w.-]+$", description="name of the joint rig")
    hosts: dict[str, HostSettings] = Field(description="hosts by name, the one with the trigger first")
    calibration: Path = Field(description="of all cameras of all hosts, relative to the file")
    key: Path | None = Field(None, description="our own secret key, which every host with keys has allowed")
    join: JoinSettings = Field(default_factory=JoinSettings, description="joining the hosts")
    stream: StreamSettings = Field(
        default_factory=lambda: StreamSettings(endpoint="tcp://127.0.0.1:5565"),
        description="the joint stream",
    )

    @model_validator(mode="after")
    def _two_hosts_of_their_own(self) -> FuseSettings:
        if len(self.hosts) < 2:
            raise ValueError("a rig of one host needs no joining: name two or more")
        endpoints = [host.endpoint for host in self.hosts.values()]
        if len(set(endpoints)) < len(endpoints):
            raise ValueError("two hosts have one endpoint")
        keyed = [name for name, host in self.hosts.items() if host.server_key is not None]
        if keyed and self.key is None:
            raise ValueError(f"host '{keyed[0]}' has a key, so 'key', our own secret one, is needed too")
        return self


def load_fuse(path: Path) -> FuseSettings:
    """The file at `path`; paths in it are relative to its folder, `~` is home. Raises `RigposeError`."""
    settings = read_settings(FuseSettings, path)
    folder = Path(path).resolve().parent

    def whole(inside: Path | None) -> Path | None:
        return None if inside is None else beside(folder, inside)

    hosts = {
        name: host.model_copy(update={"server_key": whole(host.server_key)})
        for name, host in settings.hosts.items()
    }
    stream = settings.stream.model_copy(update={"keys": whole(settings.stream.keys)})
    absolute = {
        "hosts": hosts, "stream": stream, "key": whole(settings.key),
        "calibration": beside(folder, settings.calibration),
    }  # fmt: skip
    return settings.model_copy(update=absolute)
