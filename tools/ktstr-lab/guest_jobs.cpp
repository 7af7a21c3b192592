// SPDX-License-Identifier: Apache-2.0
// Programs and forwarded connections inside the lab machine.
#include "ktstr-lab/guest.hpp"
#include "ktstr/sys/io.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

namespace ktstr::lab::guest {

namespace {
void set_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

std::uint64_t nanoseconds(timeval const& t) {
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(t.tv_usec) * 1000U;
}

[[noreturn]] void child_main(spawn_message const& what, int in, int out, int err) {
    ::setsid();
    if (what.tty != 0)
        ::ioctl(in, TIOCSCTTY, 0);
    ::dup2(in, 0);
    ::dup2(out, 1);
    ::dup2(err, 2);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int s = 1; s < 32; ++s)
        ::signal(s, SIG_DFL);
    for (auto const& each : what.env)
        ::putenv(const_cast<char*>(each.c_str()));
    auto const complain = [&](std::string const& about) {
        auto const number = errno;
        (void)write_all(2, "ktstr-lab: " + about + ": " + std::strerror(number) + '\n');
        ::_exit(number == ENOENT ? 127 : 126);
    };
    if (!what.cwd.empty() && ::chdir(what.cwd.c_str()) != 0)
        complain("cannot enter '" + what.cwd + "' in the lab");
    std::vector<char*> argv;
    for (auto const& each : what.argv)
        argv.push_back(const_cast<char*>(each.c_str()));
    argv.push_back(nullptr);
    if (argv.front() != nullptr) {
        ::execvp(argv.front(), argv.data());
        complain("cannot run '" + what.argv.front() + "' in the lab");
    }
    ::_exit(127);
}
} // namespace

void job_table::spawn(std::uint32_t channel, spawn_message const& what) {
    job j;
    j.out_credit = j.err_credit = what.output_credit;
    unique_fd child_in, child_out, child_err;
    if (what.tty != 0) {
        int master = -1, slave = -1;
        winsize size{};
        size.ws_row = what.rows;
        size.ws_col = what.columns;
        if (::openpty(&master, &slave, nullptr, nullptr, &size) == 0) {
            j.out = unique_fd(master);
            j.in = unique_fd(::fcntl(master, F_DUPFD_CLOEXEC, 3));
            ::fcntl(master, F_SETFD, FD_CLOEXEC);
            child_in = unique_fd(slave);
            ::fcntl(slave, F_SETFD, FD_CLOEXEC);
            child_out = unique_fd(::fcntl(slave, F_DUPFD_CLOEXEC, 3));
            child_err = unique_fd(::fcntl(slave, F_DUPFD_CLOEXEC, 3));
        }
    } else {
        std::array<int, 2> p{};
        if (::pipe2(p.data(), O_CLOEXEC) == 0) {
            child_in = unique_fd(p[0]);
            j.in = unique_fd(p[1]);
        }
        if (::pipe2(p.data(), O_CLOEXEC) == 0) {
            j.out = unique_fd(p[0]);
            child_out = unique_fd(p[1]);
        }
        if (::pipe2(p.data(), O_CLOEXEC) == 0) {
            j.err = unique_fd(p[0]);
            child_err = unique_fd(p[1]);
        }
    }
    j.cgroup = "/sys/fs/cgroup/job-" + std::to_string(channel);
    ::mkdir(j.cgroup.c_str(), 0755);
    j.pid = (child_in && child_out && child_err) ? ::fork() : -1;
    if (j.pid == 0) {
        (void)write_control((j.cgroup + "/cgroup.procs").c_str(), "0");
        child_main(what, child_in.get(), child_out.get(), child_err.get());
    }
    if (j.pid < 0) {
        j.exited = true;
        j.result.code = 126;
    }
    for (auto const* fd : {&j.in, &j.out, &j.err})
        if (*fd)
            set_nonblocking(fd->get());
    jobs_.insert_or_assign(channel, std::move(j));
}

