// SPDX-License-Identifier: Apache-2.0
#include "ktstr-lab/machine.hpp"
#include "ktstr/sys/io.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ktstr::lab {

namespace {
/// RAM pages at fixed places of the file: written once each, read in one sweep.
constexpr char const* mapped_ram =
    R"({"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":"mapped-ram","state":true}]}})";

/// Without the "fast string" bits kernels copy and clear by eight bytes a step instead of one; emulated, each step costs
/// the same. Guests take the CPUID over, so they gain too: half the CPU time of a boot.
constexpr char const* cpu_model = "max,erms=off,fsrm=off,fzrm=off,fsrs=off";

/// `text` inside a JSON string.
std::string quoted(std::string const& text) {
    std::string out;
    for (char const c : text) {
        if (c == '"' || c == '\\')
            out += '\\';
        out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
    return out;
}

/// A QMP command that names one file.
std::string file_command(char const* name, std::string const& path) {
    return std::string(R"({"execute":")") + name + R"(","arguments":{"uri":"file:)" + quoted(path) + "\"}}";
}

bool pair(unique_fd& ours, unique_fd& theirs) {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return false;
    ours = unique_fd(fds[0]);
    theirs = unique_fd(fds[1]);
    return ::fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0;
}

/// The rate of this machine's time-stamp counter in kHz; 0 if it cannot be told. QEMU hands the counter through, and a lab
/// kernel that measures it itself against emulated timers gets it wrong by a factor when this machine is busy: its clock, and
/// that of every guest in it, then runs too fast for as long as the snapshot lives.
std::uint64_t tsc_khz() {
#if defined(__x86_64__)
    timespec start{}, end{};
    std::uint64_t first = 0, last = 0;
    // Of several readings the one that was interrupted least tells which count belongs to which time.
    auto const read = [](timespec& when, std::uint64_t& count) {
        std::uint64_t best = ~0ULL;
        for (int i = 0; i < 50; ++i) {
            timespec now{};
            auto const before = __builtin_ia32_rdtsc();
            ::clock_gettime(CLOCK_MONOTONIC, &now);
            auto const after = __builtin_ia32_rdtsc();
            if (after - before < best) {
                best = after - before;
                when = now;
                count = before + (after - before) / 2;
            }
        }
    };
    read(start, first);
    timespec const pause{0, 50'000'000};
    ::nanosleep(&pause, nullptr);
    read(end, last);
    auto const ns = (end.tv_sec - start.tv_sec) * 1'000'000'000 + (end.tv_nsec - start.tv_nsec);
    return ns > 0 && last > first ? static_cast<std::uint64_t>(static_cast<double>(last - first) * 1e6 / static_cast<double>(ns)) : 0;
#else
    return 0;
#endif
}

std::vector<std::string> command_line(machine_config const& config, machine_files const& files) {
    std::vector<std::string> out{files.qemu, "-L", files.firmware, "-nodefaults", "-no-user-config", "-display", "none",
                                 "-no-reboot", "-machine", "q35,vmport=off,hpet=off", "-cpu", cpu_model,
                                 "-smp", std::to_string(config.cpus), "-m", std::to_string(config.memory_mib) + "M"};
    auto const add = [&](std::initializer_list<char const*> more) { out.insert(out.end(), more.begin(), more.end()); };
    if (config.virtual_time)
        add({"-accel", "tcg,tb-size=512", "-icount", "shift=1,sleep=off"});
    else
        add({"-accel", "tcg,thread=multi,tb-size=512"});
    out.insert(out.end(), {"-kernel", files.kernel, "-initrd", files.initrd, "-append",
                           std::string("ktstr.role=lab console=ttyS0 loglevel=5 panic=-1 mitigations=off tsc=reliable no_timer_check "
                           "random.trust_cpu=on transparent_hugepage=always ktstr.time=")
                               + (config.virtual_time ? "virtual" : "real")});
    if (auto const khz = config.virtual_time ? 0 : tsc_khz(); khz != 0)
        out.back() += " tsc_early_khz=" + std::to_string(khz);
    return out;
}

void add_channel(std::vector<std::string>& argv, std::string const& name, int fd) {
    argv.insert(argv.end(), {"-chardev", "socket,id=" + name + ",fd=" + std::to_string(fd)});
}
} // namespace

outcome<machine> machine::start(machine_config const& config, machine_files const& files) {
    machine out;
    unique_fd control, serial, qmp;
    auto disk = unique_fd::memfd("ktstr-lab-transfer");
    auto said = unique_fd::memfd("ktstr-lab-stderr");
    if (!pair(out.control_, control) || !pair(out.serial_, serial) || !pair(out.qmp_, qmp) || !disk || !said
        || ::ftruncate(disk->get(), static_cast<off_t>(transfer_size)) != 0)
        return problem_of(exit_code::harness, std::string("cannot make the lab's channels: ") + std::strerror(errno), {},
                          "check 'ulimit -n' and free memory");
    out.disk_ = std::move(*disk);
    out.stderr_ = std::move(*said);
    auto argv = command_line(config, files);
    add_channel(argv, "control", control.get());
    add_channel(argv, "console", serial.get());
    add_channel(argv, "qmp", qmp.get());
    argv.insert(argv.end(), {"-serial", "chardev:console", "-mon", "chardev=qmp,mode=control", "-device",
                             "virtio-serial-pci,id=vs,max_ports=2", "-device",
                             "virtserialport,bus=vs.0,chardev=control,name=ktstr.lab,nr=1", "-add-fd",
                             "set=1,fd=" + std::to_string(out.disk_.get()), "-blockdev",
                             "driver=file,node-name=transfer-file,filename=/dev/fdset/1,locking=off,aio=threads", "-blockdev",
                             "driver=raw,node-name=transfer,file=transfer-file", "-device",
                             "virtio-blk-pci,drive=transfer,id=transfer0"});
    if (!files.snapshot.empty())
        argv.insert(argv.end(), {"-incoming", "defer"});
    child::options how;
    how.err = how.out = out.stderr_.get();
    how.env = {"LD_LIBRARY_PATH=" + files.libraries};
    how.keep = {control.get(), serial.get(), qmp.get(), out.disk_.get()};
    auto started = child::start(argv, how);
    if (!started)
        return std::unexpected(started.error());
    out.process_ = std::move(*started);
    return out;
}

std::string machine::complaint() const {
    std::string text(4096, '\0');
    auto const n = ::pread(stderr_.get(), text.data(), text.size(), 0);
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    return text;
}

outcome<std::string> machine::qmp(signal_gate const& gate, std::string const& command, std::int64_t deadline) {
    if (!qmp_ready_) {
        qmp_ready_ = true;
        if (auto hello = qmp(gate, R"({"execute":"qmp_capabilities"})", deadline); !hello)
            return hello;
    }
    auto const gone = [&] {
        return problem_of(exit_code::harness, "the emulator ended: " + complaint(), "qemu-system-x86_64");
    };
    if (!write_all(qmp_.get(), command + '\n'))
        return gone();
    for (;;) {
        auto const end = qmp_buffer_.find('\n');
        if (end != std::string::npos) {
            auto const line = qmp_buffer_.substr(0, end);
            qmp_buffer_.erase(0, end + 1);
            if (line.starts_with("{\"return\""))
                return line;
            if (line.starts_with("{\"error\""))
                return problem_of(exit_code::harness, "the emulator refused a command: " + line, command);
            continue; // greeting and events
        }
        auto const ready = gate.readable(qmp_.get(), deadline);
        if (!ready)
            return std::unexpected(ready.error());
        if (!*ready)
            return problem_of(exit_code::harness, "the emulator does not answer", command);
        char buffer[4096];
        auto const n = ::read(qmp_.get(), buffer, sizeof buffer);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return gone();
        if (n > 0)
            qmp_buffer_.append(buffer, static_cast<std::size_t>(n));
    }
}

outcome<std::string> machine::monitor(signal_gate const& gate, std::string const& line, std::int64_t deadline) {
    auto const raw = qmp(gate, R"({"execute":"human-monitor-command","arguments":{"command-line":")" + quoted(line) + "\"}}", deadline);
    if (!raw)
        return raw;
    // {"return": "text with \\r\\n"}
    std::string out;
    auto const end = raw->rfind('"');
    for (auto at = raw->find('"', raw->find(':')) + 1; at < end; ++at) {
        char const c = (*raw)[at];
        if (c != '\\') {
            out += c;
            continue;
        }
        char const next = (*raw)[++at];
        if (next == 'n')
            out += '\n';
        else if (next != 'r')
            out += next;
    }
    return out;
}

