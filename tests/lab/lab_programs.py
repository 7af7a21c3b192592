#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs and shells in a guest: exit codes, separate streams, input, a terminal. One line a case."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import _labkit as kit
from _labkit import expect

SMALL = ["--kernel", "debian:6.12", "--topology", "single"]


def streams(lane):
    """The exit code is the program's, and what it writes comes out where it should."""
    boot = lane.execute(SMALL, ["sh", "-c", "echo to-out; echo to-err >&2; exit 7"])
    boot.expect_code(7).expect_ours()
    expect(boot.out == b"to-out\n", f"stdout: {boot.out!r}")
    expect(b"to-err" in boot.err and b"to-out" not in boot.err, f"stderr: {kit.tail(boot.err)}")
    return boot.figure()


def standard_input(lane):
    """What we are given, the program gets: every byte of it, and the end."""
    data = lane.world.rng("stdin").randbytes(150_000)
    boot = lane.execute(SMALL, ["cat"], input=data)
    boot.expect_code(0).expect_ours()
    expect(boot.out == data, f"{len(boot.out)} bytes of {len(data)} came back, equal up to "
           f"{len(os.path.commonprefix([boot.out, data]))}")
    return boot.figure()


def killed(lane):
    """A program that a signal ends gives 128 + its number; one that does not exist in the guest's view gives 127."""
    boot = lane.execute(SMALL, ["sh", "-c", "kill -9 $$"])
    boot.expect_code(137).expect_ours()
    return boot.figure()


def shell_from_pipe(lane):
    """A script typed into the shell: its output comes back, and its end ends the machine."""
    script = b"echo sum $((40 + 2))\nuname -r\nexit 3\n"
    boot = lane.execute(SMALL, None, mode="shell", input=script)
    expect(b"sum 42" in boot.out, f"no answer of the shell (exit code {boot.code}): {kit.tail(boot.out + boot.err)}")
    expect(re.search(rb"6\.12\.\d+", boot.out), f"no answer of uname: {kit.tail(boot.out)}")
    boot.expect_code(3).expect_ours()
    return boot.figure()


def shell_on_terminal(lane):
    """A person's shell: a terminal of our size, commands typed one after the other, Ctrl-a x as the emergency exit."""
    world, folder = lane.world, lane.results()
    dmesg = os.path.join(folder, "dmesg.txt")
    command = [world.run, "shell", "--machine", "lab", "--lab", lane.in_lab(), "--timeout", "5m", "--dmesg", dmesg, *SMALL]
    master, slave = pty.openpty()
    import fcntl
    import struct
    import termios
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 97, 0, 0))
    begun = time.monotonic()
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=subprocess.PIPE, env=world.env, cwd=world.scratch,
                               start_new_session=True)
    os.close(slave)
    world.count()
    seen = b""

    def until(text, seconds):
        nonlocal seen
        end = time.monotonic() + seconds
        while not re.search(text, seen):
            expect(time.monotonic() < end and process.poll() is None, f"waited for {text!r}, saw {kit.tail(seen)}")
            if select.select([master], [], [], 0.5)[0]:
                try:
                    seen += os.read(master, 65536)
                except OSError:
                    break
        at, seen = seen, b""
        return at

    try:
        until(rb"[#$] ", 240)
        os.write(master, b"stty size; echo mark$((1+1))\r")
        answer = until(rb"mark2", 60)
        expect(b"33 97" in answer, f"the terminal's size did not arrive: {kit.tail(answer)}")
        os.write(master, b"\x01x")
        end = time.monotonic() + 60
        while process.poll() is None or select.select([master], [], [], 0)[0]:
            expect(time.monotonic() < end, "Ctrl-a x did not end it")
            if select.select([master], [], [], 0.5)[0]:
                try:
                    seen += os.read(master, 65536)
                except OSError:  # the other side has closed its last descriptor
                    process.wait(60)
                    break
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        error = process.stderr.read()
        process.stderr.close()
        os.close(master)
    boot = kit.Boot(process.returncode, seen, error, folder, time.monotonic() - begun)
    boot.expect_ours()
    return boot.figure()


CASES = [("exec.stdin", standard_input), ("shell.terminal", shell_on_terminal), ("shell.pipe", shell_from_pipe),
         ("exec.streams", streams), ("exec.killed", killed)]

if __name__ == "__main__":
    sys.exit(kit.main("programs", lambda world: CASES))
