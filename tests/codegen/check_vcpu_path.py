#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Walks the machine code of the vCPU path and fails on any indirect call or any call of an allocator.

usage: check_vcpu_path.py CXX INCLUDE SOURCE
Compiles SOURCE twice with -O2: as it is, which must be clean, and with -DKTSTR_CODEGEN_SPOILED, where the same walk from
the spoiled function must find both sins (else the check is blind). The loop of a machine that can be frozen must be as
clean, and the loop of one that cannot must not know the rendezvous: neither its code nor the system call it sleeps in.
"""
import re
import subprocess
import sys
import tempfile

ALLOCATORS = re.compile(r"^(_Zn[wa]|malloc|calloc|realloc|_Zd[la]|free|__cxa_(throw|allocate))")


def disassemble(cxx, include, source, extra):
    with tempfile.NamedTemporaryFile(suffix=".o") as out:
        subprocess.run([*cxx.split(), "-std=c++23", "-O2", "-DNDEBUG", "-fno-jump-tables", "-ffunction-sections",
                        "-I", include, "-c", source, "-o", out.name, *extra], check=True)
        return subprocess.run(["objdump", "-dr", "--no-show-raw-insn", out.name], check=True, capture_output=True,
                              text=True).stdout


def functions(listing):
    """Name -> (called symbols, indirect transfers)."""
    table, name = {}, None
    for line in listing.splitlines():
        head = re.match(r"^[0-9a-f]+ <(.+)>:$", line)
        if head:
            name = head.group(1)
            table[name] = (set(), [])
            continue
        if name is None:
            continue
        moved = re.search(r"R_X86_64_(?:PLT32|PC32)\s+([^\s+-]+)", line)
        if moved:
            table[name][0].add(moved.group(1).removeprefix(".text."))
        if re.search(r"\b(call|jmp)\s+\*", line):
            table[name][1].append(line.strip())
    return table


def sins(table, root):
    found, seen, todo = [], set(), [root]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if ALLOCATORS.match(name):
            found.append(f"allocator {name}")
        if name not in table:
            continue
        calls, indirect = table[name]
        found += [f"indirect transfer in {name}: {line}" for line in indirect]
        todo += sorted(calls)
    return found, seen


def knows_rendezvous(seen):
    """What of the rendezvous is reachable: its functions, or syscall(), which only futexes use on this path."""
    return sorted(name for name in seen if "rendezvous" in name or "freeze_point" in name or name == "syscall")


def main():
    cxx, include, source = sys.argv[1:4]
    table = functions(disassemble(cxx, include, source, []))
    root = "ktstr_codegen_vcpu_path"
    if root not in table:
        sys.exit(f"{root} is not in the object")
    found, seen = sins(table, root)
    if "ioctl" not in seen:
        sys.exit("the walk did not reach ioctl(KVM_RUN): it looks at the wrong code")
    spoiled = functions(disassemble(cxx, include, source, ["-DKTSTR_CODEGEN_SPOILED"]))
    bad, _ = sins(spoiled, "ktstr_codegen_spoiled")
    if not any("indirect" in b for b in bad) or not any("allocator" in b for b in bad):
        sys.exit(f"the check is blind: it found only {bad} in the spoiled twin")
    frozen, frozen_seen = sins(table, "ktstr_codegen_freezable")
    found += [f"freezable: {line}" for line in frozen]
    if not knows_rendezvous(frozen_seen):
        sys.exit("the walk found no rendezvous in the freezable loop: it looks at the wrong code")
    found += [f"a machine that cannot be frozen reaches {name}" for name in knows_rendezvous(seen)]
    for line in found:
        print(line)
    print(f"{len(seen)} functions on the vCPU path, {len(found)} indirect calls or allocations")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
