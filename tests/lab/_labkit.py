# SPDX-License-Identifier: Apache-2.0
"""What the lab scripts share: boots through ktstr-run in named labs, the proof that a boot was ours, cases and lanes.

A lane is a thread with one lab of its own; it runs one case after the other and takes a fresh lab every few guests, because
memory that a lab uses for the second time is slow. A case is a function that gets its lane; it raises Failure or returns the
figure to print. `KTSTR_LAB_LANES` says how many labs run at once (one for each CPU, at most four), `KTSTR_LAB_ONLY` names the
cases to run (with * and ?), as the arguments do.
"""

import fnmatch
import hashlib
import json
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# The kernels of the support matrix: two in every CI run, one of the next in rotation, and one of the last. Of those the archive
# has lost the modules, and with them virtio_mmio: they boot with virtio behind PCI.
ALWAYS = ["debian:7.3", "debian:6.12"]
ROTATED = ["debian:6.1", "debian:6.16", "debian:7.2"]
OVER_PCI = ["debian:6.19", "debian:7.0", "debian:7.1"]
GUESTS_PER_LAB = 6
OUR_ACPI = re.compile(r"ACPI: RSDP 0x[0-9A-Fa-f]+ [0-9A-Fa-f]+ \(v\d\d KTSTR")
OUR_RUNS = re.compile(r"(\d+) KVM_RUN calls")


class Failure(Exception):
    """A case did not come out as it should; the text says how."""


def expect(condition, why):
    if not condition:
        raise Failure(why)


def tail(data, size=300):
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    return " / ".join(line for line in text[-size:].splitlines() if line.strip())


