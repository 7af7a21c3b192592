#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The runner as a whole, on a small tree whose build tools are stand-ins: counting, time limits, interruption, resuming."""

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import tree

MESON = """#!/bin/sh
echo "meson $*" >> "$CALLS"
case "$1" in
setup) for a; do case $a in */build-*) mkdir -p "$a" && touch "$a/build.ninja" ;; esac; done ;;
introspect) case "$2" in --tests) cat "$STATE/tests.json" ;; *) echo '[]' ;; esac ;;
esac
"""
NINJA = '#!/bin/sh\ntest -z "$NINJA_FAILS" || { echo "a.cpp:1: error: broken"; exit 1; }\n'
SUMMARY = "[doctest] test cases: 2 | 2 passed | 0 failed | 0 skipped"


class Small:
    """A tree with the runner in it and tests that are shell scripts."""

    def __init__(self, folder):
        self.folder, self.root = folder, os.path.join(folder, "tree")
        self.bin, self.state = os.path.join(folder, "bin"), os.path.join(folder, "state")
        self.calls = os.path.join(folder, "calls")
        for path in (self.bin, self.state):
            os.makedirs(path)
        shutil.copytree(os.path.join(tree.root_of(), "tests/scripts"), os.path.join(self.root, "tests/scripts"),
                        ignore=shutil.ignore_patterns("__pycache__"))
        # What a tier runs besides meson's tests is another matter.
        plan = os.path.join(self.root, "tests/scripts/test_plan.py")
        with open(plan, "a", encoding="utf-8") as f:
            f.write("\n_all = stages\n\n\ndef stages(context):\n"
                    "    return [s for s in _all(context) if s.name in ('build', 'build-tests', 'meson', 'full', 'lab')]\n")
        self.script("meson", MESON)
        self.script("ninja", NINJA)
        self.tests = []

    def script(self, name, text):
        path = os.path.join(self.bin, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o755)
        return path

    def test(self, name, suites, body, timeout=10):
        path = self.script(name, "#!/bin/sh\n" + body + "\n")
        self.tests.append({"name": name.split("-", 1)[-1], "suite": ["ktstr:" + s for s in suites], "cmd": [path], "env": {},
                           "workdir": None, "timeout": timeout, "is_parallel": True})
        with open(os.path.join(self.state, "tests.json"), "w", encoding="utf-8") as f:
            json.dump(self.tests, f)

    def lab(self, name, body):
        path = os.path.join(self.root, "tests/lab", name + ".py")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(body)

    def start(self, *arguments, **env):
        return subprocess.Popen([sys.executable, os.path.join(self.root, "tests/scripts/run_tests.py"), *arguments],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env={**os.environ, "PATH": self.bin + ":" + os.environ["PATH"], "CALLS": self.calls,
                                     "STATE": self.state, "KTSTR_BUILD_BASE": os.path.join(self.folder, "base"), **env})

    def run(self, *arguments, **env):
        process = self.start(*arguments, **env)
        try:
            text, _ = process.communicate(timeout=60)
        finally:
            process.kill()
        return process.returncode, text, text.rstrip("\n").splitlines()[-1]


def closes(last, passed, failed, skipped):
    assert last == f"{passed} passed, {failed} failed, {skipped} skipped", last


def all_pass(s):
    s.test("unit-a", ["unit"], f"echo '{SUMMARY}'")
    s.test("lines", ["gates", "lines"], "echo 'ok one'; echo 'skip two no network'")
    code, text, last = s.run("--seed", "7")
    closes(last, 2 + 1 + 4, 0, 1)  # the build is four programs
    assert code == 0 and "seed 7" in text and "skipped two: no network" in text, text


def failure_and_crash(s):
    s.test("unit-a", ["unit"], "echo '[doctest] test cases: 2 | 1 passed | 1 failed | 0 skipped'; exit 1")
    s.test("unit-b", ["unit"], f"echo '{SUMMARY}'; kill -SEGV $$")
    s.test("unit-c", ["unit"], f"echo '{SUMMARY}'")
    code, text, last = s.run()
    closes(last, 1 + 2 + 2 + 4, 2, 0)
    assert code == 1 and "signal 11" in text, text


