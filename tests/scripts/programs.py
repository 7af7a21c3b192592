# SPDX-License-Identifier: Apache-2.0
"""Runs one test program: its own process group, a time limit, its output kept and its result lines shown live."""

import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field

from case_results import LINE, judge


@dataclass
class Program:
    """One thing to run. `kind` is how its output is read (case_results.py); `timeout` is in seconds."""
    suite: str
    name: str
    kind: str
    command: list
    timeout: int = 120
    env: dict = field(default_factory=dict)
    cwd: str = None
    parallel: bool = False
    live: bool = False

    @property
    def key(self):
        return f"{self.suite}/{self.name}"


def stop_group(process):
    """Ends a program and everything it started in its group: asked first, so that it can clean up, then made to."""
    for number, wait in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            return
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            continue
        if number == signal.SIGTERM:  # the leader is gone; whoever ignored it goes too
            time.sleep(0.1)
    return


RUNNING = set()


def run_program(program, log_path, show):
    """Runs it to its Outcome. The whole output is kept in log_path; `show(line)` gets result lines of live programs."""
    start = time.monotonic()
    os.makedirs(os.path.dirname(log_path), exist_ok=True)
    lines = []
    timed_out = False
    with open(log_path, "w", encoding="utf-8", errors="replace") as log:
        try:
            process = subprocess.Popen(program.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, cwd=program.cwd, env={**os.environ, **program.env},
                                       start_new_session=True)
        except OSError as problem:
            out = judge("exit", program.key, 127, str(problem))
            out.seconds = 0.0
            return out
        RUNNING.add(process)

        def drain():
            for raw in process.stdout:
                line = raw.decode("utf-8", "replace").rstrip("\r\n")
                log.write(line + "\n")
                lines.append(line)
                if program.live and LINE.match(line):
                    show(line)

        reader = threading.Thread(target=drain, daemon=True)
        reader.start()
        try:
            process.wait(program.timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
        except BaseException:
            stop_group(process)
            raise
        finally:
            if timed_out:
                stop_group(process)
        # Somebody the program started may still hold the pipe: it gets a moment, then it is ended as well.
        reader.join(5)
        if reader.is_alive():
            lines.append("left a process behind that holds its output")
            stop_group_of_leader(process)
            reader.join(5)
        RUNNING.discard(process)
    code = process.returncode if process.returncode is not None else -signal.SIGKILL
    out = judge(program.kind, program.key, code, "\n".join(lines) + "\n", program.timeout if timed_out else None)
    out.seconds = time.monotonic() - start
    return out


def stop_group_of_leader(process):
    """As stop_group, when the leader itself has ended already."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def stop_all():
    for process in list(RUNNING):
        stop_group(process)
