// SPDX-License-Identifier: Apache-2.0
/// \file
/// The one table of commands and options: parsing, help, hints and the lab's carrying of paths all derive from it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace ktstr::tool {

/// What an option's argument names on the machine of the caller, and so what must travel into and out of the lab.
enum class carry : std::uint8_t {
    plain,    ///< Not a path: passed on as it is.
    in_file,  ///< A file that must be there before.
    in_dir,   ///< A folder that must be there before.
    out_file, ///< A file that the run makes.
    out_dir,  ///< A folder that the run fills.
    kernel,   ///< A kernel's name; its folder in the store travels.
    host,     ///< Means something to the host only: left out in the lab.
};

/// The commands, as bits, so that an option can belong to several.
namespace on {
inline constexpr std::uint32_t run = 1;
inline constexpr std::uint32_t shell = 2;
inline constexpr std::uint32_t exec = 4;
inline constexpr std::uint32_t doctor = 8;
inline constexpr std::uint32_t kernel = 16;
inline constexpr std::uint32_t topology = 32;
inline constexpr std::uint32_t presets = 64;
inline constexpr std::uint32_t version = 128;
inline constexpr std::uint32_t help = 256;
inline constexpr std::uint32_t snapshot = 512;
inline constexpr std::uint32_t freeze = 1024;
inline constexpr std::uint32_t thaw = 2048;
inline constexpr std::uint32_t boots = run | shell | exec;
inline constexpr std::uint32_t all = 4095;
} // namespace on

/// A command: its bit, name, the words it takes after its name, and what it does.
struct command_row {
    std::uint32_t bit;
    std::string_view name;
    std::string_view words;
    std::string_view about;
};

/// An option: `argument` empty means a flag; `standard` is what holds without it, in words.
struct option_row {
    std::string_view name;
    std::string_view argument;
    std::string_view about;
    std::string_view standard;
    std::uint32_t commands;
    carry kind = carry::plain;
    bool repeats = false;
};

inline constexpr command_row command_rows[] = {
    {on::run, "run", "[SCENARIO]", "boot a kernel, run a scenario under its scheduler, and give a verdict"},
    {on::shell, "shell", "", "an interactive shell in a guest (Ctrl-a x ends it)"},
    {on::exec, "exec", "-- CMD [ARG...]", "run one program of this machine in a guest; its exit code is ours"},
    {on::doctor, "doctor", "", "probe what this machine can do, and say what to do about what it cannot"},
    {on::kernel, "kernel", "fetch SPEC | add PATH | list | path SPEC | symbols SPEC [NAME...] | rm SPEC", "the store of kernels"},
    {on::topology, "topology", "show PRESET|SPEC", "draw a machine: nodes, LLCs, cores, threads"},
    {on::presets, "presets", "", "the named topologies"},
    {on::snapshot, "snapshot", "show FILE | diff A B", "what a snapshot of a machine holds, and what changed between two"},
    {on::freeze, "freeze", "PID|NAME [TAG]", "stop a running machine where it is, and write its picture; it waits for thaw"},
    {on::thaw, "thaw", "PID|NAME", "let a frozen machine go on"},
    {on::version, "version", "", "the version of this program"},
    {on::help, "help", "[COMMAND]", "the options of a command"},
};

