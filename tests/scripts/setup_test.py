#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/quickstart and tools/setup/packages.sh, on a copy whose build tools and package tools are stand-ins."""

import os
import shutil
import subprocess
import sys
import tempfile

import tree

RUN = """#!/bin/sh
echo "ktstr-run $*" >> "$CALLS"
case "$1 $2" in
"kernel path") test -f "$STATE/kernel" ;;
"kernel fetch") test "${FETCH_FAILS:-0}" = 0 && touch "$STATE/kernel" || exit 77 ;;
"doctor --json") printf '{\n  "verdict": "native",\n  "machine_auto": "%s",\n}\n' "$KVM" ;;
run*) exit ${VERDICT:-0} ;;
esac
"""
STUBS = {
    # Every package is installed but those named in $STATE/missing.
    "dpkg-query": '#!/bin/sh\nfor last; do :; done\ngrep -qx "$last" "$STATE/missing" 2>/dev/null || printf installed\n',
    "apt-get": '#!/bin/sh\necho "apt-get $*" >> "$CALLS"\ncase "$*" in *" install "*) '
               'test "${APT_FAILS:-0}" = 0 && rm -f "$STATE/missing" || exit 100 ;; esac\n',
    "id": '#!/bin/sh\necho "${FAKE_UID:-0}"\n',
    "sudo": "#!/bin/sh\nexit 1\n",
    "meson": '#!/bin/sh\necho "meson $*" >> "$CALLS"\nmkdir -p "$2" && touch "$2/build.ninja"\n',
    "ninja": '#!/bin/sh\necho "ninja $*" >> "$CALLS"\ntest "${NINJA_FAILS:-0}" = 0 || { echo broken source; exit 1; }\n'
             'mkdir -p "$2/tools/ktstr-run" "$2/tools/ktstr-lab"\ncp "$STATE/run" "$2/tools/ktstr-run/ktstr-run"\n'
             'cp "$STATE/lab" "$2/tools/ktstr-lab/ktstr-lab"\n',
}


class Place:
    """A copy of the set-up commands with stand-ins first in PATH."""

    def __init__(self, folder):
        self.root, self.state = os.path.join(folder, "tree"), os.path.join(folder, "state")
        self.bin, self.calls_path = os.path.join(folder, "bin"), os.path.join(folder, "calls")
        os.makedirs(self.bin)
        os.makedirs(self.state)
        shutil.copytree(os.path.join(tree.root_of(), "tools/setup"), os.path.join(self.root, "tools/setup"))
        shutil.copy(os.path.join(tree.root_of(), "tools/quickstart"), os.path.join(self.root, "tools/quickstart"))
        for name, text in STUBS.items():
            self.script(os.path.join(self.bin, name), text)
        self.script(os.path.join(self.state, "run"), RUN)
        self.script(os.path.join(self.state, "lab"), '#!/bin/sh\necho "ktstr-lab $*" >> "$CALLS"\n')

    @staticmethod
    def script(path, text):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o755)

    def missing(self, *names):
        with open(os.path.join(self.state, "missing"), "w", encoding="utf-8") as f:
            f.write("".join(n + "\n" for n in names))

    def quickstart(self, *arguments, **env):
        if os.path.exists(self.calls_path):
            os.remove(self.calls_path)
        done = subprocess.run([os.path.join(self.root, "tools/quickstart"), *arguments], capture_output=True, text=True,
                              timeout=60, env={**os.environ, "PATH": self.bin + ":" + os.environ["PATH"], "STATE": self.state,
                                               "CALLS": self.calls_path, "KVM": "lab", **env})
        calls = open(self.calls_path).read().splitlines() if os.path.exists(self.calls_path) else []
        return done.returncode, done.stdout + done.stderr, calls


def fresh_machine(p):
    p.missing("g++", "meson")
    code, text, calls = p.quickstart("steady", "--seed", "7")
    assert code == 0, (code, text)
    assert any(c.startswith("apt-get") and c.endswith("install g++ meson") for c in calls), calls
    assert any(c.startswith("meson setup") and "--buildtype=release" in c for c in calls), calls
    assert "ktstr-run kernel fetch debian:7.3" in calls, calls
    assert "ktstr-lab prepare" in calls, calls
    assert calls[-1] == "ktstr-run run --kernel debian:7.3 steady --seed 7", calls


def second_run(p):
    p.quickstart()
    code, _, calls = p.quickstart()
    assert code == 0
    assert not any(c.startswith(("apt-get", "meson", "ktstr-run kernel fetch")) for c in calls), calls


def native_machine(p):
    code, _, calls = p.quickstart(KVM="host")
    assert code == 0 and not any(c.startswith("ktstr-lab") for c in calls), calls


def verdict_is_the_exit_code(p):
    code, text, _ = p.quickstart(VERDICT="3")
    assert code == 3 and "exit code 3" in text, (code, text)


def no_root_no_sudo(p):
    p.missing("g++")
    code, text, calls = p.quickstart(FAKE_UID="1000")
    assert code == 77 and "sudo apt-get install -y --no-install-recommends g++" in text, (code, text)
    assert not calls, calls


def no_root_nothing_missing(p):
    code, _, calls = p.quickstart(FAKE_UID="1000")
    assert code == 0 and not any(c.startswith("apt-get") for c in calls), calls


def install_fails(p):
    p.missing("g++")
    code, text, _ = p.quickstart(APT_FAILS="1")
    assert code == 77 and "could not install: g++" in text, (code, text)


def build_fails(p):
    code, text, _ = p.quickstart(NINJA_FAILS="1")
    assert code == 99 and "broken source" in text and "building failed" in text, (code, text)


def fetch_fails(p):
    code, text, calls = p.quickstart(FETCH_FAILS="1")
    assert code == 77 and "no kernel, no verdict" in text, (code, text)
    assert not any(c.startswith("ktstr-run run") for c in calls), calls


CASES = [fresh_machine, second_run, native_machine, verdict_is_the_exit_code, no_root_no_sudo, no_root_nothing_missing,
         install_fails, build_fails, fetch_fails]


def main():
    failed = 0
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            try:
                case(Place(folder))
                print(f"ok quickstart.{case.__name__}")
            except (AssertionError, OSError, subprocess.SubprocessError) as problem:
                failed += 1
                print(f"not ok quickstart.{case.__name__} {' '.join(str(problem).split())[:400]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