class Boot:
    """One finished ktstr-run: its code, what it printed, and what lies in its results folder."""

    def __init__(self, code, out, err, folder, seconds):
        self.code, self.out, self.err, self.folder, self.seconds = code, out, err, folder, seconds
        self.report = {}
        path = os.path.join(folder, "result.json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.report = json.load(file)

    def text(self, name):
        try:
            with open(os.path.join(self.folder, name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def log(self):
        """The guest kernel's log, from wherever it came out."""
        return self.text("dmesg.txt") + self.text("console.txt")

    def status(self):
        return self.report.get("status", "no report")

    def reason(self):
        return self.report.get("reason", "") or tail(self.err)

    def runs(self):
        """KVM_RUN calls of our own program: from the report, or from what `exec` says at its end."""
        count = self.report.get("machine", {}).get("kvm_run_count")
        if count is None:
            said = OUR_RUNS.findall((self.err + self.out).decode("utf-8", "replace"))
            count = int(said[-1]) if said else 0
        return count

    def check(self, name):
        for row in self.report.get("checks", []):
            if row["name"] == name:
                return row
        raise Failure(f"no check '{name}' in the report: {self.status()}, {self.reason()}")

    def expect_ours(self):
        """Without these two it may have been anybody's machine that booted a kernel."""
        expect(self.runs() > 0, f"no KVM_RUN of ours is shown (exit code {self.code}: {self.reason()})")
        expect(OUR_ACPI.search(self.log()), f"our ACPI tables are not in the guest's log (exit code {self.code}: {self.reason()})")
        return self

    def expect_code(self, code, status=None):
        expect(self.code == code and status in (None, self.status()),
               f"exit code {self.code}, status {self.status()}, wanted {code} {status or ''}: {self.reason()}")
        return self

    def figure(self):
        agent = self.report.get("boot", {}).get("to_agent_ns", 0) / 1e9
        return f"{self.seconds:.1f} s" + (f", agent after {agent:.1f} s" if agent else "") + f", {self.runs()} KVM_RUN"


class World:
    """Programs, scratch folders and the environment that everything runs in."""

    def __init__(self, theme):
        self.theme = theme
        self.seed = int(os.environ.get("KTSTR_SEED") or int(time.time()) % 1000000)
        self.run = self.program("KTSTR_RUN", "ktstr-run")
        self.lab = self.program("KTSTR_LAB", "ktstr-lab")
        self.scratch = tempfile.mkdtemp(prefix="ktstr-lab-boots-")
        os.chmod(self.scratch, 0o755)
        self.runtime = self.folder("runtime")
        os.chmod(self.runtime, 0o700)
        self.env = {**os.environ, "XDG_RUNTIME_DIR": self.runtime, "XDG_STATE_HOME": self.folder("state"),
                    "TMPDIR": self.folder("tmp"), "LC_ALL": "C", "KTSTR_TEST_OF": str(os.getpid())}
        self.kept = os.path.join(os.environ.get("KTSTR_BUILD") or tempfile.gettempdir(), "logs", "lab")
        self.boots = 0
        self.lock = threading.Lock()

    @staticmethod
    def program(variable, name):
        path = os.environ.get(variable) or os.path.join(ROOT, "build-release/tools", name, name)
        if not os.access(path, os.X_OK):
            print(f"{name} is not built: {path}")
            sys.exit(1)
        return path

    def rng(self, what):
        """Random choices of one purpose: the same in every run with this seed, whatever else is chosen."""
        return random.Random(f"{self.seed}/{what}")

    def state(self, name):
        """A file that outlives this script, for these very programs: what a long series has so far."""
        digest = hashlib.sha256()
        for program in (self.run, self.lab):
            with open(program, "rb") as file:
                digest.update(file.read())
        folder = os.path.join(self.kept, "state-" + digest.hexdigest()[:12])
        os.makedirs(folder, exist_ok=True)
        return os.path.join(folder, name)

    def folder(self, name):
        path = os.path.join(self.scratch, name)
        os.makedirs(path, exist_ok=True)
        return path

    def count(self, boots=1):
        with self.lock:
            self.boots += boots

    def processes(self):
        """Every process that was started by this script, by id: they carry our mark in their environment."""
        mark, found = f"KTSTR_TEST_OF={os.getpid()}".encode(), {}
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != os.getpid():
                try:
                    with open(f"/proc/{entry}/environ", "rb") as file:
                        marked = mark in file.read().split(b"\0")
                    with open(f"/proc/{entry}/cmdline", "rb") as file:
                        words = file.read()
                except OSError:
                    continue
                if marked and words:  # a zombie has no words
                    found[int(entry)] = words.replace(b"\0", b" ").decode("utf-8", "replace")[:120]
        return found

    def kernel(self, name):
        """What the store says of a kernel; it is fetched when it is not there."""
        for turn in (0, 1):
            done = subprocess.run([self.run, "kernel", "list", "--json"], capture_output=True, timeout=120, check=True)
            rows = json.loads(done.stdout)
            for row in rows.get("kernels", rows) if isinstance(rows, dict) else rows:
                if name in row["names"] or row["source"] == name:
                    return row
            if turn == 0:
                done = subprocess.run([self.run, "kernel", "fetch", name], capture_output=True, timeout=600, check=False)
                expect(done.returncode == 0, f"kernel fetch {name}: {done.returncode}: {tail(done.stderr)}")
        raise Failure(f"{name} was fetched and is not in the store")

    def end(self):
        shutil.rmtree(self.scratch, ignore_errors=True)


class Lane:
    """One worker with a lab of its own. `boot` and `execute` run in it; `host=True` leaves the lab to ktstr-run."""

    def __init__(self, world, number):
        self.world, self.number = world, number
        self.name, self.guests, self.started = None, 0, 0
        self.case, self.runs = "none", 0

    def call(self, *command, timeout, **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        if "input" in more:
            del more["stdin"]
        try:
            return subprocess.run(command, capture_output=True, timeout=timeout, env=more.pop("env", self.world.env),
                                  cwd=self.world.scratch, **more)
        except subprocess.TimeoutExpired as late:
            raise Failure(f"did not end within {timeout} s: {tail(late.stderr or b'')}") from None

    def fresh_lab(self):
        self.stop()
        name = f"{self.world.theme}-{os.getpid()}-{self.number}-{self.started}"
        self.started += 1
        done = self.call(self.world.lab, "start", "--name", name, timeout=600)
        expect(done.returncode == 0, f"ktstr-lab start: {done.returncode}: {tail(done.stderr)}")
        self.name, self.guests = name, 0

    def in_lab(self, guests=1):
        """The lab for so many more guests; a fresh one when this one has had its share."""
        if self.name is None or self.guests + guests > max(GUESTS_PER_LAB, guests):
            self.fresh_lab()
        self.guests += guests
        return self.name

    def stop(self):
        if self.name is not None:
            self.call(self.world.lab, "stop", self.name, timeout=60)
        self.name = None

    def results(self):
        self.runs += 1
        return self.world.folder(f"results/{self.case}/{self.runs}")

    def command(self, words, folder, own_lab=False):
        """A `ktstr-run run` with everything these tests give every run."""
        place = ["--machine", "lab"] + ([] if own_lab else ["--lab", self.in_lab()])
        limit = [] if "--timeout" in words else ["--timeout", "5m"]
        return [self.world.run, "run", *place, "--results", folder, *limit, *words]

    def boot(self, *words, own_lab=False, retry=True, timeout=420, **more):
        """Runs a scenario; a run that says it cannot be judged is run once more."""
        for turn in (0, 1):
            folder = self.results()
            command = self.command(words, folder, own_lab)
            begun = time.monotonic()
            done = self.call(*command, timeout=timeout, **more)
            self.world.count()
            boot = Boot(done.returncode, done.stdout, done.stderr, folder, time.monotonic() - begun)
            with open(os.path.join(folder, "command.txt"), "wb") as file:
                file.write(" ".join(command).encode() + b"\n\n" + done.stdout + b"\n\n" + done.stderr)
            if not (retry and turn == 0 and boot.code == 3):
                return boot
            print(f"# {self.case}: inconclusive, once more: {boot.reason()}", flush=True)
        return boot

    def execute(self, words, program, timeout=420, mode="exec", **more):
        """Runs one program in a guest; the kernel's log goes to the results folder."""
        folder = self.results()
        command = [self.world.run, mode, "--machine", "lab", "--lab", self.in_lab(), "--timeout", "5m",
                   "--dmesg", os.path.join(folder, "dmesg.txt"), *words] + (["--", *program] if program else [])
        begun = time.monotonic()
        done = self.call(*command, timeout=timeout, **more)
        self.world.count()
        with open(os.path.join(folder, "command.txt"), "wb") as file:
            file.write(" ".join(command).encode() + b"\n\n" + done.stdout[:65536] + b"\n\n" + done.stderr)
        return Boot(done.returncode, done.stdout, done.stderr, folder, time.monotonic() - begun)


def once(world, name, case):
    """A case of a long list: what it came to is kept while the programs stay the same, so that an interrupted list goes on."""
    def kept(lane):
        path = world.state(name + ".passed")
        if os.path.exists(path) and not os.environ.get("KTSTR_LAB_AGAIN"):
            with open(path, encoding="utf-8") as file:
                return file.read() + " (earlier)"
        figure = case(lane)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(figure)
        os.replace(path + ".new", path)
        return figure
    return kept


def lanes_wanted(cases):
    asked = os.environ.get("KTSTR_LAB_LANES")
    return max(1, min(int(asked) if asked else (os.cpu_count() or 1), 4, len(cases)))


def run_case(lane, name, case):
    lane.case = name
    begun = time.monotonic()
    try:
        figure = case(lane)
        print(f"ok {name} # {figure or f'{time.monotonic() - begun:.1f} s'}", flush=True)
        return True
    except Failure as failed:
        why = str(failed)
    except Exception as broken:  # noqa: BLE001: a bug of the script is a failure of its case, not of those after it
        import traceback
        traceback.print_exc()
        why = f"{type(broken).__name__}: {broken}"
    kept = os.path.join(lane.world.kept, name)
    shutil.rmtree(kept, ignore_errors=True)
    source = os.path.join(lane.world.scratch, "results", name)
    if os.path.isdir(source):
        shutil.copytree(source, kept, ignore=shutil.ignore_patterns("memory.img"))
        why += f" [{kept}]"
    print(f"not ok {name} {' '.join(why.split())}", flush=True)
    # Whatever the case left in the lab must not spoil the next one.
    try:
        lane.stop()
    except Failure:
        lane.name = None
    return False


def main(theme, cases):
    """Runs what `cases(world)` lists ((name, function) pairs, longest first), one line each. The exit code for sys.exit."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    only = sys.argv[1:] or (os.environ.get("KTSTR_LAB_ONLY") or "").split()
    world = World(theme)
    cases = [(name, case) for name, case in cases(world) if not only or any(fnmatch.fnmatch(name, o) for o in only)]
    print(f"# seed {world.seed}", flush=True)
    todo, good = queue.SimpleQueue(), []
    for each in cases:
        todo.put(each)
    lanes = [Lane(world, number) for number in range(lanes_wanted(cases))]

    def work(lane):
        while True:
            try:
                name, case = todo.get_nowait()
            except queue.Empty:
                return
            good.append(run_case(lane, name, case))

    threads = [threading.Thread(target=work, args=(lane,), daemon=True) for lane in lanes]
    begun = time.monotonic()
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(1)
    finally:
        for lane in lanes:
            try:
                lane.stop()
            except Failure as failed:
                print(f"# {failed}")
        # Nobody of ours survives this script, however it ends.
        for pid in world.processes():
            try:
                os.kill(pid, signal.SIGTERM)
            except OSError:
                pass
        world.end()
    print(f"# {len(good)} cases in {time.monotonic() - begun:.0f} s on {len(lanes)} labs at once", flush=True)
    print(f"# boots {world.boots}", flush=True)
    return 0 if good and all(good) else 1