inline constexpr option_row option_rows[] = {
    {"kernel", "SPEC", "kernel: debian:7.3, a key of 'kernel list', or a path (bzImage, vmlinux, build tree)",
     "the newest in the store", on::boots, carry::kernel},
    {"topology", "SPEC", "machine: NnNlNcNt (nodes, LLCs in all, cores per LLC, threads per core) or a preset",
     "1n1l2c1t", on::boots},
    {"memory", "auto|SIZE", "guest memory, as 512M or 2G", "auto", on::boots},
    {"node-memory", "LIST", "memory by NUMA node, as 1G,512M; more sizes than nodes make memory-only nodes",
     "divided evenly", on::boots},
    {"distances", "MATRIX", "NUMA distances, as '10,20;20,10'", "20 between nodes", on::boots},
    {"machine", "auto|host|lab", "where the guest runs: this machine's /dev/kvm or the software-emulated lab", "auto",
     on::boots, carry::host},
    {"lab", "NAME", "run in the lab that 'ktstr-lab run --name NAME' keeps", "a lab of its own", on::boots,
     carry::host},
    {"seed", "N", "feeds every random choice; printed and recorded", "drawn at the start", on::run},
    {"duration", "TIME", "how long the workers run, as 2s", "the scenario's", on::run},
    {"workers", "N", "workers per cgroup", "the scenario's", on::run},
    {"repeat", "N", "run the scenario N times in one boot, each run judged by itself; the worst decides", "1", on::run},
    {"scheduler", "NAME",
     "the scheduler that must be running: default (the kernel's own) or the name of a sched_ext one",
     "whichever runs, recorded", on::run},
    {"timeout", "TIME", "hard wall limit of the whole run", "10m", on::boots},
    {"cmdline", "TEXT", "more words for the guest kernel's command line", "none", on::boots, carry::plain, true},
    {"console", "", "show the guest's console while it runs", "", on::run | on::exec},
    {"json", "FILE", "result as JSON into FILE ('-': stdout)", "", on::run, carry::out_file},
    {"json", "", "answer as JSON", "", on::doctor | on::kernel | on::version | on::presets | on::topology | on::snapshot},
    {"dmesg", "FILE", "the guest kernel's log into FILE", "", on::boots, carry::out_file},
    {"results", "DIR", "folder of the results", "$XDG_STATE_HOME/ktstr/runs/<time>-<id>", on::run, carry::out_dir},
    {"include", "FILE[:PATH]", "a file of this machine for the guest, at PATH there (default: the same)", "none",
     on::boots, carry::in_file, true},
    {"initramfs", "FILE", "boot this initramfs instead of ours (it must hold our agent)", "ours", on::boots,
     carry::in_file},
    {"kaslr", "on|off", "place the guest kernel at a random address", "off", on::boots},
    {"cpu-vendor", "host|intel|amd", "whose CPUID leaves the guest sees", "host", on::boots},
    {"apic-stride", "N", "distance between APIC ids, a power of two: x2APIC ids without hundreds of CPUs", "1",
     on::boots},
    {"reboot", "k|a|t", "how the guest ends: keyboard controller, ACPI, triple fault", "k", on::boots},
    {"name", "NAME", "what 'freeze' and 'thaw' call this machine", "the process id", on::run},
    {"freeze-at", "TIMES", "freeze the guest and take a snapshot so long after the workers' start, as 2s,4s", "never",
     on::run},
    {"snapshots", "N", "take N snapshots, spread over the 10 to 90 % of the run", "0", on::run},
    {"snapshot-dir", "DIR", "folder of the snapshots", "the results folder", on::run, carry::out_dir},
    {"snapshot-format", "core|ktstr", "ELF core (for drgn, crash, gdb) or our own, compressed", "core", on::run},
    {"watch", "SYMBOL[OP VALUE]", "snapshot when a kernel variable is stored to: SYMBOL[+OFFSET][:SIZE][OP VALUE], "
     "OP one of == != < > &; at most three", "none", on::run, carry::plain, true},
    {"death-snapshot", "", "a snapshot of a guest that dies or hangs, as it died", "", on::run},
    {"dual-snapshot", "", "two: one when the guest has been silent for half its limit, one when it dies", "", on::run},
    {"freeze-timeout", "TIME", "how long a freeze waits for every vCPU; then the snapshot is degraded", "30s", on::run},
    {"transport", "auto|mmio|pci", "what carries virtio; auto: mmio where the kernel has its driver, else pci", "auto",
     on::boots},
    {"keep", "", "keep the guest's memory image and initramfs beside the results", "", on::run},
    {"strict", "", "inconclusive and missing requirements (exit 3 and 77) become failures (exit 1)", "", on::run},
    {"quiet", "", "no progress, only the verdict", "", on::boots},
    {"fault", "NAME", "self-test: make the scenario go wrong on purpose (docs/ktstr-run.md lists the names)", "none",
     on::run, carry::plain, true},
    // For the inside of the lab, not in the help: the results folder's name outside, and the machine outside.
    {"shown-as", "DIR", "", "", on::run},
    {"snapshots-shown-as", "DIR", "", "", on::run},
    {"lab-host", "TEXT", "", "", on::run},
    // The same for the words of the program in the guest, as they were found outside.
    {"guest-command", "WORD", "", "", on::shell | on::exec, carry::plain, true},
    {"force", "", "fetch or add again even if the store has it", "", on::kernel},
    {"help", "", "these lines", "", on::all},
};

/// Row of the command called `name`, or null.
[[nodiscard]] constexpr command_row const* find_command(std::string_view name) noexcept {
    for (auto const& row : command_rows)
        if (row.name == name)
            return &row;
    return nullptr;
}

/// Row of the option `name` of the command with `bit`, or null.
[[nodiscard]] constexpr option_row const* find_option(std::string_view name, std::uint32_t bit) noexcept {
    for (auto const& row : option_rows)
        if (row.name == name && (row.commands & bit) != 0)
            return &row;
    return nullptr;
}

namespace detail {
/// No command has two rows of one option.
[[nodiscard]] consteval bool options_are_unique() {
    for (auto const& a : option_rows)
        for (auto const& b : option_rows)
            if (&a != &b && a.name == b.name && (a.commands & b.commands) != 0)
                return false;
    return true;
}
static_assert(options_are_unique());
} // namespace detail

} // namespace ktstr::tool
