"""`rigpose keys`, `replay`, `lsl`: who may listen, a recording as a stream, a stream for LSL's programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from rigpose.commands.options import ClientKey, Keys, Measured, ServerKey, time_of

KEYS = Path("keys")


def keys_new(
    name: Annotated[str, Parameter(help="Whose pair it is; 'server' is the publisher's own.")],
    /,
    *,
    keys: Keys = KEYS,
) -> Measured:
    """Make a pair of keys: NAME.pub to give away, NAME.secret to keep.

    On the machine that publishes the pair is named 'server', and the folder is `stream.keys` of the rig file.
    Both files are readable by their owner only; the secret is shown nowhere.

    Parameters
    ----------
    name:
        Letters, digits, dot, dash, underscore.
    keys:
        Folder of keys; made if it is not there.

    Returns
    -------
    dict
        `public` and `secret`: the files.

    Raises
    ------
    RigposeError
        If there is a key of that name, or the folder cannot be written.

    Examples
    --------
    rigpose keys new server
    """
    from deploy.stream.keys import SERVER, new_pair

    public, secret = new_pair(keys, name)
    print(f"{public}: give it to {'whoever may listen' if name == SERVER else 'the rig'}")
    print(f"{secret}: keep it on this machine")
    return {"public": str(public), "secret": str(secret)}


def keys_allow(
    public: Annotated[Path, Parameter(help="The client's public key, NAME.pub.")],
    /,
    *,
    keys: Keys = KEYS,
    name: Annotated[str | None, Parameter(help="The client's name; by default the file's.")] = None,
) -> Measured:
    """Let the holder of a public key listen to this machine's stream.

    A running publisher notices within half a second.

    Parameters
    ----------
    public:
        The client's public key.
    keys:
        The publisher's folder of keys.
    name:
        What the client is called in counts and events.

    Returns
    -------
    dict
        `allowed`: the client's name.

    Raises
    ------
    RigposeError
        If the file is no public key, or the name is another client's.

    Examples
    --------
    rigpose keys allow ada.pub --keys arena/keys
    """
    from deploy.stream.keys import allow

    known_as = allow(keys, public, name)
    print(f"{known_as} may listen")
    return {"allowed": known_as}


def keys_revoke(
    name: Annotated[str, Parameter(help="The client, as 'rigpose keys list' names it.")],
    /,
    *,
    keys: Keys = KEYS,
) -> Measured:
    """Take a client off the list, and end its connections.

    A running publisher notices within half a second. Other clients are not disturbed.

    Parameters
    ----------
    name:
        The client.
    keys:
        The publisher's folder of keys.

    Returns
    -------
    dict
        `revoked`: the client's name.

    Raises
    ------
    RigposeError
        If there is no such client.

    Examples
    --------
    rigpose keys revoke ada
    """
    from deploy.stream.keys import revoke

    revoke(keys, name)
    print(f"{name} may not listen any more")
    return {"revoked": name}


def keys_list(*, keys: Keys = KEYS) -> Measured:
    """List the clients that may listen, with their public keys.

    Parameters
    ----------
    keys:
        The publisher's folder of keys.

    Returns
    -------
    dict
        `server`: the publisher's public key, or null; `allowed`: name to public key.

    Raises
    ------
    RigposeError
        If a file there is no key.

    Examples
    --------
    rigpose keys list
    """
    from deploy.stream.keys import PUBLIC_SUFFIX, SERVER, allowed, read_public

    own = keys / f"{SERVER}{PUBLIC_SUFFIX}"
    server = read_public(own) if own.exists() else None
    clients = {name: key for key, name in allowed(keys).items()}
    print(f"{SERVER}: {server or f'none; run: rigpose keys new {SERVER} --keys {keys}'}")
    for name, key in clients.items():
        print(f"{name}: {key}")
    if not clients:
        print("nobody may listen yet; run: rigpose keys allow NAME.pub")
    return {"server": server, "allowed": clients}


def replay(
    session: Annotated[Path, Parameter(help="A session that 'rigpose live --record' has written.")],
    /,
    *,
    speed: Annotated[float, Parameter(help="1: at the recording's own pace; 10: ten times as fast.")] = 1.0,
    wait: Annotated[int, Parameter(help="Begin when so many subscribers have joined.")] = 0,
    endpoint: Annotated[str, Parameter(help="Where to publish.")] = "tcp://127.0.0.1:5555",
    keys: Annotated[Path | None, Parameter(help="Folder of keys, to publish for other hosts.")] = None,
) -> Measured:
    """Publish the poses of a recording as if they were live.

    The same messages in the same order at the same pace, with stamps of now; the payloads are those of the
    live run bit for bit. The session announces itself as a replay. Ctrl-C ends it.

    Parameters
    ----------
    session:
        The recording's folder.
    speed:
        How many times as fast as it was recorded.
    wait:
        So that nobody misses the beginning.
    endpoint, keys:
        As for `rigpose live`.

    Returns
    -------
    dict
        Frame sets published, stream sessions, seconds, how far behind the recording's pace it fell, ms.

    Raises
    ------
    RigposeError
        If the folder holds no recorded poses, or the endpoint cannot be bound.

    Examples
    --------
    rigpose replay sessions/mouse-7 --speed 2
    """
    import rigpose
    from acquisition.errors import RigposeError
    from acquisition.settings import parse_settings
    from deploy.stream.replay import ReplayOptions
    from deploy.stream.replay import replay as replay_session
    from deploy.stream.settings import StreamSettings

    if not 0 < speed < float("inf"):
        raise RigposeError("--speed", expected="a number above 0", found=f"{speed:g}", remedy="Give another")
    stream = parse_settings(StreamSettings, {"endpoint": endpoint, "keys": keys}, "--endpoint")
    measured = replay_session(session, stream, ReplayOptions(speed, wait, rigpose.__version__))
    sets = f"{measured['sets']} of {measured['of']} frame sets"
    print(f"{sets} in {measured['seconds']:.1f} s, {measured['ended']}")
    return measured


def lsl(
    endpoint: Annotated[str, Parameter(help="Address of the stream.")] = "tcp://127.0.0.1:5555",
    /,
    *,
    server_key: ServerKey = None,
    key: ClientKey = None,
    topics: Annotated[Literal["pose2d", "pose3d", "both"], Parameter(help="What to hand on.")] = "both",
    kind: Annotated[
        Literal["measured", "filtered", "predicted"], Parameter(help="Which poses, where there are several.")
    ] = "measured",
    network: Annotated[bool, Parameter(negative="", help="Announce it to the network.")] = False,
    seconds: Annotated[float | None, Parameter(help="A budget of time in seconds.")] = None,
) -> Measured:
    """Hand a running stream on to Lab Streaming Layer, for LabRecorder and its like.

    One LSL stream a topic: a channel for each number of the pose, named and with its unit, every sample at
    the instant its pose is valid. LSL has no keys: whoever reaches this host can read what is handed on, also
    without --network.

    Parameters
    ----------
    endpoint:
        ZeroMQ address that `rigpose live` publishes on.
    server_key, key:
        The publisher's public key and your own secret one, for a stream that has keys.
    topics:
        2D, 3D or both.
    kind:
        As measured, filtered, or predicted for now.
    network:
        Let other hosts find the LSL streams; LSL's own configuration (lsl_api.cfg) then says who.
    seconds:
        How long; by default until Ctrl-C.

    Returns
    -------
    dict
        Poses handed on, received and lost by topic.

    Raises
    ------
    RigposeError
        If the address is none, a key file is none, or LSL's library is missing.

    Examples
    --------
    rigpose lsl tcp://127.0.0.1:5555 --topics pose3d
    """
    from deploy.stream.keys import keys_of
    from deploy.stream.lsl_outlet import TOPICS, LslOptions, hand_on

    seconds = time_of("--seconds", None, seconds)
    wanted = TOPICS if topics == "both" else (topics,)
    measured = hand_on(LslOptions(endpoint, keys_of(server_key, key), wanted, kind, network, seconds))
    counts = ", ".join(f"{count} {topic}" for topic, count in measured["handed_on"].items())
    print(f"handed on: {counts}" + (f"; refused: {measured['refused']}" if measured["refused"] else ""))
    if measured["without_time"]:
        print(f"{measured['without_time']} not handed on: the publisher's clock is not known here")
    return measured
