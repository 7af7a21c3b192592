# SPDX-License-Identifier: Apache-2.0
"""What is run in which tier: stages, each with what to build and which programs follow."""

import glob
import json
import os
import pwd
import shutil
import subprocess
import sys

from programs import Program

# Programs with these names are doctest binaries. Meson tests in suite "lines" print result lines; others are one case.
DOCTEST_NAMES = ("unit-", "kvm-")
# Meson suites that belong to the full tier only.
FULL_SUITES = {"full"}
# Builds of the full tier beside the release and the debug one.
FLAVOURS = ("clang", "asan", "tsan", "ndebug")
# A user id without a name, a group or a home, another one for each run: nobody else's files can be its own, not even
# those of a run beside this one or of one that was killed.
NO_USER = 62100 + os.getpid() % 3000


class Stage:
    """`programs()` is asked when the stage's turn comes, because it may depend on what earlier stages built."""

    def __init__(self, name, about, programs, full=False):
        self.name, self.about, self.programs, self.full = name, about, programs, full


def build_programs(context, folder, options, compiler=None, targets=()):
    """Configures (once) and builds `folder`; both are counted, so that a build that breaks is a failure."""
    path = context.build(folder)
    env = {"CXX": compiler} if compiler else {}
    if not compiler and shutil.which("ccache"):
        env = {"CXX": "ccache g++"}
    out = []
    if not os.path.exists(os.path.join(path, "build.ninja")):
        out.append(Program("build", folder + ".configure", "exit", ["meson", "setup", path, context.root] + options, 300, env))
    else:
        # A folder that got a meson.build since then is seen only by a new configuration.
        out.append(Program("build", folder + ".configure", "exit", ["meson", "setup", "--reconfigure", path, context.root], 300))
    out.append(Program("build", folder + ".compile", "exit", ["ninja", "-C", path, "-k", "0"] + list(targets), 1500))
    return out


