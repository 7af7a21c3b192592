// SPDX-License-Identifier: Apache-2.0
// Pid 1 of the lab machine: mounts, modules, the control port, then it serves.
#include "ktstr-lab/guest.hpp"
#include "ktstr/sys/io.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace ktstr::lab::guest {

namespace {
void say(std::string const& line) {
    if (auto const fd = unique_fd::open("/dev/kmsg", O_WRONLY))
        (void)write_all(fd->get(), "<1>ktstr-lab: " + line + '\n');
}

[[noreturn]] void die(std::string const& why) {
    say(why + ": " + std::strerror(errno));
    ::sync();
    ::reboot(RB_AUTOBOOT); // with QEMU's -no-reboot this ends the machine
    for (;;)
        ::pause();
}

void mount_one(char const* what, char const* where, char const* type, char const* options = nullptr) {
    ::mkdir(where, 0755);
    if (::mount(what, where, type, 0, options) != 0)
        say(std::string("mount ") + where + ": " + std::strerror(errno));
}

void mount_all() {
    // The root is a tmpfs too (initramfs); by default it holds half of the memory and no huge pages.
    if (::mount(nullptr, "/", nullptr, MS_REMOUNT, "size=95%,huge=within_size") != 0)
        say(std::string("remount /: ") + std::strerror(errno));
    mount_one("sysfs", "/sys", "sysfs");
    mount_one("devtmpfs", "/dev", "devtmpfs");
    mount_one("devpts", "/dev/pts", "devpts", "ptmxmode=0666");
    mount_one("tmpfs", "/dev/shm", "tmpfs", "mode=1777,size=95%");
    mount_one("cgroup2", "/sys/fs/cgroup", "cgroup2");
    mount_one("debugfs", "/sys/kernel/debug", "debugfs");
    mount_one("tracefs", "/sys/kernel/tracing", "tracefs");
    mount_one("tmpfs", "/run", "tmpfs", "mode=755");
    mount_one("tmpfs", "/tmp", "tmpfs", "mode=1777,size=95%,huge=within_size");
    mount_one("tmpfs", "/in", "tmpfs", "mode=755,size=95%,huge=within_size");
    mount_one("tmpfs", "/out", "tmpfs", "mode=1777,size=95%,huge=within_size");
    ::symlink("/proc/self/fd", "/dev/fd");
    ::symlink("/proc/self/fd/0", "/dev/stdin");
    ::symlink("/proc/self/fd/1", "/dev/stdout");
    ::symlink("/proc/self/fd/2", "/dev/stderr");
    for (char const* each : {"cpuset", "cpu", "memory", "pids", "io"})
        (void)write_control("/sys/fs/cgroup/cgroup.subtree_control", std::string("+") + each);
}

/// Modules lie in /lib/modules/lab/ in the order of their numbers.
void load_modules() {
    dirent** list = nullptr;
    int const n = ::scandir("/lib/modules/lab", &list, nullptr, alphasort);
    for (int i = 0; i < n; ++i) {
        std::string const name = list[i]->d_name;
        std::free(list[i]);
        if (name[0] == '.')
            continue;
        auto const fd = unique_fd::open(("/lib/modules/lab/" + name).c_str(), O_RDONLY);
        int const flags = name.ends_with(".xz") ? 4 /* MODULE_INIT_COMPRESSED_FILE */ : 0;
        if (!fd || ::syscall(SYS_finit_module, fd->get(), "", flags) != 0)
            say("module " + name + ": " + std::strerror(errno));
    }
    std::free(list);
}

result<> write_text(char const* path, std::string_view text) {
    KTSTR_TRY(auto const fd, unique_fd::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
    return write_all(fd.get(), text);
}

/// The applets of busybox as links in /bin.
void install_busybox() {
    auto const pid = ::fork();
    if (pid == 0) {
        ::execl("/bin/busybox", "busybox", "--install", "-s", "/bin", nullptr);
        ::_exit(127);
    }
    ::waitpid(pid, nullptr, 0);
}

void make_users() {
    ::mkdir("/etc", 0755);
    (void)write_text("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n"
                                      "nobody:x:65534:65534:nobody:/:/bin/false\n");
    (void)write_text("/etc/group", "root:x:0:\nkvm:x:104:user\nuser:x:1000:\nnogroup:x:65534:\n");
    (void)write_text("/etc/hosts", "127.0.0.1 localhost\n");
    ::mkdir("/root", 0700);
    ::mkdir("/home", 0755);
    ::mkdir("/home/user", 0755);
    if (::chown("/home/user", 1000, 1000) != 0 || ::chmod("/dev/kvm", 0666) != 0)
        say(std::string("users: ") + std::strerror(errno));
}

void raise_limits() {
    rlimit const files{1U << 20, 1U << 20}, locked{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_NOFILE, &files);
    ::setrlimit(RLIMIT_MEMLOCK, &locked);
    (void)write_control("/proc/sys/kernel/panic_on_oops", "0");
    (void)write_control("/sys/kernel/mm/transparent_hugepage/enabled", "always");
    (void)write_control("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "advise");
    // loopback up
    unique_fd const s(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    ::ioctl(s.get(), SIOCSIFFLAGS, &request);
}

unique_fd open_port() {
    for (int tries = 0; tries < 500; ++tries) {
        if (auto* const folder = ::opendir("/sys/class/virtio-ports"); folder != nullptr) {
            while (auto const* const each = ::readdir(folder)) {
                auto const name = read_file((std::string("/sys/class/virtio-ports/") + each->d_name + "/name").c_str());
                if (!name || *name != "ktstr.lab\n")
                    continue;
                unique_fd fd(::open((std::string("/dev/") + each->d_name).c_str(), O_RDWR | O_CLOEXEC));
                ::closedir(folder);
                if (!fd)
                    die("control port");
                return fd;
            }
            ::closedir(folder);
        }
        timespec const rest{0, 10'000'000};
        ::nanosleep(&rest, nullptr);
    }
    errno = ENODEV;
    die("no control port");
}

unique_fd open_disk() {
    for (int tries = 0; tries < 500; ++tries) {
        unique_fd fd(::open("/dev/vda", O_RDWR | O_DIRECT | O_CLOEXEC));
        if (fd)
            return fd;
        timespec const rest{0, 10'000'000};
        ::nanosleep(&rest, nullptr);
    }
    die("no transfer disk");
}

void say_ready(port const& to) {
    ready_message m;
    struct sysinfo info {};
    ::sysinfo(&info);
    utsname name{};
    ::uname(&name);
    m.cpus = static_cast<std::uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN));
    m.memory = static_cast<std::uint64_t>(info.totalram) * info.mem_unit;
    m.has_kvm = ::access("/dev/kvm", R_OK | W_OK) == 0 ? 1 : 0;
    m.release = name.release;
    to.send(frame_type::ready, 0, m);
}

/// A restored machine is a copy: give it the time, random numbers and a name of its own.
void greet(hello_message const& hello) {
    timespec now{};
    now.tv_sec = static_cast<time_t>(hello.wall_ns / 1'000'000'000U);
    now.tv_nsec = static_cast<long>(hello.wall_ns % 1'000'000'000U);
    ::clock_settime(CLOCK_REALTIME, &now);
    struct { // rand_pool_info with its buffer
        int entropy_count = 256, buf_size = 32;
        std::array<std::uint8_t, 32> buf{};
    } pool;
    pool.buf = hello.seed;
    if (auto const fd = unique_fd::open("/dev/urandom", O_RDWR)) {
        ::ioctl(fd->get(), RNDADDENTROPY, &pool);
        ::ioctl(fd->get(), RNDRESEEDCRNG);
    }
    ::sethostname(hello.name.data(), hello.name.size());
}

/// Runs `act` on the payload decoded as an M; a payload that does not decode is a broken host.
template <class M, class F>
result<> with(frame const& f, F&& act) {
    KTSTR_TRY(auto const message, decode_message<M>(f.payload));
    act(message);
    return {};
}

[[noreturn]] void serve(port const& to, int disk, int signals) {
    job_table jobs(to);
    frame_decoder decoder;
    std::vector<std::byte> buffer(65536);
    auto const on_frame = [&](frame const& f) -> result<> {
        auto const c = f.channel;
        switch (f.type) {
        case frame_type::hello:
            return with<hello_message>(f, [&](auto const& m) {
                greet(m);
                say_ready(to);
            });
        case frame_type::put:
            return with<put_message>(f, [&](auto const& m) { to.send(frame_type::done, c, put_entry(disk, m)); });
        case frame_type::get:
            return with<get_message>(f, [&](auto const& m) { to.send(frame_type::done, c, get_tree(disk, m, to, c)); });
        case frame_type::spawn: return with<spawn_message>(f, [&](auto const& m) { jobs.spawn(c, m); });
        case frame_type::dial: return with<dial_message>(f, [&](auto const& m) { jobs.dial(c, m); });
        case frame_type::stdin_data: jobs.input(c, f.payload); return {};
        case frame_type::credit: return with<credit_message>(f, [&](auto const& m) { jobs.credit(c, m); });
        case frame_type::signal:
            return with<signal_message>(f, [&](auto const& m) { jobs.signal(c, static_cast<int>(m.number)); });
        case frame_type::winsize: return with<winsize_message>(f, [&](auto const& m) { jobs.resize(c, m); });
        case frame_type::hang_up: jobs.hang_up(c); return {};
        default: return {};
        }
    };
    std::array<int, 2> const extra{to.fd(), signals};
    std::array<bool, 2> ready{};
    say_ready(to);
    for (;;) {
        jobs.wait(extra, ready, -1);
        if (ready[1]) {
            signalfd_siginfo info{};
            (void)::read(signals, &info, sizeof info);
            jobs.reap();
        }
        if (!ready[0])
            continue;
        auto const n = ::read(to.fd(), buffer.data(), buffer.size());
        if (n <= 0) { // nobody at the other end right now
            timespec const rest{0, 10'000'000};
            ::nanosleep(&rest, nullptr);
            continue;
        }
        if (!decoder.feed(std::span(buffer).first(static_cast<std::size_t>(n)), on_frame)) {
            errno = EPROTO;
            die("the control port sent nonsense");
        }
    }
}
} // namespace

void port::send(frame_type type, std::uint32_t channel, std::span<std::byte const> payload) const {
    std::vector<std::byte> out;
    out.reserve(sizeof(frame_header) + payload.size());
    append_frame(out, type, channel, payload);
    (void)write_all(fd_.get(), out);
}

void init_main() {
    mount_all();
    load_modules();
    install_busybox();
    make_users();
    raise_limits();
    ::setenv("PATH", "/in:/bin:/sbin:/usr/bin:/usr/sbin", 1);
    ::setenv("HOME", "/root", 1);
    ::setenv("TERM", "linux", 0);
    ::setenv("KTSTR_IN_LAB", "1", 1);
    auto const line = read_file("/proc/cmdline");
    ::setenv("KTSTR_LAB_TIME", line && line->find("ktstr.time=virtual") != std::string::npos ? "virtual" : "real", 1);
    ::setenv("XDG_RUNTIME_DIR", "/run", 1);
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &chld, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    unique_fd const signals(::signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK));
    auto const disk = open_disk();
    port const to(open_port());
    serve(to, disk.get(), signals.get());
}

} // namespace ktstr::lab::guest
