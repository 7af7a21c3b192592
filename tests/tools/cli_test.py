#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the built ktstr-run: everything that is decided before a machine starts. Prints ok / not ok lines."""
import json
import os
import subprocess
import sys
import tempfile

program = sys.argv[1]
failed = 0


def run(*arguments, env=None, **more):
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, env=env, **more)


def check(name, good, detail=""):
    global failed
    if not good:
        failed += 1
    print(f"{'ok' if good else 'not ok'} {name}" + (f": {detail}" if not good else ""), flush=True)


def refused(name, arguments, code, *texts, env=None):
    """The program ends with `code`, says each of `texts` on stderr, nothing on stdout, and what/where/remedy."""
    r = run(*arguments, env=env)
    wrong = [t for t in texts if t not in r.stderr]
    check(name, r.returncode == code and not wrong and r.stdout == "" and r.stderr.startswith("error: "),
          f"code {r.returncode}, missing {wrong}, stderr {r.stderr!r}, stdout {r.stdout!r}")


with tempfile.TemporaryDirectory(prefix="ktstr-cli-") as scratch:
    home = os.path.join(scratch, "home")
    os.mkdir(home)
    env = {"HOME": home, "PATH": os.environ["PATH"], "LANG": "C"}

    r = run("version", env=env)
    check("version is one line", r.returncode == 0 and r.stdout.startswith("ktstr-run ") and r.stdout.count("\n") == 1, r.stdout)
    r = run("version", "--json", env=env)
    check("version --json", r.returncode == 0 and json.loads(r.stdout)["schema"] == "ktstr.version/1.0", r.stdout)
    r = run("help", env=env)
    check("help lists the commands", r.returncode == 0 and all(w in r.stdout for w in ("run", "shell", "doctor", "topology")), r.stdout)
    for command in ("run", "shell", "exec", "doctor", "kernel", "topology", "presets", "snapshot", "version", "help"):
        r = run(command, "--help", env=env)
        check(f"{command} --help", r.returncode == 0 and r.stdout.startswith(f"usage: ktstr-run {command}"), r.stderr)

    refused("no command", [], 2, "no command given", "remedy:", env=env)
    refused("unknown command", ["rn"], 2, "unknown command 'rn'", "did you mean 'run'?", env=env)
    refused("unknown option", ["run", "--topolgy", "x"], 2, "--topolgy", "did you mean 'topology'?", env=env)
    refused("missing argument", ["run", "--memory"], 2, "needs an argument", env=env)
    refused("topology that does not divide", ["run", "--topology", "2n3l1c1t"], 2, "does not divide", "multiple", env=env)
    refused("topology of zero", ["run", "--topology", "1n1l0c1t"], 2, "zero cores", env=env)
    refused("too many CPUs", ["run", "--topology", "1n15l17c1t"], 2, "255 CPUs", "252", env=env)
    refused("unknown preset", ["run", "--topology", "tiny-1lc"], 2, "tiny-1llc", env=env)
    refused("memory without unit", ["run", "--memory", "512"], 2, "not a size", "512M", env=env)
    refused("too little memory", ["run", "--memory", "1M"], 2, "out of range", env=env)
    refused("unknown machine", ["run", "--machine", "hots"], 2, "did you mean 'host'?", env=env)
    refused("unknown scenario", ["run", "stedy"], 2, "unknown scenario 'stedy'", "did you mean 'steady'?", env=env)
    refused("two scenarios", ["run", "steady", "steady"], 2, "one scenario", env=env)
    refused("bad duration", ["run", "--duration", "5"], 2, "not a time", "2s", env=env)
    refused("no workers", ["run", "--workers", "0"], 2, "out of range", env=env)
    refused("bad seed", ["run", "--seed", "x"], 2, "not a whole number", env=env)
    refused("unknown fault", ["run", "--fault", "pnic"], 2, "pnic", "did you mean 'panic'?", env=env)
    refused("json into a missing folder", ["run", "--json", "/nowhere/x.json"], 2, "/nowhere", "option --json", env=env)
    refused("dmesg onto a folder", ["run", "--dmesg", scratch], 2, "is a folder", "option --dmesg", env=env)
    refused("missing kernel", ["run", "--kernel", "/nowhere/bzImage"], 2, "/nowhere/bzImage", "remedy:", env=env)
    refused("exec without a command", ["exec"], 2, "no command to run", "exec -- CMD", env=env)
    refused("exec of what is not there", ["exec", "--", "/nowhere/prog"], 2, "/nowhere/prog", env=env)
    refused("shell with words", ["shell", "x"], 2, "x", env=env)
    r = run("topology", "show", "2n4l2c2t", env=env)
    check("topology show draws ASCII in the C locale", r.returncode == 0 and "+ node 1 -" in r.stdout and r.stdout.isascii()
          and "\033" not in r.stdout, r.stdout)
    r = run("topology", "show", "numa4-ring", env=env | {"LC_ALL": "C.UTF-8", "CLICOLOR_FORCE": "1"})
    check("topology show draws boxes in UTF-8, in colour where asked", "┌" in r.stdout and "\033[1m" in r.stdout, r.stdout)
    r = run("topology", "show", "numa4-ring", "--json", env=env)
    shape = json.loads(r.stdout)
    check("topology show --json", shape["cpus"] == 8 and len(shape["cpu_list"]) == 8 and shape["distances"][0] == [10, 20, 30, 20]
          and shape["node_list"][3]["cpus"] == [6, 7], r.stdout)
    r = run("presets", env=env)
    names = [line.split()[0] for line in r.stdout.splitlines()[1:]]
    r = run("presets", "--json", env=env)
    check("presets lists the same in both forms", names and names == [p["name"] for p in json.loads(r.stdout)["presets"]], r.stdout)
    check("presets are drawn", all(run("topology", "show", name, env=env).returncode == 0 for name in names))
    refused("topology without a verb", ["topology"], 2, "what to do", "topology show", env=env)
    refused("topology show of a typo", ["topology", "show", "numa4-rnig"], 2, "did you mean 'numa4-ring'?", env=env)
    refused("topology show of two", ["topology", "show", "pair", "pair"], 2, "takes one", env=env)
    refused("presets with a word", ["presets", "pair"], 2, "topology show pair", env=env)
    check("nothing left in HOME after refusals", not any(files for _, _, files in os.walk(home)), str(list(os.walk(home))))

    with open("/dev/full", "w") as full:
        r = subprocess.run([program, "help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, env=env)
    check("a full disk under stdout is an error", r.returncode == 99 and "standard output" in r.stderr, f"{r.returncode} {r.stderr}")

sys.exit(1 if failed else 0)