outcome<> machine::load(signal_gate const& gate, std::string const& path, std::int64_t deadline) {
    for (auto const& command : {std::string(mapped_ram), file_command("migrate-incoming", path)})
        if (auto done = qmp(gate, command, deadline); !done)
            return std::unexpected(done.error());
    for (;;) {
        auto const state = qmp(gate, R"({"execute":"query-status"})", deadline);
        if (!state)
            return std::unexpected(state.error());
        if (state->find(R"("status": "inmigrate")") == std::string::npos)
            break;
        if (auto const waited = gate.readable(-1, now_ns() + second / 200); !waited)
            return std::unexpected(waited.error());
    }
    if (auto done = qmp(gate, R"({"execute":"cont"})", deadline); !done)
        return std::unexpected(done.error());
    return {};
}

outcome<> machine::save(signal_gate const& gate, std::string const& path, std::int64_t deadline) {
    for (auto const& command :
         {std::string(R"({"execute":"stop"})"),
          std::string(mapped_ram),
          file_command("migrate", path)})
        if (auto done = qmp(gate, command, deadline); !done)
            return std::unexpected(done.error());
    for (;;) {
        auto const state = qmp(gate, R"({"execute":"query-migrate"})", deadline);
        if (!state)
            return std::unexpected(state.error());
        if (state->find(R"("status": "completed")") != std::string::npos)
            return {};
        if (state->find(R"("status": "failed")") != std::string::npos)
            return problem_of(exit_code::harness, "the emulator could not write the snapshot: " + *state, path,
                              "check the free space of the cache folder");
        if (auto const waited = gate.readable(-1, now_ns() + second / 100); !waited)
            return std::unexpected(waited.error());
    }
}

} // namespace ktstr::lab
