"""`rigpose trigger flash` and `test`: the board that pulses the cameras."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rigpose.commands.options import Measured


def flash(
    port: str | None = None,
    /,
    *,
    old_bootloader: Annotated[bool, Parameter(help="A Nano made before 2018.")] = False,
) -> Measured:
    """Put the trigger's firmware on an Arduino Uno or Nano.

    It is compiled here (Debian: make, gcc-avr, avr-libc, avrdude) and written through the board's own
    bootloader; whatever was on the board is gone. Pins and wiring are in firmware_configs/trigger/README.md
    (`rigpose configs copy` lays it out).

    Parameters
    ----------
    port:
        The board's serial port, for instance /dev/ttyACM0; may be left out where there is only one.
    old_bootloader:
        The board's bootloader speaks at 57600 baud.

    Returns
    -------
    dict
        `port`, `version` and `epoch` as the board answers then, `size_bytes` of the program.

    Raises
    ------
    RigposeError
        If a tool is missing, or the board does not take it.

    Examples
    --------
    rigpose trigger flash /dev/ttyACM0
    """
    from dataclasses import asdict

    from acquisition.trigger.firmware import flash as flash_board
    from acquisition.trigger.firmware import only_port
    from rigpose.commands.configs import HARDWARE_FILES

    done = flash_board(port or only_port(), HARDWARE_FILES / "trigger", old_bootloader=old_bootloader)
    print(f"{done.port}: firmware version {done.version}, {done.size_bytes} bytes, boot {done.epoch}")
    return asdict(done)


def test(
    port: str | None = None,
    /,
    *,
    seconds: Annotated[float, Parameter(help="How long to pulse.")] = 5.0,
    rate: Annotated[float, Parameter(help="Pulses a second.")] = 100.0,
) -> Measured:
    """Let a trigger board pulse for some seconds, and judge what it says.

    Its outputs do pulse: take the cameras off, or let them be triggered. With pin D9 wired to D8 it sees
    its own pulses.

    Parameters
    ----------
    port:
        The board's serial port, for instance /dev/ttyACM0; may be left out where there is only one.
    seconds:
        How long to pulse.
    rate:
        Pulses a second.

    Returns
    -------
    dict
        `version`, `epoch`; `period_cycles` as read back and `period_ns` by this machine's clock,
        `drift_ppm`; `pulses`, `reported`, `missing`; `jitter_ms` of the reports; `edges`, `bridged`;
        `faults`, none of them where all is well.

    Raises
    ------
    RigposeError
        No such port, another device, other firmware, or a rate that it cannot give.

    Examples
    --------
    rigpose trigger test /dev/ttyACM0 --rate 200
    """
    from acquisition.errors import RigposeError
    from acquisition.trigger.check import check_trigger
    from acquisition.trigger.firmware import only_port
    from rigpose.commands.outcome import CommandFailed

    for name, value, most in (("--seconds", seconds, 3600.0), ("--rate", rate, 5000.0)):
        if not 0 < value <= most:
            raise RigposeError(
                name,
                expected=f"a number above 0, {most:g} at most",
                found=f"{value:g}",
                remedy="Give another",
            )
    found = check_trigger(port or only_port(), rate, seconds)
    jitter = ", ".join(f"{name} {value:.2f}" for name, value in found.jitter_ms.items())
    print(f"{found.port}: firmware version {found.version}, boot {found.epoch}")
    print(
        f"period {found.period_cycles} cycles, {found.period_ns / 1e6:.4f} ms by this machine's clock"
        f" (its own runs {found.drift_ppm:+.0f} ppm)"
    )
    print(f"{found.pulses} pulses; {found.reported} reported, {found.missing} missing; late by {jitter} ms")
    bridged = f", {found.bridged} of them its own pulses" if found.bridged else ""
    print(f"{found.edges} edges on D8{bridged}")
    print("PASS" if not found.faults else "FAIL: " + "; ".join(found.faults))
    if found.faults:
        raise CommandFailed(f"{found.port}: {found.faults[0]}", found.as_dict())
    return found.as_dict()
