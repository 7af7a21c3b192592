#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs that are cut short leave nothing; two runs at once share everything; a user without rights. One line a case."""

import fcntl
import os
import pty
import shutil
import subprocess
import sys
import termios
import time

import _labkit as kit
from _labkit import expect

NO_USER = 62044
# The early serial console shows the tables long before the agent is there to send the log.
EARLY = ["--cmdline", "earlyprintk=ttyS0 loglevel=7"]


class Own:
    """Folders and an environment of one run's own, to be looked into afterwards."""

    def __init__(self, lane, name):
        self.world = lane.world
        self.top = lane.world.folder(name)
        self.mark = f"KTSTR_TEST_RUN={os.getpid()}.{name}"
        self.env = dict(lane.world.env)
        for variable, part in (("XDG_RUNTIME_DIR", "runtime"), ("TMPDIR", "tmp"), ("XDG_STATE_HOME", "state")):
            self.env[variable] = os.path.join(self.top, part)
            os.makedirs(self.env[variable], exist_ok=True)
        os.chmod(self.env["XDG_RUNTIME_DIR"], 0o700)
        key, value = self.mark.split("=")
        self.env[key] = value
        self.places = ["/tmp", "/var/tmp", "/dev/shm", os.path.join(self.cache(), "lab")]
        self.before = self.listing()

    @staticmethod
    def cache():
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ["HOME"], ".cache")
        return os.path.join(base, "ktstr")

    def listing(self):
        """Names like ours in the shared places. Others may come and go there: what a living process works on is not counted."""
        found = set()
        for place in self.places:
            for name in os.listdir(place) if os.path.isdir(place) else []:
                owner = name.split("-")[1] if name.startswith("draft-") and "-" in name[6:] else ""
                if owner.isdigit() and os.path.exists(f"/proc/{owner}") and not self.marked(owner):
                    continue
                if name.startswith(("draft-", ".ktstr", "ktstr-run", "ktstr-lab.")):
                    found.add(os.path.join(place, name))
        return found

    def expect_nothing_left(self):
        """No process, no file, no socket. Processes get a moment to be gone."""
        for _ in range(100):
            alive = [p for p in self.world.processes() if self.marked(p)]
            if not alive:
                break
            time.sleep(0.1)
        expect(not alive, f"processes are left: {[self.world.processes().get(p) for p in alive]}")
        for part in ("runtime", "tmp"):
            files = [os.path.join(f, n) for f, _, names in os.walk(os.path.join(self.top, part)) for n in names]
            expect(not files, f"files are left: {files}")
        left = [n for n in self.listing() - self.before if not n.startswith(self.world.scratch)]
        expect(not left, f"files are left: {left}")

    def marked(self, pid):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                return self.mark.encode() in file.read().split(b"\0")
        except OSError:
            return False


def wall_limit(lane):
    """The limit passes in mid-boot: 124, said so, and nothing is left."""
    own = Own(lane, "limit")
    boot = lane.boot("--kernel", "debian:7.3", "--topology", "single", "--timeout", "15s", *EARLY, own_lab=True, env=own.env)
    boot.expect_code(124, "time_limit").expect_ours()
    expect("15.0 s" in boot.reason(), f"the reason does not name the limit: {boot.reason()}")
    own.expect_nothing_left()
    return f"{boot.reason()}; {boot.figure()}"


def on_terminal(slave):
    """Makes `slave` the terminal of a session of its own, so that Ctrl-C comes from it as it does to a person's programs."""
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


def ctrl_c(lane):
    """A person presses Ctrl-C while the kernel boots."""
    own = Own(lane, "ctrl_c")
    folder = lane.results()
    command = lane.command(["--kernel", "debian:7.3", "--topology", "single", "--console", *EARLY], folder, own_lab=True)
    begun = time.monotonic()
    master, slave = pty.openpty()
    process = subprocess.Popen(command, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=own.env,
                               cwd=lane.world.scratch, preexec_fn=lambda: on_terminal(slave))
    os.close(slave)
    lane.world.count()
    err = b""
    try:
        while b"KTSTR" not in err:
            part = os.read(process.stderr.fileno(), 65536)
            expect(part, f"the kernel never showed our tables: {kit.tail(err)}")
            err += part
            expect(time.monotonic() - begun < 240, f"the kernel is too late: {kit.tail(err)}")
        os.write(master, b"\x03")
        asked = time.monotonic()
        out, more = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        raise kit.Failure("it went on for 60 s after Ctrl-C") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        os.close(master)
    boot = kit.Boot(process.returncode, out, err + more, folder, time.monotonic() - begun)
    expect(boot.code == 130, f"exit code {boot.code}, wanted 130: {kit.tail(boot.err)}")
    own.expect_nothing_left()
    boot.expect_ours().expect_code(130, "interrupted")
    return f"ended {time.monotonic() - asked:.1f} s after Ctrl-C; {boot.figure()}"


