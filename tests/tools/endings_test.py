#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the built ktstr-run against this machine's /dev/kvm with a real kernel: time limit, signals at any moment, a shared
cache, a damaged cache entry, a full disk, too little memory, no permission. Where KVM is emulated the kernel never gets to its
agent, which is what a time limit and a signal need; where it is native the runs are as short as their limit.
Exit code 77 (skip) without /dev/kvm or without a kernel in the store."""
import glob
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

program = os.path.abspath(sys.argv[1])
cache_home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
store = os.path.join(cache_home, "ktstr", "kernels")
entries = sorted(glob.glob(os.path.join(store, "*", "manifest")))
if not os.access("/dev/kvm", os.R_OK | os.W_OK):
    print("skip: /dev/kvm cannot be opened")
    sys.exit(77)
if not entries:
    print(f"skip: no kernel in {store}; get one with 'ktstr-run kernel fetch debian:7.3'")
    sys.exit(77)
kernel = os.path.basename(os.path.dirname(entries[-1]))
failed = 0


def check(name, good, detail=""):
    global failed
    failed += 0 if good else 1
    print(f"{'ok' if good else 'not ok'} {name}" + ("" if good else f": {detail}"), flush=True)


def home_in(folder):
    cache = os.path.join(folder, "cache", "ktstr")
    os.makedirs(cache)
    os.symlink(store, os.path.join(cache, "kernels"))
    return {"HOME": folder, "PATH": os.environ["PATH"], "XDG_CACHE_HOME": os.path.join(folder, "cache"),
            "XDG_STATE_HOME": os.path.join(folder, "state")}


def command(*arguments):
    return [program, "run", "--machine", "host", "--kernel", kernel, "--seed", "1", *arguments]


def run(env, *arguments, **more):
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120, env=env, **more)


def leftovers(folder):
    return [os.path.join(d, f) for d, _, files in os.walk(folder) for f in files if ".tmp-" in f]


with tempfile.TemporaryDirectory(prefix="ktstr-endings-") as scratch:
    env = home_in(scratch)
    answer = os.path.join(scratch, "answer.json")

    r = run(env, "--timeout", "2s", "--json", answer, "--dmesg", os.path.join(scratch, "dmesg"))
    check("a time limit is 124", r.returncode == 124 and r.stdout.startswith("TIME LIMIT"), f"{r.returncode} {r.stdout} {r.stderr}")
    with open(answer) as file:
        document = json.load(file)
    check("the JSON agrees", document["exit_code"] == 124 and document["status"] == "time_limit" and document["seed"] == 1, str(document)[:300])
    runs = os.listdir(os.path.join(scratch, "state", "ktstr", "runs"))
    names = sorted(os.listdir(os.path.join(scratch, "state", "ktstr", "runs", runs[0])))
    check("the results folder has its files", len(runs) == 1 and names == ["console.txt", "dmesg.txt", "result.json"], f"{runs} {names}")
    check("plain progress without escapes", "\033" not in r.stderr and "seed 1" in r.stderr, r.stderr)

    for number in (signal.SIGINT, signal.SIGTERM):
        for delay in (0.02, 0.1, 0.4, 1.2):
            p = subprocess.Popen(command("--timeout", "60s"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
            time.sleep(delay)
            p.send_signal(number)
            began = time.monotonic()
            out, err = p.communicate(timeout=60)
            # Before the handler is there, the signal itself ends the program; a shell shows the same code.
            code = 128 - p.returncode if p.returncode < 0 else p.returncode
            check(f"signal {int(number)} after {delay} s is {128 + number}", code == 128 + number, f"{code} {out} {err}")
            check(f"signal {int(number)} after {delay} s ends it soon", time.monotonic() - began < 15)
    check("signals leave no temporary file", not leftovers(scratch), str(leftovers(scratch)))

    fresh = os.path.join(scratch, "fresh")
    fresh_env = home_in(fresh)
    both = [subprocess.Popen(command("--timeout", "2s"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=fresh_env)
            for _ in range(2)]
    outputs = [p.communicate(timeout=120) for p in both]
    check("two runs at once share a fresh cache", [p.returncode for p in both] == [124, 124], str(outputs))
    entries = glob.glob(os.path.join(fresh, "cache", "ktstr", "initramfs", "*.initramfs"))
    check("and make one entry of it", len(entries) == 1 and not leftovers(fresh), str(entries))
    check("and have a results folder each", len(os.listdir(os.path.join(fresh, "state", "ktstr", "runs"))) == 2)

    with open(entries[0], "r+b") as file:
        file.seek(5000)
        byte = file.read(1)
        file.seek(5000)
        file.write(bytes([byte[0] ^ 1]))
    r = run(fresh_env, "--timeout", "2s")
    check("a damaged cache entry is detected and rebuilt", r.returncode == 124 and "damaged" in r.stderr and "rebuilt" in r.stderr, r.stderr)
    r = run(fresh_env, "--timeout", "2s")
    check("and is sound afterwards", "damaged" not in r.stderr, r.stderr)

    r = run(env, "--memory", "64M")
    check("too little memory is 2, with the breakdown", r.returncode == 2 and "kernel " in r.stderr and " = " in r.stderr and "remedy" in r.stderr,
          f"{r.returncode} {r.stderr}")
    large = os.path.join(scratch, "large.cpio")
    with open(large, "wb") as file:
        file.write(b"070701")
        file.truncate(300 << 20)
    r = run(env, "--memory", "256M", "--initramfs", large)
    check("an initramfs larger than the memory is 2", r.returncode == 2 and "initramfs" in r.stderr, f"{r.returncode} {r.stderr}")
    os.unlink(large)

    with open(answer, "w") as file:
        file.write("old")
    r = run(env, "--timeout", "1s", "--json", answer, restore_signals=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512)))
    with open(answer) as file:
        content = file.read()
    check("a result that cannot be written is 99 and the old file stays", r.returncode == 99 and content == "old" and "error:" in r.stderr,
          f"{r.returncode} {content!r} {r.stderr}")
    check("and no temporary file is left", not leftovers(scratch), str(leftovers(scratch)))

    os.unlink(answer)
    r = subprocess.run([program, "run", "--machine", "lab", "--lab", "no-such-lab", "--kernel", kernel, "--json", answer],
                       capture_output=True, text=True, timeout=60, env=env)
    check("a lab that does not run is 2", r.returncode == 2 and "no-such-lab" in r.stderr, f"{r.returncode} {r.stderr}")
    with open(answer) as file:
        document = json.load(file)
    check("and leaves a JSON that says so", document["exit_code"] == 2 and document["where"] == "ktstr-lab", str(document))

    bare = {"PATH": env["PATH"]}
    r = subprocess.run(command(), capture_output=True, text=True, timeout=60, env=bare)
    check("without HOME the variable to set is named", r.returncode == 99 and "set HOME" in r.stderr, f"{r.returncode} {r.stderr}")

    if os.geteuid() == 0:
        mode = os.stat("/dev/kvm").st_mode & 0o006
        open_copy = os.path.join(scratch, "ktstr-run")
        shutil.copy(program, open_copy)
        os.chmod(scratch, 0o755)
        users_home = os.path.join(scratch, "user")
        os.mkdir(users_home)
        os.chown(users_home, 65534, 65534)
        r = subprocess.run([open_copy, "run", "--machine", "host"], capture_output=True, text=True, timeout=60, user=65534, group=65534,
                           extra_groups=[], cwd="/", env={"HOME": users_home, "PATH": env["PATH"]})
        if mode == 0:
            check("no permission on /dev/kvm is 77 with a remedy", r.returncode == 77 and "no permission on /dev/kvm" in r.stderr
                  and "kvm" in r.stderr.split("remedy:")[-1], f"{r.returncode} {r.stderr}")
        r = subprocess.run([open_copy, "doctor", "--json"], capture_output=True, text=True, timeout=60, user=65534, group=65534,
                           extra_groups=[], cwd="/", env={"HOME": users_home, "PATH": env["PATH"]})
        check("doctor works for a user with nothing", r.stdout.startswith("{"), f"{r.returncode} {r.stdout} {r.stderr}")

sys.exit(1 if failed else 0)