def broken_build(s):
    s.test("unit-a", ["unit"], f"echo '{SUMMARY}'")
    code, text, last = s.run(NINJA_FAILS="1")
    closes(last, 2 + 2, 2, 0)
    assert code == 1 and "a.cpp:1: error: broken" in text, text


def hang(s):
    s.test("unit-a", ["unit"], "sleep 60 & echo $! > $STATE/child; sleep 60", timeout=0.4)
    s.test("unit-b", ["unit"], f"echo '{SUMMARY}'")
    start = time.monotonic()
    code, text, last = s.run()
    closes(last, 2 + 4, 1, 0)
    assert code == 1 and "did not end within" in text and time.monotonic() - start < 30, text
    child = open(os.path.join(s.state, "child")).read().strip()
    assert not os.path.exists(f"/proc/{child}") or " Z " in open(f"/proc/{child}/stat").read(), "its child lives on"


def only(s):
    s.test("unit-a", ["unit"], f"echo '{SUMMARY}'")
    s.test("lines", ["gates", "lines"], "echo 'ok one'")
    closes(s.run("--only", "unit")[2], 2 + 4, 0, 0)
    closes(s.run("--only", "gates/lines")[2], 1 + 4, 0, 0)
    code, text, last = s.run("--only", "moon")
    closes(last, 4, 1, 0)
    assert code == 1 and "nothing is called moon" in text, text


def boots_are_limited(s):
    s.test("unit-a", ["unit"], f"echo '{SUMMARY}'")
    s.lab("many", "print('ok boot # 3 s')\nprint('# boots 61')\n")
    code, text, last = s.run()
    closes(last, 2 + 4 + 1, 1, 0)
    assert code == 1 and "61 lab boots" in text, text


def interrupted_and_resumed(s):
    s.test("unit-a", ["unit"], f"echo run >> $STATE/a; echo '{SUMMARY}'")
    s.test("slow", ["full", "lines"], "test -f $STATE/go && { echo 'ok slow # 5 ms'; exit; }; touch $STATE/waiting; sleep 60", 60)
    process = s.start("--full")
    for _ in range(300):
        if os.path.exists(os.path.join(s.state, "waiting")):
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and re.search(r"\d+ passed, [1-9]\d* failed, 0 skipped$", text.strip()), text
    assert not glob.glob(os.path.join(s.root, "docs/measured/*")), "an interrupted run was written down as measured"
    open(os.path.join(s.state, "go"), "w").close()
    code, text, last = s.run("--full", "--resume")
    closes(last, 2 + 1 + 4, 0, 0)
    assert code == 0 and "going on" in text, text
    assert open(os.path.join(s.state, "a")).read() == "run\n", "what had passed was run again"
    pages = glob.glob(os.path.join(s.root, "docs/measured/*.md"))
    assert len(pages) == 1 and "| slow | 5 ms |" in open(pages[0]).read(), pages


def two_at_once(s):
    s.test("slow", ["gates", "lines"], "touch $STATE/waiting; sleep 5; echo 'ok slow'")
    first = s.start()
    for _ in range(100):
        if os.path.exists(os.path.join(s.state, "waiting")):
            break
        time.sleep(0.1)
    code, text, last = s.run()
    closes(last, 0, 1, 0)
    assert code == 1 and "another run-tests" in text, text
    first.communicate(timeout=60)


CASES = [all_pass, failure_and_crash, broken_build, hang, only, boots_are_limited, interrupted_and_resumed, two_at_once]


def main():
    failed = 0
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            try:
                case(Small(folder))
                print(f"ok run_tests.{case.__name__}", flush=True)
            except (AssertionError, OSError, IndexError, subprocess.SubprocessError) as problem:
                failed += 1
                print(f"not ok run_tests.{case.__name__} {' '.join(str(problem).split())[-600:]}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
