# SPDX-License-Identifier: Apache-2.0
"""drgn of a newer Debian and a kernel's DWARF, unpacked beside the caches: nothing is installed, nobody need be root."""

import fcntl
import glob
import os
import shutil
import subprocess

SUITE = "trixie"


def cache():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "ktstr")


def mirror():
    """The first Debian mirror that this machine's own apt uses, and Debian's key ring."""
    text = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
                          capture_output=True, text=True, check=True, timeout=60).stdout
    for line in text.splitlines():
        if line.rstrip("/").endswith("/debian"):
            return line, "/usr/share/keyrings/debian-archive-keyring.gpg"
    raise RuntimeError("this machine's apt knows no Debian mirror")


class Apt:
    """An apt state of our own: other suites, nothing of the system's is changed."""

    def __init__(self, folder, suites):
        self.folder = folder
        for name in ("lists/partial", "cache/archives/partial", "sources"):
            os.makedirs(os.path.join(folder, name), exist_ok=True)
        uri, key = mirror()
        with open(os.path.join(folder, "sources", "debuggers.sources"), "w", encoding="utf-8") as file:
            file.write(f"Types: deb\nURIs: {uri}\nSuites: {' '.join(suites)}\nComponents: main\nSigned-By: {key}\n")
        self.options = ["-q", "-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={folder}/sources",
                        "-o", f"Dir::State::Lists={folder}/lists", "-o", "Dir::State::status=/dev/null",
                        "-o", f"Dir::Cache={folder}/cache", "-o", "APT::Install-Recommends=false",
                        "-o", "Acquire::Languages=none", "-o", "Debug::NoLocking=true",
                        "-o", f"APT::Sandbox::User={os.environ.get('USER', 'root')}"]

    def run(self, *words, timeout=300):
        return subprocess.run(["apt-get", *self.options, *words], capture_output=True, text=True, check=True,
                              cwd=self.folder, timeout=timeout).stdout

    def unpack(self, packages, into, with_dependencies):
        """Downloads (checked by apt) and unpacks; the archives go again."""
        self.run("update")
        if with_dependencies:
            self.run("install", "--download-only", "-y", *packages, timeout=600)
            archives = glob.glob(os.path.join(self.folder, "cache/archives/*.deb"))
        else:
            before = set(glob.glob(os.path.join(self.folder, "*.deb")))
            self.run("download", *packages, timeout=600)
            archives = [p for p in glob.glob(os.path.join(self.folder, "*.deb")) if p not in before]
        for archive in archives:
            subprocess.run(["dpkg", "-x", archive, into], check=True, timeout=300)
            os.remove(archive)


def once(name, make):
    """The folder `name` in the cache, made by `make(folder)` when it is not there; whole or not at all."""
    folder = os.path.join(cache(), name)
    os.makedirs(cache(), exist_ok=True)
    with open(os.path.join(cache(), name + ".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(folder):
            new = folder + ".new"
            shutil.rmtree(new, ignore_errors=True)
            os.makedirs(new)
            make(new)
            os.rename(new, folder)
    return folder


def drgn():
    """The words that start drgn."""
    def make(folder):
        Apt(folder + "/apt", [SUITE]).unpack(["python3-drgn", "python3-minimal"], folder + "/root", True)
        shutil.rmtree(folder + "/apt")
    root = once("debugger-drgn", make) + "/root/usr"
    libraries = f"{root}/lib/x86_64-linux-gnu"
    python = sorted(glob.glob(f"{root}/bin/python3.*"))[0]
    return ["env", f"PYTHONHOME={root}", f"PYTHONPATH={root}/lib/python3/dist-packages",
            f"{libraries}/ld-linux-x86-64.so.2", "--library-path", libraries, python, f"{root}/bin/drgn", "-q"]


def dwarf(release):
    """The vmlinux with DWARF of a Debian kernel of this release, as `uname -r` has it."""
    def make(folder):
        Apt(folder + "/apt", [SUITE, SUITE + "-backports"]).unpack([f"linux-image-{release}-dbg"], folder + "/root", False)
        found = glob.glob(f"{folder}/root/usr/lib/debug/lib/modules/*/vmlinux")
        os.rename(found[0], folder + "/vmlinux")
        shutil.rmtree(folder + "/root")
        shutil.rmtree(folder + "/apt")
    return once("dwarf-" + release, make) + "/vmlinux"