def introspect(path, what):
    """What meson knows of the build in `path`: a list, or None when there is no such build."""
    try:
        done = subprocess.run(["meson", "introspect", what, path], capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def compile_tests(context):
    """Builds what the tests of build-test run, and not the programs once more that build-release has already."""
    path = context.build("build-test")
    words = {w for t in introspect(path, "--tests") or [] if not is_tool_script(t) for w in t["cmd"]}
    below = {os.path.relpath(w, path) for w in words if w.startswith("/")}
    targets = sorted(t for t in below if not t.startswith("..") and not t.endswith("/stamps"))
    return [Program("build", "build-test.compile", "exit", ["ninja", "-C", path, "-k", "0", *targets], 1500)]


def is_tool_script(test):
    """The stage "tool" runs these on the release program and counts their cases."""
    return any("/tests/tools/" in w and w.endswith(".py") for w in test["cmd"])


def meson_programs(context, folder, only_suites=None, prefix=""):
    """The tests that the build in `folder` has, as meson itself lists them."""
    path = context.build(folder)
    tests = introspect(path, "--tests")
    if tests is None:
        return [Program("build", folder + ".introspect", "exit", ["false"], 5)]
    out = []
    for test in tests:
        suites = [s.split(":")[-1] for s in test["suite"]]
        suite = suites[0] if suites else "other"
        if only_suites is not None and suite not in only_suites:
            continue
        if only_suites is None and FULL_SUITES & set(suites):
            continue
        if is_tool_script(test):
            continue
        is_doctest = os.path.basename(test["cmd"][0]).startswith(DOCTEST_NAMES)
        kind = "doctest" if is_doctest else "lines" if "lines" in suites else "exit"
        # Meson's limits are for an idle machine; this one may be shared.
        out.append(Program(prefix + suite, test["name"], kind, test["cmd"], 3 * (test["timeout"] or 60),
                           {**test["env"], **context.env()}, test["workdir"] or path, test["is_parallel"]))
    order = ["gates", "headers", "unit", "fuzz", "kvm", "embed"]
    out.sort(key=lambda p: (order.index(p.suite.removeprefix(prefix)) if p.suite.removeprefix(prefix) in order else 99,
                            not p.parallel))
    return out


def benchmark_programs(context):
    """Meson's benchmarks, built on the way: one at a time, because they measure."""
    path = context.build("build-test")
    rows = introspect(path, "--benchmarks")
    if rows is None:
        return [Program("build", "benchmarks.introspect", "exit", ["false"], 5)]
    targets = [os.path.relpath(row["cmd"][0], path) for row in rows]
    out = [Program("build", "benchmarks.compile", "exit", ["ninja", "-C", path, *targets], 900)] if rows else []
    return out + [Program("bench", row["name"], "ratio", row["cmd"], 2 * (row["timeout"] or 300),
                          {**row["env"], **context.env()}, path) for row in rows]


def unprivileged_programs(context):
    """The unit programs once more as a user who owns nothing, then a look at what that user left outside its folders."""
    if not os.path.exists(context.build("build-test/build.ninja")):
        return []
    home = context.scratch("unprivileged")
    env = {**context.env(), "HOME": home, "USER": "nobody", "LOGNAME": "nobody", "TMPDIR": home + "/tmp",
           "XDG_CACHE_HOME": home + "/.cache", "XDG_CONFIG_HOME": home + "/.config", "XDG_DATA_HOME": home + "/.data",
           "XDG_STATE_HOME": home + "/.state", "XDG_RUNTIME_DIR": home + "/run"}
    for name in ("tmp", "run"):
        os.makedirs(os.path.join(home, name), exist_ok=True)
    as_user, user = [], os.getuid()
    if user == 0:
        user = NO_USER
        for folder, folders, _ in os.walk(home):
            os.chown(folder, user, user)
        os.chmod(os.path.join(home, "run"), 0o700)
        as_user = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", "--no-new-privs"]
    def reachable(path):
        """The path, or a copy of it where the user may go (the checkout may lie where only root may)."""
        if not as_user or subprocess.run(as_user + ["test", "-r", path], timeout=10).returncode == 0:
            return path
        if os.path.isdir(path):
            return home
        copy = os.path.join(home, "bin", os.path.basename(path))
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        shutil.copy(path, copy)
        os.chmod(copy, 0o755)
        return copy

    out = []
    # What needs a kernel in the store or /dev/kvm would only be skipped.
    outside = [p for p in tool_programs(context) if p.name in ("cli", "doctor", "kernel")]
    for program in meson_programs(context, "build-test", {"unit"}) + outside:
        command = [reachable(w) if w.startswith("/") and os.path.isfile(w) else w for w in program.command]
        cwd = program.cwd if program.cwd and reachable(program.cwd) == program.cwd else home
        out.append(Program("unprivileged", program.name, program.kind, as_user + command, program.timeout,
                           {**program.env, **env}, cwd, program.parallel))
    places = [p for p in ("/tmp", "/var/tmp", "/dev/shm", "/run", context.root) if os.path.isdir(p)]
    if as_user:
        out.append(Program("unprivileged", "leaves_nothing", "lines",
                           [sys.executable, os.path.join(context.scripts, "left_files.py"), str(user), home] + places, 120))
    return out


def script_programs(context, folder, suite, timeout, full_only=False):
    """The scripts of a tests/ folder that speak the line protocol; names that start with _ are helpers of theirs."""
    out = []
    for path in sorted(glob.glob(os.path.join(context.root, "tests", folder, "*.py"))):
        name = os.path.splitext(os.path.basename(path))[0]
        with open(path, encoding="utf-8") as f:
            head = f.read(2000)
        if name.startswith("_") or ("# tier: full" in head) != full_only:
            continue
        out.append(Program(suite, name.removesuffix("_test"), "lines", [sys.executable, path], timeout, context.env(),
                           context.root, live=True))
    return out


def tool_programs(context):
    """The scripts that try the built ktstr-run from outside, without a machine."""
    return [Program("tool", os.path.basename(p).removesuffix(".py").removesuffix("_test"), "lines",
                    [sys.executable, p, context.env()["KTSTR_RUN"]], 300, context.env(), context.root)
            for p in sorted(glob.glob(os.path.join(context.root, "tests/tools/*.py")))
            if not os.path.basename(p).startswith("_")]


def flavour(context, folder, options, suites, compiler=None):
    """A build of its own and the given suites in it."""
    out = build_programs(context, folder, options + ["-Dtools=false"], compiler)
    return out, lambda: meson_programs(context, folder, suites, folder.removeprefix("build-") + ".")


def stages(context):
    """All stages in order. Each is a list of programs that is asked for late."""
    python = sys.executable
    script = lambda name: os.path.join(context.scripts, name)  # noqa: E731
    out = [
        Stage("build", "the programs (release, static) and the tests (debug)",
              lambda: build_programs(context, "build-release", ["--buildtype=release", "-Doptimization=2", "-Dtests=false"])
              + build_programs(context, "build-test", ["--buildtype=debug", "-Dcpp_args=-g0"])[:1]),
        Stage("build-tests", "what the tests run", lambda: compile_tests(context)),
        Stage("meson", "headers, gates, unit, fuzz replay, tiny guests on /dev/kvm",
              lambda: meson_programs(context, "build-test")),
        Stage("unprivileged", "the unit programs as a user who owns nothing", lambda: unprivileged_programs(context)),
        Stage("prepare", "the lab's image and the kernels that the lab suites boot",
              lambda: [Program("prepare", "lab", "lines", [python, script("prepare_lab.py")], 3600, context.env(), live=True)]),
        Stage("tool", "ktstr-run from outside, without the lab", lambda: tool_programs(context)),
        Stage("lab_tool", "the lab itself", lambda: script_programs(context, "lab_tool", "lab_tool", 1200)),
        Stage("lab", "real kernels under our VMM in the lab", lambda: script_programs(context, "lab", "lab", 2400)),
    ]
    fulls = [
        ("clang", "the unit programs built by clang", ["--buildtype=debug", "-Dcpp_args=-g0"], {"unit"}, "clang++-19"),
        ("asan", "unit under address and undefined-behaviour sanitizers",
         ["--buildtype=debug", "-Db_sanitize=address,undefined", "-Db_lundef=false"], {"unit"}, None),
        ("tsan", "unit under the thread sanitizer", ["--buildtype=debug", "-Db_sanitize=thread", "-Db_lundef=false", "-Dcpp_args=-Wno-tsan"],
         {"unit"}, None),
        ("ndebug", "unit and tiny guests optimised, without assertions", ["--buildtype=release", "-Db_ndebug=true"],
         {"unit", "kvm"}, None),
    ]
    for name, about, options, suites, compiler in fulls:
        build, tests = flavour(context, "build-" + name, options, suites, compiler)
        out.append(Stage(name + "-build", about + ": building", lambda b=build: b, full=True))
        out.append(Stage(name, about, tests, full=True))
    out += [
        Stage("headers-clang", "each header alone under clang",
              lambda: [Program("headers-clang", "alone", "lines",
                               [python, script("check_self_contained.py"), context.root, context.build("build-clang/stamps"),
                                # clang calls a local name that a namespace has too a shadow; GCC's notion is the gate
                                "--", "clang++-19", "-std=c++23", "-Wno-shadow"], 900)], full=True),
        Stage("tidy", "clang-tidy over every header",
              lambda: [Program("tidy", "headers", "lines", [python, script("clang_tidy.py"), context.root], 1800)], full=True),
        Stage("install", "a user who finds us by pkg-config",
              lambda: [Program("install", "pkg_config", "lines", [python, script("install_test.py"), context.root], 300)],
              full=True),
        Stage("cost", "what our headers cost a translation unit",
              lambda: [Program("cost", "includes", "lines", [python, script("include_cost.py"), context.root], 900)], full=True),
        Stage("fuzz-real", "libFuzzer on every decoder",
              lambda: [Program("fuzz-real", "targets", "lines",
                               [os.path.join(context.root, "tests/fuzz/run_fuzz"), context.build("build-fuzz"), "30"], 7200,
                               live=True)], full=True),
        Stage("bench", "speed against the floor", lambda: benchmark_programs(context), full=True),
        Stage("full", "tests that take long", lambda: meson_programs(context, "build-test", FULL_SUITES), full=True),
        Stage("lab-full", "everything that needs many boots",
              lambda: script_programs(context, "lab", "lab-full", 7200, full_only=True), full=True),
    ]
    return out


def invoking_user():
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
