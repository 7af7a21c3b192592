#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ktstr-run kernel` from outside, without a network: adding, listing, damage, bad input. Prints ok / not ok lines."""
import gzip
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

program = sys.argv[1]
failed = 0
NEEDED = ("X86_64 BLK_DEV_INITRD BINFMT_ELF VIRTIO_PCI VIRTIO_CONSOLE DEVTMPFS PROC_FS SYSFS CGROUPS CPUSETS "
          "FAIR_GROUP_SCHED ACPI PRINTK MODULES").split()


def run(*arguments, env, **more):
    return subprocess.run([program, "kernel", *arguments], capture_output=True, text=True, timeout=120, env=env, **more)


def check(name, good, detail=""):
    global failed
    failed += not good
    print(f"{'ok' if good else 'not ok'} {name}" + (f" {detail}" if not good else ""), flush=True)


def refused(name, arguments, code, *texts, env):
    r = run(*arguments, env=env)
    wrong = [t for t in (*texts, "error: ", "remedy: ") if t not in r.stderr]
    check(name, r.returncode == code and not wrong and r.stdout == "",
          f"code {r.returncode}, missing {wrong}, stderr {r.stderr!r}, stdout {r.stdout!r}")


def put(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())
    return path


def elf(machine=62, body=b"\xc3" * 64, version=b"Linux version 7.9.1-own (me) #3\n\0"):
    """One segment at 16 MiB that holds a version line, so that the release is known."""
    code = body + version
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0x1000000, 64, 0, 0, 64,
                                                             56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 7, 120, 0xffffffff81000000, 0x1000000, len(code), 0x2000, 0x200000)
    return header + segment + code


def bzimage(vmlinux, relocs=struct.pack("<5I", 0, 0x81000008, 0, 0x81000010, 0x81000014)):
    payload = gzip.compress(vmlinux + relocs)
    image = bytearray(1024)
    image[0x1f1] = 1
    struct.pack_into("<H", image, 0x1fe, 0xaa55)
    image[0x200:0x202] = b"\xeb\x6a"
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x206, 0x20f)
    struct.pack_into("<H", image, 0x20e, 0x80)
    struct.pack_into("<H", image, 0x236, 1)
    struct.pack_into("<I", image, 0x238, 2047)
    struct.pack_into("<II", image, 0x248, 0, len(payload))
    image[0x280:0x290] = b"7.9.1-own (me)\0\0"
    return bytes(image) + payload


