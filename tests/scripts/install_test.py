#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A user finds the installed library by pkg-config, and another project takes it as a Meson subproject. Usage: ROOT"""

import os
import shutil
import subprocess
import sys
import tempfile

import tree


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **more)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise RuntimeError(f"{' '.join(command[:3])}: {' | '.join(lines[-3:])}")
    return done.stdout


def by_pkg_config(root, temp):
    build, prefix = os.path.join(temp, "build"), os.path.join(temp, "prefix")
    run(["meson", "setup", build, root, "-Dtests=false", "-Dtools=false", "--prefix", prefix])
    run(["meson", "install", "-C", build])
    env = {**os.environ, "PKG_CONFIG_PATH": os.path.join(prefix, "share/pkgconfig")}
    flags = run(["pkg-config", "--cflags", "ktstr"], env=env).split()
    version = run(["pkg-config", "--modversion", "ktstr"], env=env).strip()
    if version not in tree.read(root, "include/ktstr/version.hpp"):
        raise RuntimeError(f"pkg-config says {version}, version.hpp does not")
    if os.path.exists(os.path.join(prefix, "include/ktstr/base/meson.build")):
        raise RuntimeError("build files were installed")
    source = os.path.join(temp, "user.cpp")
    shutil.copy(os.path.join(root, "tests/embed/scripted_harness.cpp"), source)
    program = os.path.join(temp, "user")
    run(["g++", *flags, source, "-o", program])
    run([program])


def as_subproject(root, temp):
    project = os.path.join(temp, "project")
    os.makedirs(os.path.join(project, "subprojects"))
    for name in tree.tracked(root):
        target = os.path.join(project, "subprojects/ktstr", name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(os.path.join(root, name), target)
    shutil.copy(os.path.join(root, "tests/embed/scripted_harness.cpp"), os.path.join(project, "user.cpp"))
    with open(os.path.join(project, "meson.build"), "w", encoding="utf-8") as f:
        f.write("project('user', 'cpp', default_options: ['werror=true', 'warning_level=3'])\n"
                "test('user', executable('user', 'user.cpp', dependencies: [dependency('ktstr', fallback: 'ktstr'),"
                " dependency('threads')]))\n")
    build = os.path.join(temp, "build")
    run(["meson", "setup", build, project])
    run(["meson", "test", "-C", build])


def main():
    root = tree.root_of(sys.argv[1] if len(sys.argv) > 1 else None)
    code = 0
    for case in (by_pkg_config, as_subproject):
        with tempfile.TemporaryDirectory() as temp:
            try:
                case(root, temp)
                print(f"ok install.{case.__name__}")
            except (RuntimeError, OSError, subprocess.SubprocessError) as problem:
                code = 1
                print(f"not ok install.{case.__name__} {' '.join(str(problem).split())[:500]}")
    return code


if __name__ == "__main__":
    sys.exit(main())