def two_at_once(lane):
    """Two runs share kernel store, initramfs cache and one lab, and neither spoils the other."""
    name = lane.in_lab(2)
    words = [["--kernel", "debian:7.3", "--topology", "single", "--duration", "4s", "--seed", "1"],
             ["--kernel", "debian:6.12", "--topology", "single", "--duration", "4s", "--seed", "2"]]
    folders = [lane.results(), lane.results()]
    begun = time.monotonic()
    both = [subprocess.Popen([lane.world.run, "run", "--machine", "lab", "--lab", name, "--results", folder, "--timeout", "5m", *w],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=lane.world.env,
                             cwd=lane.world.scratch) for w, folder in zip(words, folders)]
    lane.world.count(2)
    figures = []
    for process, folder, w in zip(both, folders, words):
        try:
            out, err = process.communicate(timeout=420)
        except subprocess.TimeoutExpired:
            for each in both:
                each.kill()
            raise kit.Failure("two runs at once did not end within 420 s") from None
        boot = kit.Boot(process.returncode, out, err, folder, time.monotonic() - begun)
        boot.expect_code(0, "pass").expect_ours()
        expect(boot.report["seed"] == int(w[-1]), "the other run's result came out")
        figures.append(boot.figure())
    return "; ".join(figures)


def without_rights(lane):
    """A user who owns nothing but a home: the demo, in a lab of that user's own, from the kernel store to the verdict."""
    world = lane.world
    home = world.folder("nobody")
    cache = os.path.join(home, ".cache", "ktstr")
    store = os.path.join(Own.cache(), "kernels")
    [key] = [k for k in os.listdir(store) if k.startswith("debian-7.3")]
    os.makedirs(os.path.join(cache, "kernels"))
    subprocess.run(["cp", "-r", "--preserve=timestamps", os.path.join(store, key), os.path.join(cache, "kernels")], check=True)
    # The packages of the lab need a mirror; what is made from them is made by that user.
    os.makedirs(os.path.join(cache, "lab"))
    for entry in os.listdir(os.path.join(Own.cache(), "lab")):
        if entry.startswith(("base-", "image-")):
            subprocess.run(["cp", "-a", os.path.join(Own.cache(), "lab", entry), os.path.join(cache, "lab")], check=True)
    os.makedirs(os.path.join(home, "bin"))
    for program in (world.run, world.lab):
        shutil.copy(program, os.path.join(home, "bin"))
    for part in ("run", "tmp"):
        os.makedirs(os.path.join(home, part))
    user, prefix = os.getuid(), []
    if user == 0:
        user = NO_USER
        prefix = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", "--no-new-privs"]
        subprocess.run(["chown", "-R", f"{user}:{user}", home], check=True)
    os.chmod(os.path.join(home, "run"), 0o700)
    env = {k: v for k, v in world.env.items() if not k.startswith("XDG_")}
    env |= {"HOME": home, "USER": "nobody", "TMPDIR": home + "/tmp", "XDG_RUNTIME_DIR": home + "/run"}
    begun = time.monotonic()
    try:
        done = subprocess.run([*prefix, home + "/bin/ktstr-run", "run", "--kernel", "debian:7.3", "--topology", "single",
                               "--duration", "2s"], capture_output=True, timeout=600, stdin=subprocess.DEVNULL, env=env, cwd=home)
    except subprocess.TimeoutExpired as late:
        raise kit.Failure(f"did not end within 600 s: {kit.tail(late.stderr or b'')}") from None
    world.count()
    runs = os.path.join(home, ".local/state/ktstr/runs")
    folders = os.listdir(runs) if os.path.isdir(runs) else []
    expect(len(folders) == 1, f"results in {folders} (exit code {done.returncode}): {kit.tail(done.stderr)}")
    boot = kit.Boot(done.returncode, done.stdout, done.stderr, os.path.join(runs, folders[0]), time.monotonic() - begun)
    boot.expect_code(0, "pass").expect_ours()
    expect(boot.report["fingerprint"]["host"]["machine"] == "lab", "it did not run in the lab")
    left = [p for p in places_of(user, world) if not p.startswith(home)] if prefix else []
    expect(not left, f"files outside of its home: {left}")
    return boot.figure()


def places_of(user, world):
    """Files of this user in the places that everybody may write to."""
    found = []
    for place in ("/tmp", "/var/tmp", "/dev/shm"):
        for folder, folders, names in os.walk(place):
            for name in names + folders:
                path = os.path.join(folder, name)
                try:
                    if os.lstat(path).st_uid == user:
                        found.append(path)
                except OSError:
                    pass
            folders[:] = [f for f in folders if os.path.join(folder, f) != os.path.join(world.scratch, "nobody")]
    return [p for p in found if p != os.path.join(world.scratch, "nobody")]


CASES = [("unprivileged.demo", without_rights), ("two_at_once", two_at_once),
         ("interrupt.ctrl_c", ctrl_c), ("limit.mid_boot", wall_limit)]

if __name__ == "__main__":
    sys.exit(kit.main("endings", lambda world: CASES))