void job_table::dial(std::uint32_t channel, dial_message const& what) {
    done_message answer;
    unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (what.path.size() >= sizeof address.sun_path) {
        answer = {ENAMETOOLONG, what.path};
    } else {
        std::memcpy(address.sun_path, what.path.data(), what.path.size());
        if (!fd || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            answer = {static_cast<std::uint32_t>(errno), what.path};
    }
    port_.send(frame_type::done, channel, answer);
    if (answer.error != 0)
        return;
    job j;
    j.program = false;
    j.out_credit = what.output_credit;
    j.in = unique_fd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
    j.out = std::move(fd);
    set_nonblocking(j.out.get());
    jobs_.insert_or_assign(channel, std::move(j));
}

void job_table::input(std::uint32_t channel, std::span<std::byte const> data) {
    auto const at = jobs_.find(channel);
    if (at == jobs_.end())
        return;
    auto& j = at->second;
    if (data.empty())
        j.input_ended = true;
    else if (j.pending.size() + data.size() <= 2 * input_window)
        j.pending.insert(j.pending.end(), data.begin(), data.end());
    serve_input(channel, j);
}

void job_table::credit(std::uint32_t channel, credit_message const& what) {
    auto const at = jobs_.find(channel);
    if (at == jobs_.end())
        return;
    (what.stream == static_cast<std::uint16_t>(frame_type::stderr_data) ? at->second.err_credit : at->second.out_credit) +=
        what.bytes;
}

void job_table::signal(std::uint32_t channel, int number) {
    auto const at = jobs_.find(channel);
    if (at != jobs_.end() && at->second.pid > 0 && !at->second.exited && number > 0 && number < 65)
        ::kill(-at->second.pid, number);
}

void job_table::resize(std::uint32_t channel, winsize_message const& what) {
    auto const at = jobs_.find(channel);
    if (at == jobs_.end())
        return;
    winsize size{};
    size.ws_row = what.rows;
    size.ws_col = what.columns;
    ::ioctl(at->second.out.get(), TIOCSWINSZ, &size);
}

void job_table::hang_up(std::uint32_t channel) {
    auto const at = jobs_.find(channel);
    if (at == jobs_.end())
        return;
    if (!at->second.program) {
        jobs_.erase(at);
        return;
    }
    if (!write_control((at->second.cgroup + "/cgroup.kill").c_str(), "1") && at->second.pid > 0)
        ::kill(-at->second.pid, SIGKILL);
}

void job_table::reap() {
    int status = 0;
    rusage used{};
    for (int pid = 0; (pid = ::wait4(-1, &status, WNOHANG, &used)) > 0;) {
        auto const at = std::find_if(jobs_.begin(), jobs_.end(), [&](auto const& e) { return e.second.pid == pid; });
        if (at == jobs_.end() || at->second.exited)
            continue;
        at->second.exited = true;
        at->second.result.code = static_cast<std::uint32_t>(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
        at->second.result.user_ns = nanoseconds(used.ru_utime);
        at->second.result.system_ns = nanoseconds(used.ru_stime);
    }
}

void job_table::serve_input(std::uint32_t channel, job& j) {
    std::uint64_t taken = 0;
    while (j.in && taken < j.pending.size()) {
        auto const n = ::write(j.in.get(), j.pending.data() + taken, j.pending.size() - taken);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            if (errno != EAGAIN) { // nobody reads any more: swallow what comes
                j.in.reset();
                taken = j.pending.size();
            }
            break;
        }
        taken += static_cast<std::uint64_t>(n);
    }
    if (!j.in)
        taken = j.pending.size();
    j.pending.erase(j.pending.begin(), j.pending.begin() + static_cast<std::ptrdiff_t>(taken));
    if (taken != 0)
        port_.send(frame_type::credit, channel, credit_message{static_cast<std::uint16_t>(frame_type::stdin_data), taken});
    if (j.input_ended && j.pending.empty() && j.in) {
        if (!j.program)
            ::shutdown(j.in.get(), SHUT_WR);
        else if (!j.err) { // a terminal ends by its end-of-file character
            termios mode{};
            char end = 4;
            if (::tcgetattr(j.in.get(), &mode) == 0)
                end = static_cast<char>(mode.c_cc[VEOF]);
            (void)::write(j.in.get(), &end, 1);
        }
        j.in.reset();
    }
}

void job_table::serve_output(std::uint32_t channel, job& j, bool is_err) {
    auto& fd = is_err ? j.err : j.out;
    auto& credit = is_err ? j.err_credit : j.out_credit;
    auto const type = is_err ? frame_type::stderr_data : frame_type::stdout_data;
    static std::array<std::byte, 32768> buffer;
    while (fd && credit != 0) {
        auto const n = ::read(fd.get(), buffer.data(), std::min<std::uint64_t>(buffer.size(), credit));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) { // end, or EIO of a terminal without a slave
            fd.reset();
            port_.send(type, channel, std::span<std::byte const>());
            return;
        }
        credit -= static_cast<std::uint64_t>(n);
        port_.send(type, channel, std::span(buffer).first(static_cast<std::size_t>(n)));
        if (n < 4096)
            return; // let others have their turn
    }
}

bool job_table::finish_if_done(std::uint32_t channel, job& j) {
    if (!j.program)
        return !j.out; // the peer closed; the end frame is out
    if (!j.exited)
        return false;
    // What the program left in its pipes comes first. Somebody it started may hold them open: do not wait for the end.
    for (bool const is_err : {false, true}) {
        serve_output(channel, j, is_err);
        auto const& fd = is_err ? j.err : j.out;
        int waiting = 0;
        if (fd && ::ioctl(fd.get(), FIONREAD, &waiting) == 0 && waiting > 0)
            return false;
    }
    port_.send(frame_type::exited, channel, j.result);
    ::rmdir(j.cgroup.c_str());
    return true;
}

void job_table::wait(std::span<int const> extra, std::span<bool> ready, int timeout_ms) {
    struct place {
        std::uint32_t channel;
        int what;
    };
    for (auto at = jobs_.begin(); at != jobs_.end();)
        at = finish_if_done(at->first, at->second) ? jobs_.erase(at) : std::next(at);
    std::vector<pollfd> set;
    std::vector<place> places;
    for (int const fd : extra)
        set.push_back({fd, POLLIN, 0});
    for (auto& [channel, j] : jobs_) {
        if (j.out && j.out_credit != 0) {
            set.push_back({j.out.get(), POLLIN, 0});
            places.push_back({channel, 1});
        }
        if (j.err && j.err_credit != 0) {
            set.push_back({j.err.get(), POLLIN, 0});
            places.push_back({channel, 2});
        }
        if (j.in && !j.pending.empty()) {
            set.push_back({j.in.get(), POLLOUT, 0});
            places.push_back({channel, 0});
        }
    }
    auto const n = ::poll(set.data(), set.size(), timeout_ms);
    for (std::size_t i = 0; i < extra.size(); ++i)
        ready[i] = n > 0 && (set[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
    for (std::size_t i = 0; n > 0 && i < places.size(); ++i) {
        if (set[extra.size() + i].revents == 0)
            continue;
        auto& j = jobs_.at(places[i].channel);
        if (places[i].what == 0)
            serve_input(places[i].channel, j);
        else
            serve_output(places[i].channel, j, places[i].what == 2);
    }
}

} // namespace ktstr::lab::guest
