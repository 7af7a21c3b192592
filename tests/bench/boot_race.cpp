// SPDX-License-Identifier: Apache-2.0
// Boot to agent: our machine against QEMU's microvm, same kernel, same initramfs, taking turns in one run.
//
// usage: boot_race ROUNDS KERNEL_FOLDER AGENT OURS... -- QEMU...
// Makes one initramfs of AGENT (a static ktstr-run) and the modules of the stored kernel, and appends to both commands
// what they need to boot it: ours `--initramfs BASE`, QEMU `-kernel VMLINUX -initrd FULL`; QEMU's command connects its
// message port to the race's socket. Time is from exec to the agent's first byte (ours: to the line that announces it).
// Prints one line a boot and one `ratio` line; runs in the lab, where there is a KVM for both (boot_vs_microvm.py).
#include "ktstr/base/clock.hpp"
#include "ktstr/boot/initramfs.hpp"
#include "ktstr/scenario/builtin.hpp"
#include "ktstr/store/stored_kernel.hpp"
#include "ktstr/sys/io.hpp"
#include "bench_statistics.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <signal.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using namespace ktstr;

namespace {

constexpr char const* socket_path = "/tmp/boot-race.sock";
constexpr char const* base_initramfs = "/tmp/boot-race.base";
constexpr char const* full_initramfs = "/tmp/boot-race.initramfs";
constexpr std::int64_t give_up_ns = 120'000'000'000;

[[noreturn]] void die(char const* what) {
    std::perror(what);
    std::exit(99);
}

result<std::vector<std::byte>> make_base(stored_kernel const& kernel, char const* agent) {
    initramfs_builder builder;
    KTSTR_CHECK(add_initramfs_skeleton(builder));
    auto const add = [&](char const* from, std::string const& to, std::uint32_t mode) -> result<> {
        KTSTR_TRY(auto const fd, unique_fd::open(from, O_RDONLY));
        KTSTR_TRY(auto raw, read_to_end(fd.get(), std::uint64_t{1} << 30));
        return builder.add_file(to, mode, std::move(raw));
    };
    KTSTR_CHECK(add(agent, "init", 0755));
    int number = 0;
    for (auto const& m : kernel.modules) {
        auto const slash = m.file.rfind('/');
        KTSTR_CHECK(add(m.file.c_str(), "ktstr/modules/" + std::to_string(10 + number++) + "-" + m.file.substr(slash + 1), 0644));
    }
    return builder.archive();
}

result<> write_file(char const* path, std::span<std::byte const> first, std::span<std::byte const> second) {
    KTSTR_TRY(auto const fd, unique_fd::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    KTSTR_CHECK(write_all(fd.get(), first));
    return write_all(fd.get(), second);
}

/// The agent's archive alone for us, and with the plan of a short scenario behind it for QEMU: what our own machine puts
/// into memory.
result<> write_initramfs(stored_kernel const& kernel, char const* agent) {
    scenario_options options;
    options.duration_ns = 1'000'000;
    KTSTR_TRY(auto const what, make_builtin("steady", topology_plan{true, 1, 1, 1, 1}, options));
    KTSTR_TRY(auto const encoded, encode_plan(what));
    KTSTR_TRY(auto const suffix, make_initramfs_suffix(encoded));
    KTSTR_TRY(auto const base, make_base(kernel, agent));
    KTSTR_CHECK(write_file(base_initramfs, base, {}));
    return write_file(full_initramfs, base, suffix);
}

struct child {
    pid_t pid = -1;
    nanos begun{};
};

child spawn(std::vector<std::string> const& words, int error_fd) {
    std::vector<char*> argv;
    for (auto const& w : words)
        argv.push_back(const_cast<char*>(w.c_str()));
    argv.push_back(nullptr);
    child out;
    out.begun = monotonic_clock{}.now();
    out.pid = ::fork();
    if (out.pid == 0) {
        ::setpgid(0, 0);
        int const null = ::open("/dev/null", O_RDWR);
        ::dup2(null, 0);
        ::dup2(error_fd >= 0 ? error_fd : null, 1);
        ::dup2(error_fd >= 0 ? error_fd : 2, 2);
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    if (out.pid < 0)
        die("fork");
    return out;
}

void finish(child const& c) {
    ::kill(-c.pid, SIGKILL);
    ::waitpid(c.pid, nullptr, 0);
}

double since(child const& c) { return static_cast<double>((monotonic_clock{}.now() - c.begun).raw) * 1e-6; }

/// Milliseconds to our line, or a negative number.
double race_ours(std::vector<std::string> const& words) {
    int pipe_fds[2];
    if (::pipe(pipe_fds) != 0)
        die("pipe");
    auto const c = spawn(words, pipe_fds[1]);
    ::close(pipe_fds[1]);
    std::string seen;
    double took = -1;
    for (;;) {
        pollfd p{pipe_fds[0], POLLIN, 0};
        auto const left = give_up_ns - (monotonic_clock{}.now() - c.begun).raw;
        if (left <= 0 || ::poll(&p, 1, static_cast<int>(left / 1'000'000)) <= 0)
            break;
        char buffer[4096];
        auto const n = ::read(pipe_fds[0], buffer, sizeof buffer);
        if (n <= 0)
            break;
        seen.append(buffer, static_cast<std::size_t>(n));
        if (seen.find("the agent is up") != std::string::npos) {
            took = since(c);
            break;
        }
    }
    finish(c);
    ::close(pipe_fds[0]);
    if (took < 0)
        std::fprintf(stderr, "ours said: %s\n", seen.c_str());
    return took;
}

/// Milliseconds to QEMU's first byte on the message port, or a negative number.
double race_qemu(std::vector<std::string> const& words) {
    ::unlink(socket_path);
    int const listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, socket_path);
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener, 1) != 0)
        die(socket_path);
    auto const c = spawn(words, -1);
    double took = -1;
    pollfd p{listener, POLLIN, 0};
    if (::poll(&p, 1, 60'000) > 0) {
        int const stream = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        p.fd = stream;
        if (::poll(&p, 1, static_cast<int>(give_up_ns / 1'000'000)) > 0) {
            char byte = 0;
            if (::read(stream, &byte, 1) == 1)
                took = since(c);
        }
        ::close(stream);
    }
    finish(c);
    ::close(listener);
    return took;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 6)
        return 2;
    int const rounds = std::atoi(argv[1]);
    auto const kernel = open_stored_kernel(argv[2], verify::sizes);
    if (!kernel)
        die(argv[2]);
    if (auto const done = write_initramfs(*kernel, argv[3]); !done)
        die(done.error().where.data());
    std::vector<std::string> ours, qemu;
    auto* into = &ours;
    for (int i = 4; i < argc; ++i) {
        if (std::string_view(argv[i]) == "--")
            into = &qemu;
        else
            into->emplace_back(argv[i]);
    }
    ours.insert(ours.end(), {"--initramfs", base_initramfs});
    qemu.insert(qemu.end(), {"-kernel", kernel->vmlinux, "-initrd", full_initramfs});

    std::vector<double> a, b, ratio;
    for (int i = 0; i < rounds; ++i) {
        double x = 0, y = 0;
        if (i % 2 == 0) {
            x = race_ours(ours);
            y = race_qemu(qemu);
        } else {
            y = race_qemu(qemu);
            x = race_ours(ours);
        }
        std::printf("boot %d: ours %.0f ms, QEMU microvm %.0f ms\n", i, x, y);
        std::fflush(stdout);
        if (x < 0 || y < 0)
            return 1;
        a.push_back(x);
        b.push_back(y);
        ratio.push_back(x / y);
    }
    std::printf("boot to agent: ours %.0f ms, QEMU microvm %.0f ms (medians of %d)\n", bench::median(a), bench::median(b), rounds);
    std::printf("ratio boot_to_agent %.4f wanted <= 1.0\n", bench::median(ratio));
    return 0;
}
