"""PTP watched: what pmc says, what becomes of it, and a real grandmaster that is killed."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import replace

import pytest

from acquisition.synchronisation.ptp import PtpState, PtpWatch, parse_pmc, read_ptp
from tests.equipment.network import Star, require_namespaces

SAID = """sending: GET TIME_STATUS_NP
\tb22c5a.fffe.7fb731-0 seq 0 RESPONSE MANAGEMENT TIME_STATUS_NP
\t\tmaster_offset              -1234
\t\tgmPresent                  true
\t\tgmIdentity                 6e228f.fffe.af63d0
\tb22c5a.fffe.7fb731-1 seq 1 RESPONSE MANAGEMENT PORT_DATA_SET
\t\tportIdentity            b22c5a.fffe.7fb731-1
\t\tportState               SLAVE
\t\tlogAnnounceInterval     1
\t\tlogSyncInterval         -3
\tb22c5a.fffe.7fb731-2 seq 1 RESPONSE MANAGEMENT PORT_DATA_SET
\t\tportIdentity            b22c5a.fffe.7fb731-2
\t\tportState               LISTENING
\t\tlogAnnounceInterval     1
\t\tlogSyncInterval         0
\tb22c5a.fffe.7fb731-1 seq 2 RESPONSE MANAGEMENT PORT_STATS_NP
\t\tportIdentity              b22c5a.fffe.7fb731-1
\t\trx_Sync                   40
\t\trx_Announce               3
\tb22c5a.fffe.7fb731-2 seq 2 RESPONSE MANAGEMENT PORT_STATS_NP
\t\tportIdentity              b22c5a.fffe.7fb731-2
\t\trx_Sync                   0
\t\trx_Announce               0
\tb22c5a.fffe.7fb731-0 seq 3 RESPONSE MANAGEMENT CURRENT_DATA_SET
\t\tstepsRemoved     1
\t\toffsetFromMaster -1234.0
\t\tmeanPathDelay    87.0
"""
STATE = PtpState("SLAVE", -1234.0, 87.0, "6e228f.fffe.af63d0", True, 3, 40, 2.5 * 0.125)


def test_answers_of_pmc_are_read_port_by_port():
    assert parse_pmc(SAID) == STATE


@pytest.mark.parametrize("cut", range(0, len(SAID) - 30, 97))
def test_half_an_answer_is_none(cut):
    assert parse_pmc(SAID[:cut]) is None


def told(states) -> list[str]:
    """The kinds of a watch that sees these states, half a second apart."""
    kinds: list[str] = []
    watch = PtpWatch(lambda kind, t_ns, **facts: kinds.append(f"{kind}: {facts.get('why', '')}".strip(": ")))
    start_ns = time.monotonic_ns()
    for n, state in enumerate(states):
        watch.look(state, start_ns + n * 500_000_000)
    return kinds


def heard(count: int, **changes) -> list[PtpState]:
    return [replace(STATE, syncs=n, silence_s=2.5, **changes) for n in range(count)]


def test_silence_is_a_loss_before_ptp4l_believes_it():
    silent = [replace(STATE, syncs=3, silence_s=2.5)] * 12  # gmPresent stays true
    assert told(heard(4) + silent) == ["ptp", "ptp lost: the master has been silent for 3.0 s"]
    back = [replace(one, syncs=one.syncs + 50) for one in heard(3)]
    assert told(heard(4) + silent + back)[1:] == [
        "ptp lost: the master has been silent for 3.0 s",
        "ptp back",
    ]


def test_each_way_of_losing_it_is_said_once():
    for state, why in [
        (None, "ptp4l does not answer"),
        (replace(STATE, role="FAULTY"), "its port is faulty"),
        (replace(STATE, role="MASTER"), "there is no grandmaster"),
        (replace(STATE, grandmaster_present=False), "there is no grandmaster"),
    ]:
        assert told([*heard(3), state, state]) == ["ptp", f"ptp lost: {why}"]


def test_host_that_leads_has_nothing_to_lose():
    assert told(heard(5, role="MASTER", grandmaster_present=False)) == ["ptp"]
    assert told([None] * 30) == ["ptp", "ptp"]  # every ten seconds


def test_no_socket_is_no_state(tmp_path):
    assert read_ptp(tmp_path / "ptp4l") is None


@pytest.mark.long
@pytest.mark.equipment
def test_killed_grandmaster_is_noticed_while_gm_present_still_says_true(tmp_path):
    """ptp4l with software stamps in two network namespaces; both run on one clock, which they leave alone."""
    require_namespaces()
    if shutil.which("ptp4l") is None:
        pytest.skip("no PTP: install linuxptp")
    # Two messages a second: three intervals pass sooner.
    common = "[global]\nfree_running 1\ntime_stamping software\nlogAnnounceInterval 0\nlogSyncInterval -1\n"
    running: list[subprocess.Popen[bytes]] = []
    notes: list[tuple[str, int, dict[str, object]]] = []
    with Star(1) as star:

        def ptp4l(host: str, device: str, name: str, more: str) -> subprocess.Popen[bytes]:
            (tmp_path / f"{name}.cfg").write_text(f"{common}uds_address {tmp_path}/{name}\n{more}\n")
            command = star.command(host, ["ptp4l", "-f", str(tmp_path / f"{name}.cfg"), "-i", device, "-m"])
            with (tmp_path / f"{name}.log").open("wb") as log:
                running.append(subprocess.Popen(command, stdout=log, stderr=log))
            return running[-1]

        def until(condition, seconds: float, what: str) -> None:
            end_ns = time.monotonic_ns() + int(seconds * 1e9)
            while not condition():
                assert time.monotonic_ns() < end_ns, f"{what}: {notes} {read_ptp(tmp_path / 'rig')}"
                time.sleep(0.05)

        def kinds() -> list[str]:
            return [kind for kind, _, _ in notes]

        try:
            master = ptp4l(star.middle, "v1", "master", "priority1 1")
            ptp4l(star.hosts[0], "v", "rig", "priority1 200\nslaveOnly 1")
            until(
                lambda: (state := read_ptp(tmp_path / "rig")) is not None and state.follows, 30, "to follow"
            )
            watch = PtpWatch(lambda kind, t_ns, **facts: notes.append((kind, t_ns, facts)), tmp_path / "rig")
            watch.start()
            until(lambda: "ptp" in kinds(), 10, "a first word")
            assert notes[0][2]["announcing"] and notes[0][2]["role"] in ("SLAVE", "UNCALIBRATED")
            believed = read_ptp(tmp_path / "rig")
            assert believed is not None and believed.grandmaster_present and believed.silence_s == 1.25
            master.kill()
            master.wait()
            until(lambda: "ptp lost" in kinds(), 10, "the loss")
            state = read_ptp(tmp_path / "rig")
            assert state is not None and state.grandmaster_present  # so much for asking only that
            assert "silent" in str(next(facts for kind, _, facts in notes if kind == "ptp lost")["why"])
            ptp4l(star.middle, "v1", "master2", "priority1 1")
            until(lambda: "ptp back" in kinds(), 40, "its return")
            running[1].kill()
            until(lambda: kinds().count("ptp lost") == 2, 10, "the loss of ptp4l itself")
            watch.stop()
            assert notes[-1][0] == "ptp" and not notes[-1][2]["announcing"]
        finally:
            for process in running:
                process.kill()
                process.wait()
