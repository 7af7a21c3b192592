#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What must not compile does not, and says why. Usage: ROOT FOLDER -- COMPILER FLAG...

Each FOLDER/*.cpp must compile as it is, and with -DKTSTR_EXPECT_FAIL it must fail and print the text of each of its
`// EXPECT: ` lines. A file without such a line is itself an error: any failure would satisfy it.
"""

import concurrent.futures
import glob
import os
import re
import subprocess
import sys

import tree


def compiles(command, path, extra):
    done = subprocess.run(command + extra + ["-fsyntax-only", path], capture_output=True, text=True, timeout=120)
    return done.returncode == 0, done.stdout + done.stderr


def judge(command, path):
    expected = re.findall(r"^\s*// EXPECT: (.+?)\s*$", open(path, encoding="utf-8").read(), re.M)
    if not expected:
        return "has no `// EXPECT: ` line"
    good, output = compiles(command, path, [])
    if not good:
        return "the good half does not compile: " + next((l for l in output.splitlines() if "error" in l), output[:200])
    bad, output = compiles(command, path, ["-DKTSTR_EXPECT_FAIL"])
    if bad:
        return "the bad half compiles"
    flat = " ".join(output.split())
    for text in expected:
        if " ".join(text.split()) not in flat:
            return f"the bad half fails without saying: {text}"
    return None


def main():
    split = sys.argv.index("--")
    root, folder = tree.root_of(sys.argv[1]), sys.argv[2]
    command = sys.argv[split + 1:] + ["-I", os.path.join(root, "include"), "-fmessage-length=0"]
    paths = sorted(glob.glob(os.path.join(folder, "*.cpp")))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = list(pool.map(lambda p: judge(command, p), paths))
    for path, answer in zip(paths, answers):
        name = "compile_fail." + os.path.splitext(os.path.basename(path))[0]
        print(f"not ok {name} {answer}" if answer else f"ok {name}")
    if not paths:
        print(f"not ok compile_fail no file in {folder}")
    return 1 if not paths or any(answers) else 0


if __name__ == "__main__":
    sys.exit(main())
