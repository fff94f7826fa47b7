"""Key files: nobody else reads them, others' files are refused, and the list of clients."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import zmq
import zmq.auth
from hypothesis import given
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from deploy.stream.keys import (
    allow,
    allowed,
    client_keys,
    fresh_pair,
    new_pair,
    read_public,
    read_secret,
    revoke,
    server_pair,
)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        public, secret = new_pair(tmp_path / "rig" / "keys", "server")
        _, client = new_pair(tmp_path / "clients", "ada")
        allow(tmp_path / "rig" / "keys", client.with_suffix(".pub"))
    finally:
        os.umask(before)
    listed = tmp_path / "rig" / "keys" / "allowed" / "ada.pub"
    assert [_mode(file) for file in (public, secret, client, listed)] == [0o600] * 4
    assert [_mode(folder) for folder in (public.parent, listed.parent)] == [0o700] * 2
    assert not list(tmp_path.rglob(".*"))


def test_a_pair_is_read_back_and_by_zeromqs_own_reader(tmp_path: Path) -> None:
    public, secret = new_pair(tmp_path, "server")
    pair = server_pair(tmp_path)
    assert pair == read_secret(secret) and pair.public == read_public(public)
    assert zmq.auth.load_certificate(secret) == (pair.public.encode(), pair.secret.encode())
    assert zmq.auth.load_certificate(public) == (pair.public.encode(), None)
    assert zmq.curve_public(pair.secret.encode()) == pair.public.encode()
    assert pair.secret not in repr(pair) and pair.secret not in repr(client_keys(public, secret))
    assert pair.secret not in public.read_text()


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    public, secret = new_pair(tmp_path, "ada")
    before = secret.read_bytes()
    with pytest.raises(RigposeError, match="a key of that name"):
        new_pair(tmp_path, "ada")
    public.unlink()
    with pytest.raises(RigposeError, match="a key of that name"):
        new_pair(tmp_path, "ada")
    assert secret.read_bytes() == before


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "-o", "a b", "x" * 65, "ü"])
def test_names_that_are_no_file_names_are_refused(tmp_path: Path, name: str) -> None:
    for call in (lambda: new_pair(tmp_path, name), lambda: revoke(tmp_path, name)):
        with pytest.raises(RigposeError, match="letters, digits"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_clients_are_allowed_listed_and_revoked(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    assert allowed(keys) == {}
    ada, bob = (new_pair(tmp_path, name)[0] for name in ("ada", "bob"))
    assert allow(keys, ada) == "ada"
    assert allow(keys, ada) == "ada"  # twice is once
    assert allow(keys, bob, "robert") == "robert"
    assert allowed(keys) == {read_public(ada): "ada", read_public(bob): "robert"}
    for file, name, found in [(bob, "bob", "its key as 'robert'"), (new_pair(tmp_path / "x", "ada")[0], None,
                                                                    "another key as 'ada'")]:  # fmt: skip
        with pytest.raises(RigposeError, match=found):
            allow(keys, file, name)
    revoke(keys, "ada")
    assert allowed(keys) == {read_public(bob): "robert"}
    with pytest.raises(RigposeError, match="found robert"):
        revoke(keys, "ada")


def test_a_secret_is_not_taken_for_a_public_key_nor_a_public_for_a_secret(tmp_path: Path) -> None:
    public, secret = new_pair(tmp_path, "ada")
    with pytest.raises(RigposeError, match="found a secret one") as caught:
        allow(tmp_path / "keys", secret)
    assert read_secret(secret).secret not in str(caught.value)
    with pytest.raises(RigposeError, match="found a public one"):
        read_secret(public)
    assert not (tmp_path / "keys").exists()


def test_a_secret_others_can_read_is_refused(tmp_path: Path) -> None:
    _, secret = new_pair(tmp_path, "server")
    secret.chmod(0o640)
    with pytest.raises(RigposeError, match="chmod 600"):
        server_pair(tmp_path)


def test_a_secret_with_anothers_public_key_is_refused(tmp_path: Path) -> None:
    _, secret = new_pair(tmp_path, "server")
    secret.write_text(secret.read_text().replace(server_pair(tmp_path).public, fresh_pair().public))
    with pytest.raises(RigposeError, match="another's"):
        server_pair(tmp_path)


def test_what_is_missing_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(RigposeError, match=f"rigpose keys new server --keys {tmp_path}"):
        server_pair(tmp_path)
    with pytest.raises(RigposeError, match="No such file"):
        read_public(tmp_path / "nobody.pub")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("foreign") / "foreign.pub"
    path.touch(0o600)
    return path


_quoted = st.builds(
    lambda which, key: f'{which}-key = "{key}"\n', st.sampled_from(["public", "secret"]),
    st.text("abc#%$~\"'\\ \x00é", max_size=45) | st.just("a" * 40) | st.just("#" * 40),
)  # fmt: skip


@given(st.binary(max_size=300) | st.lists(_quoted, max_size=3).map(lambda lines: "".join(lines).encode()))
def test_foreign_bytes_are_a_key_or_one_named_error(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    for read in (read_public, read_secret):
        try:
            assert read(file)
        except RigposeError as error:
            assert str(file) in str(error)