with tempfile.TemporaryDirectory(prefix="ktstr-kernel-") as scratch:
    home = os.path.join(scratch, "home")
    os.mkdir(home)
    env = {"HOME": home, "PATH": os.environ["PATH"], "LANG": "C"}
    at = lambda *parts: os.path.join(scratch, *parts)
    store = at("home", ".cache", "ktstr", "kernels")
    config = "".join(f"CONFIG_{n}=y\n" for n in NEEDED)

    r = run("list", env=env)
    check("kernel.empty_store", r.returncode == 0 and "kernel fetch debian:7.3" in r.stdout and not os.path.exists(store), r.stdout)
    r = run("list", "--json", env=env)
    check("kernel.empty_store_json", json.loads(r.stdout)["kernels"] == [], r.stdout)

    refused("kernel.no_word", [], 2, "fetch SPEC", env=env)
    refused("kernel.unknown_word", ["lst"], 2, "did you mean 'list'?", env=env)
    refused("kernel.too_many_names", ["rm", "a", "b"], 2, "exactly one name", env=env)
    refused("kernel.unknown_distribution", ["fetch", "fedora:41"], 2, "fedora:41", "debian:7.3", env=env)
    refused("kernel.unknown_series", ["fetch", "debian:new"], 2, "no kernel series", env=env)
    refused("kernel.missing_file", ["add", at("nowhere")], 2, at("nowhere"), "cannot find", env=env)
    refused("kernel.not_in_store", ["path", "debian:7.3"], 2, "kernel fetch debian:7.3", env=env)
    refused("kernel.rm_unknown", ["rm", "x"], 2, "no kernel 'x'", env=env)

    good = bzimage(elf())
    tree = at("tree")
    put(f"{tree}/arch/x86/boot/bzImage", good)
    put(f"{tree}/.config", config)
    put(f"{tree}/Makefile", "")
    refused("kernel.empty_file", ["add", put(at("empty"), b"")], 2, "empty", env=env)
    refused("kernel.truncated", ["add", put(at("cut"), good[:-100])], 2, "cut off", at("cut"), env=env)
    refused("kernel.damaged", ["add", put(at("bad"), good[:1100] + b"xxxxxxxx" + good[1108:])], 2, "error: ", env=env)
    refused("kernel.aarch64_elf", ["add", put(at("arm"), elf(183))], 2, "aarch64 ELF", "x86_64", env=env)
    refused("kernel.aarch64_image", ["add", put(at("Image"), bytes(56) + b"ARM\x64" + bytes(100))], 2, "arm64 Image", env=env)
    refused("kernel.gzip", ["add", put(at("x.gz"), gzip.compress(good))], 2, "gunzip", env=env)
    refused("kernel.deb", ["add", put(at("x.deb"), b"!<arch>\ndebian-binary")], 2, "dpkg-deb", env=env)
    refused("kernel.text", ["add", put(at("text"), "hello")], 2, "unknown format", env=env)
    refused("kernel.folder_without_kernel", ["add", put(at("dir", "x"), "") and at("dir")], 2, "no built kernel", env=env)
    put(f"{tree}/.config", config.replace("CONFIG_CPUSETS=y\n", "").replace("CONFIG_VIRTIO_PCI=y\n", ""))
    refused("kernel.missing_options", ["add", tree], 2, "CONFIG_CPUSETS", "CONFIG_VIRTIO_MMIO or CONFIG_VIRTIO_PCI", env=env)
    check("kernel.refusals_leave_nothing", not os.path.exists(store) or
          not [n for n in os.listdir(store) if n not in (".lock", "CACHEDIR.TAG")], str(os.path.exists(store) and os.listdir(store)))

    put(f"{tree}/.config", config)
    r = run("add", tree, env=env)
    check("kernel.add_tree", r.returncode == 0 and r.stdout.startswith("local-7.9.1-own-"), r.stderr + r.stdout)
    entry = json.loads(run("list", "--json", env=env).stdout)["kernels"][0]
    check("kernel.list_json", entry["release"] == "7.9.1-own" and entry["kaslr"] and entry["drivers"]["virtio_pci"] == "built-in"
          and entry["source"] == os.path.realpath(tree) and os.path.exists(entry["vmlinux"]), str(entry))
    r = run("path", tree, env=env)
    check("kernel.path", r.stdout.strip() == entry["dir"], r.stdout + r.stderr)
    r = run("path", "7.9.1-own", env=env)
    check("kernel.path_by_release", r.stdout.strip() == entry["dir"], r.stdout + r.stderr)
    refused("kernel.symbols_of_what", ["symbols"], 2, "needs a kernel", env=env)
    refused("kernel.symbols_of_unknown", ["symbols", "debian:7.3"], 2, "kernel fetch debian:7.3", env=env)
    refused("kernel.without_symbols", ["symbols", tree], 77, "carries no symbols", "CONFIG_KALLSYMS", env=env)
    refused("kernel.near_miss", ["path", "local-7.9.1-onw" + entry["key"][15:]], 2, f"did you mean '{entry['key']}'?", env=env)

    # Damage of every file is noticed and mended, from the entry itself or from where it came.
    for name in ("vmlinux", "relocs", "bzImage", "config", "manifest"):
        file = os.path.join(entry["dir"], name)
        with open(file, "rb") as f:
            before = f.read()
        with open(file, "r+b") as f:
            f.seek(len(before) // 2)
            f.write(b"\xff\xfe")
        os.utime(file, (1, 1))
        r = run("path", tree, env=env)
        with open(file, "rb") as f:
            after = f.read()
        check(f"kernel.mends_{name}", r.returncode == 0 and (after == before or name == "manifest"), r.stderr)
    os.unlink(os.path.join(entry["dir"], "vmlinux"))
    r = run("path", entry["key"], env=env)
    check("kernel.mends_missing_file", r.returncode == 0 and "damaged" in r.stderr and os.path.exists(entry["vmlinux"]), r.stderr)
    shutil.move(tree, at("gone"))
    for name in ("bzImage", "config"):
        with open(os.path.join(entry["dir"], name), "ab") as f:
            f.write(b"x")
    r = run("list", env=env)
    check("kernel.list_shows_damage", r.returncode == 0 and "damaged" in r.stdout, r.stdout)
    refused("kernel.damage_without_source", ["path", entry["key"]], 2, os.path.realpath(tree), env=env)
    shutil.move(at("gone"), tree)
    r = run("path", entry["key"], env=env)
    check("kernel.mended_when_source_is_back", r.returncode == 0, r.stderr)

    # A lone vmlinux beside its config; the same release as a file changed is another entry.
    put(at("lone", "vmlinux-7.9.1-own"), elf())
    put(at("lone", "config-7.9.1-own"), config)
    r = run("add", at("lone", "vmlinux-7.9.1-own"), "--json", env=env)
    lone = json.loads(r.stdout or "{}")
    check("kernel.add_vmlinux", r.returncode == 0 and lone["bzimage"] == "" and not lone["kaslr"] and lone["key"] != entry["key"],
          r.stderr + r.stdout)

    # A transport that this kernel (virtio-pci only) has no driver for is refused before a machine starts.
    r = subprocess.run([program, "run", "--kernel", tree, "--transport", "mmio"], capture_output=True, text=True, timeout=120,
                       env=env)
    check("kernel.run_without_virtio_mmio", r.returncode == 77 and "no virtio-mmio driver" in r.stderr
          and "leave --transport out" in r.stderr and r.stdout == "", f"{r.returncode} {r.stderr} {r.stdout}")

    # Two at once, and a store that cannot be written.
    both = [subprocess.Popen([program, "kernel", "add", tree, "--force"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(4)]
    codes = [p.wait(timeout=120) for p in both]
    for p in both:
        p.communicate()
    r = run("path", tree, env=env)
    check("kernel.four_at_once", codes == [0] * 4 and r.returncode == 0 and len(os.listdir(store)) == 4,
          f"{codes} {os.listdir(store)} {r.stderr}")
    blocked = env | {"XDG_CACHE_HOME": put(at("file"), "") + "/below"}
    r = run("add", tree, env=blocked)
    check("kernel.unwritable_store", r.returncode == 99 and "error: " in r.stderr and "remedy: " in r.stderr, r.stderr)
    limited = subprocess.run(["sh", "-c", 'ulimit -f 0; trap "" XFSZ; exec "$0" kernel add "$1" --force', program, tree],
                             capture_output=True, text=True, timeout=120, env=env)
    r = run("path", tree, env=env)
    check("kernel.full_disk", limited.returncode == 99 and r.returncode == 0 and len(os.listdir(store)) == 4,
          f"{limited.returncode} {limited.stderr} {r.stderr} {os.listdir(store)}")

    # Fetching without a mirror that answers, with one that is not there, and interrupted.
    bin_folder = at("bin")
    for name in ("apt-get", "apt-cache"):
        put(f"{bin_folder}/{name}", "#!/bin/sh\nexec sleep 60\n" if name == "apt-get" else "#!/bin/sh\nexit 0\n")
        os.chmod(f"{bin_folder}/{name}", 0o755)
    put(f"{bin_folder}/apt-config", f"#!/bin/sh\necho \"P='{at('parts')}'\"; echo \"L='/dev/null'\"\n")
    os.chmod(f"{bin_folder}/apt-config", 0o755)
    fake = env | {"PATH": bin_folder + ":" + env["PATH"]}
    refused("kernel.fetch_without_debian_mirror", ["fetch", "debian:7.3"], 77, "names no Debian mirror", env=fake)
    put(at("parts", "x.sources"), "Types: deb\nURIs: http://mirror.invalid/debian\nSuites: trixie\nComponents: main\n")
    gone = subprocess.Popen(["true"])
    gone.wait()
    stale = put(at("home", ".cache", "ktstr", f"fetch-{gone.pid}", "x.deb"), "half")
    p = subprocess.Popen([program, "kernel", "fetch", "debian:7.3"], env=fake, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(1)
    p.send_signal(signal.SIGINT)
    start = time.monotonic()
    p.communicate(timeout=30)
    check("kernel.fetch_interrupted", p.returncode == 130 and time.monotonic() - start < 5 and
          not [n for n in os.listdir(at("home", ".cache", "ktstr")) if n == f"fetch-{p.pid}"], f"{p.returncode}")
    put(f"{bin_folder}/apt-get", "#!/bin/sh\necho 'E: Failed to fetch http://mirror.invalid/debian' >&2\nexit 100\n")
    refused("kernel.fetch_without_network", ["fetch", "debian:7.3"], 99, "mirror.invalid", "network", env=fake)
    put(f"{bin_folder}/apt-get", "#!/bin/sh\nexit 0\n")
    put(f"{bin_folder}/apt-cache", "#!/bin/sh\ncase \"$3\" in pkgnames) echo linux-image-7.3.4-cloud-amd64;;\n"
                                   "*) printf 'Package: linux-image-7.3.4-cloud-amd64\\nVersion: 7.3.4-1\\n\\n';; esac\n")
    refused("kernel.fetch_unknown_series", ["fetch", "debian:7.4"], 2, "did you mean debian:7.3?", env=fake)
    put(f"{bin_folder}/apt-get", "#!/bin/sh\nfor a; do [ \"$a\" = download ] && echo 'E: 404' >&2 && exit 100; done; exit 0\n")
    check("kernel.stale_work_is_there", os.path.exists(stale))
    refused("kernel.fetch_download_fails", ["fetch", "debian:7.3"], 99, "cannot download", "404", env=fake)
    check("kernel.stale_work_is_removed", not os.path.exists(stale))

    r = run("rm", entry["key"], env=env)
    check("kernel.rm", r.returncode == 0 and not os.path.exists(entry["dir"]), r.stderr)
sys.exit(failed != 0)
