#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ktstr-run freeze` and `thaw` from outside. The machine is this host's: its kernel need not get far. Usage: control_test.py
PROGRAM. Prints ok / not ok lines."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

program = sys.argv[1]
failed = 0
folder = tempfile.mkdtemp(prefix="ktstr-control-")
environment = {**os.environ, "XDG_RUNTIME_DIR": folder, "XDG_STATE_HOME": folder + "/state"}


def run(*arguments, limit=60):
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=limit, env=environment)


def check(name, good, detail=""):
    global failed
    failed += not good
    print(f"{'ok' if good else 'not ok'} control.{name}" + ("" if good else f" {' '.join(str(detail).split())}"), flush=True)


def refused(name, *arguments):
    done = run(*arguments)
    check(name, done.returncode == 2 and "remedy: " in done.stderr and done.stdout == "", done)


refused("no_name", "freeze")
refused("no_such_machine", "thaw", "nobody")
refused("bad_name", "freeze", "../x")
refused("bad_tag", "freeze", "a", "x/y")
refused("bad_option", "run", "--name", "a b")

if not os.access("/dev/kvm", os.R_OK | os.W_OK):
    print("skip control.machine no /dev/kvm here")
elif run("kernel", "path", "debian:7.3").returncode != 0:
    print("skip control.machine debian:7.3 is not in the store")
else:
    refused("unknown_watch", "run", "--machine", "host", "--kernel", "debian:7.3", "--watch", "no_such_thing", "--quiet")
    guest = subprocess.Popen([program, "run", "--machine", "host", "--kernel", "debian:7.3", "--name", "alpha", "--timeout", "60s",
                              "--snapshot-dir", folder + "/snaps", "--snapshot-format", "ktstr"], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, env=environment)
    try:
        done = None
        for _ in range(100):
            time.sleep(0.2)
            done = run("freeze", "alpha", "mine")
            if done.returncode != 2:
                break
        file = done.stdout.strip()
        check("freeze", done.returncode == 0 and file == folder + "/snaps/mine.ktsnap", done)
        mode = os.stat(folder + "/ktstr/machines/alpha.sock").st_mode & 0o777
        check("owner_only", mode == 0o600 and os.stat(folder + "/ktstr/machines").st_mode & 0o777 == 0o700, oct(mode))
        done = run("freeze", "alpha")
        check("frozen_already", done.returncode == 1 and "frozen" in done.stderr, done)
        time.sleep(0.3)
        done = run("thaw", "alpha")
        check("thaw", done.returncode == 0 and float(done.stdout) >= 0.3, done)
        done = run("thaw", "alpha")
        check("thaw_once", done.returncode == 1 and "not frozen" in done.stderr, done)
        for _ in range(100):
            if os.path.exists(file):
                break
            time.sleep(0.1)
        done = run("snapshot", "show", file)
        check("picture", done.returncode == 0 and "host call, name mine" in done.stdout, done)
    finally:
        guest.terminate()
        check("interrupted", guest.wait(30) == 143, guest.returncode)
    check("no_socket_left", not os.path.exists(folder + "/ktstr/machines/alpha.sock"))
shutil.rmtree(folder, ignore_errors=True)
sys.exit(1 if failed else 0)
