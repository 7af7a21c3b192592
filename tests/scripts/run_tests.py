#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The test runner behind tools/run-tests: builds, runs a tier, counts cases, and closes with one line.

What is run is in test_plan.py, how output is read in case_results.py, how a program is run in programs.py.
"""

import argparse
import concurrent.futures
import fcntl
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict

import measured
import test_plan
import tree
from case_results import Outcome
from programs import run_program, stop_all

MAX_LAB_BOOTS = 60


class Context:
    """Where things are, and what test programs are told through their environment."""

    def __init__(self, options):
        self.root = tree.root_of()
        self.base = os.environ.get("KTSTR_BUILD_BASE") or self.root
        self.scripts = os.path.join(self.root, "tests", "scripts")
        self.seed = options.seed
        self.tier = "full" if options.full else "ci"
        self.temp = tempfile.mkdtemp(prefix="ktstr-tests-")
        os.chmod(self.temp, 0o755)

    def build(self, folder):
        return os.path.join(self.base, folder)

    def scratch(self, name):
        path = os.path.join(self.temp, name)
        os.makedirs(path, exist_ok=True)
        return path

    def env(self):
        """The protocol between this runner and test programs (docs/testing.md)."""
        return {"KTSTR_ROOT": self.root, "KTSTR_SEED": str(self.seed), "KTSTR_TIER": self.tier,
                "KTSTR_BUILD": self.build("build-test"), "KTSTR_RELEASE": self.build("build-release"),
                "KTSTR_RUN": self.build("build-release/tools/ktstr-run/ktstr-run"),
                "KTSTR_LAB": self.build("build-release/tools/ktstr-lab/ktstr-lab")}


class Results:
    """Outcomes by program, kept in a file so that an interrupted full run can go on."""

    def __init__(self, path, identity, resume):
        self.path, self.identity = path, identity
        self.outcomes, self.kept = {}, 0
        if resume and os.path.exists(path):
            try:
                saved = json.load(open(path, encoding="utf-8"))
            except ValueError:
                saved = {}
            if saved.get("identity") == identity:
                # Failures are run again; what passed is not.
                self.outcomes = {k: Outcome(**v) for k, v in saved["outcomes"].items() if not v["failed"]}
                self.kept = len(self.outcomes)

    def add(self, key, outcome):
        self.outcomes[key] = outcome
        if self.path:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            with open(self.path + ".new", "w", encoding="utf-8") as f:
                json.dump({"identity": self.identity, "outcomes": {k: asdict(v) for k, v in self.outcomes.items()}}, f)
            os.replace(self.path + ".new", self.path)

    def total(self, field):
        return sum(getattr(o, field) for o in self.outcomes.values())


def identity_of(root):
    """What was tested: the commit and everything that differs from it."""
    def git(*arguments):
        return subprocess.run(["git", "-c", "safe.directory=*", "-C", root, *arguments], capture_output=True, timeout=60).stdout
    digest = hashlib.sha256()
    for part in (git("rev-parse", "HEAD"), git("diff", "HEAD")):
        digest.update(part)
    for name in git("ls-files", "-o", "--exclude-standard").decode().splitlines():
        if not name.startswith("docs/measured/"):
            path = os.path.join(root, name)
            digest.update(name.encode() + (open(path, "rb").read() if os.path.isfile(path) else b""))
    return digest.hexdigest()[:16]


class Runner:
    def __init__(self, context, options, results):
        self.context, self.options, self.results = context, options, results
        self.lock = threading.Lock()
        self.times = {}
        self.start = time.monotonic()

    def say(self, text):
        with self.lock:
            print(text, flush=True)

    def wanted(self, program):
        if not self.options.only:
            return True
        # The builds of the full tier's flavours take minutes each; those of the CI tier's two take none the second time.
        flavour = program.name.split(".")[0].removeprefix("build-")
        if program.suite == "build" and flavour in test_plan.FLAVOURS:
            return any(o.startswith(flavour) for o in self.options.only)
        return program.suite == "build" or any(o in (program.suite, program.key) for o in self.options.only)

    def run_one(self, program):
        if program.key in self.results.outcomes and program.suite != "build":
            return
        log = os.path.join(self.context.build("build-test"), "logs", program.key.replace("/", ".") + ".log")
        outcome = run_program(program, log, lambda line: self.say(f"  {program.key}: {line}"))
        with self.lock:
            self.results.add(program.key, outcome)
            self.times[program.suite] = self.times.get(program.suite, 0) + outcome.seconds
        counts = [f"{outcome.passed} passed"] if outcome.passed else []
        counts += [f"{outcome.failed} FAILED"] if outcome.failed else []
        counts += [f"{outcome.skipped} skipped"] if outcome.skipped else []
        head = f"{'FAIL' if outcome.failed else 'ok'}  {program.key}: {', '.join(counts)} ({outcome.seconds:.1f} s)"
        tail = [f"      log: {log}"] if outcome.failed else []
        self.say("\n".join([head] + ["    " + d for d in outcome.details] + tail))

    def run_stage(self, stage):
        programs = [p for p in stage.programs() if self.wanted(p)]
        if not programs:
            return
        self.say(f"-- {stage.name}: {stage.about} [{time.monotonic() - self.start:.0f} s]")
        together = [p for p in programs if p.parallel]
        pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1)
        try:
            for done in [pool.submit(self.run_one, p) for p in together]:
                done.result()
        except BaseException:
            # What waits is dropped and what runs is ended, so that an interruption is quick.
            pool.shutdown(wait=False, cancel_futures=True)
            stop_all()
            raise
        pool.shutdown()
        for program in programs:
            if not program.parallel:
                self.run_one(program)

    def check_boots(self):
        boots = self.results.total("boots")
        if boots and self.context.tier == "ci" and not self.options.only:
            outcome = Outcome(passed=1) if boots <= MAX_LAB_BOOTS else Outcome()
            if boots > MAX_LAB_BOOTS:
                outcome.fail(f"{boots} lab boots; the CI tier has {MAX_LAB_BOOTS}")
            self.results.add("lab/boots", outcome)
        return boots


def parse():
    p = argparse.ArgumentParser(prog="run-tests", description="Builds and tests ktstr; the CI tier without --full.")
    p.add_argument("--full", action="store_true", help="also everything outside the CI tier; writes docs/measured/")
    p.add_argument("--resume", action="store_true", help="with --full: go on where an interrupted run of this tree stopped")
    p.add_argument("--only", action="append", metavar="SUITE", help="only this suite or SUITE/PROGRAM (and the build)")
    p.add_argument("--seed", type=int, help="what rotation and mutation depend on; chosen and printed without it")
    p.add_argument("--list", action="store_true", help="print what would run, from what is built")
    p.add_argument("--no-install", action="store_true", help="install no package")
    options = p.parse_args()
    if options.seed is None:
        options.seed = int(time.time()) % 1000000
    return options


def list_plan(context, options):
    for stage in test_plan.stages(context):
        if stage.full and not options.full:
            continue
        print(f"{stage.name}: {stage.about}")
        for program in stage.programs():
            print(f"  {program.key}")


def main():
    options = parse()
    context = Context(options)
    if options.list:
        list_plan(context, options)
        shutil.rmtree(context.temp, ignore_errors=True)
        return 0

    os.makedirs(context.base, exist_ok=True)
    lock = open(os.path.join(context.base, ".run-tests.lock"), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("not ok setup.lock another run-tests uses this checkout")
        print("0 passed, 1 failed, 0 skipped")
        return 1
    state = context.build("build-test/full-state.json") if options.full else None
    identity = identity_of(context.root)
    results = Results(state, identity, options.resume)
    runner = Runner(context, options, results)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    interrupted = None
    print(f"seed {options.seed}, tier {context.tier}, tree {identity}, as {test_plan.invoking_user()}", flush=True)
    if results.kept:
        print(f"going on: {results.kept} programs passed before the interruption")
    try:
        for stage in test_plan.stages(context):
            if stage.full and not options.full:
                continue
            runner.run_stage(stage)
        runner.check_boots()
    except (KeyboardInterrupt, SystemExit) as problem:
        interrupted = "interrupted" if isinstance(problem, KeyboardInterrupt) else f"ended by {problem}"
    except Exception as problem:  # noqa: BLE001: whatever it is, the closing line must be true
        interrupted = f"the runner itself failed: {type(problem).__name__}: {problem}"
    stop_all()
    if interrupted:
        results.outcomes["runner"] = Outcome()
        results.outcomes["runner"].fail(interrupted)
    elif options.only and not any(o in (k.split("/")[0], k) for o in options.only for k in results.outcomes):
        results.outcomes["runner"] = Outcome()
        results.outcomes["runner"].fail(f"nothing is called {' or '.join(options.only)}; see --list")

    seconds = time.monotonic() - runner.start
    if options.full and not interrupted:
        print("measured: " + measured.write(context, options, results, seconds))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"-- {seconds:.0f} s in all ({used.ru_utime + used.ru_stime:.0f} s of CPU time); "
          + ", ".join(f"{suite} {t:.0f} s" for suite, t in sorted(runner.times.items(), key=lambda kv: -kv[1])))
    boots = results.total("boots")
    if boots:
        print(f"lab boots: {boots}")
    for key, outcome in results.outcomes.items():
        for line in outcome.details:
            if line.startswith(("FAILED", "skipped")):
                print(f"{line}" if key in line else f"{line} [{key}]")
    shutil.rmtree(context.temp, ignore_errors=True)
    print(f"{results.total('passed')} passed, {results.total('failed')} failed, {results.total('skipped')} skipped", flush=True)
    return 1 if results.total("failed") or not results.total("passed") else 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
