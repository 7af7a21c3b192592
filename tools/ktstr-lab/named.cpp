// SPDX-License-Identifier: Apache-2.0
#include "ktstr-lab/named.hpp"
#include "ktstr/sys/io.hpp"
#include "support/xdg.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace ktstr::lab {

namespace {
constexpr std::size_t fds_per_request = 3;

outcome<unique_fd> runtime_folder() {
    auto const base = tool::xdg_make(tool::xdg_folder::runtime);
    if (!base)
        return std::unexpected(base.error());
    auto const path = *base + "/lab";
    if (auto made = tool::make_folders(path); !made)
        return std::unexpected(made.error());
    unique_fd out(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat st {};
    if (!out || ::fstat(out.get(), &st) != 0 || st.st_uid != ::geteuid())
        return problem_of(exit_code::harness, "the folder for control sockets is not ours", path, "set XDG_RUNTIME_DIR");
    return out;
}

/// The socket's address by way of the open folder, so that no folder is too deep for it.
sockaddr_un address_of(int folder, std::string const& name) {
    sockaddr_un out{};
    out.sun_family = AF_UNIX;
    auto const path = "/proc/self/fd/" + std::to_string(folder) + '/' + name;
    std::memcpy(out.sun_path, path.data(), std::min(path.size(), sizeof out.sun_path - 1));
    return out;
}

int connect_in(int folder, std::string const& name) {
    int const fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto const address = address_of(folder, name + ".sock");
    if (fd >= 0 && ::connect(fd, reinterpret_cast<sockaddr const*>(&address), sizeof address) != 0) {
        auto const number = errno;
        ::close(fd);
        errno = number;
        return -1;
    }
    return fd;
}

/// The lock of a name, or none when somebody holds it. A lock file that was removed meanwhile does not count.
unique_fd try_lock(int folder, std::string const& name) {
    for (;;) {
        unique_fd fd(::openat(folder, (name + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        struct stat ours {}, there {};
        if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
            return {};
        if (::fstat(fd.get(), &ours) == 0 && ::fstatat(folder, (name + ".lock").c_str(), &there, 0) == 0
            && ours.st_ino == there.st_ino)
            return fd;
    }
}
} // namespace

bool good_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= 64 && name[0] != '.' && name[0] != '-'
           && std::all_of(name.begin(), name.end(), [](char c) {
                  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
              });
}

outcome<name_claim> name_claim::take(std::string const& name) {
    if (!good_name(name))
        return problem_of(exit_code::bad_input, "a lab cannot have this name", name, "use letters, digits, '.', '_' and '-'");
    auto folder = runtime_folder();
    if (!folder)
        return std::unexpected(folder.error());
    name_claim out;
    out.folder_ = std::move(*folder);
    out.lock_ = try_lock(out.folder_.get(), name);
    if (!out.lock_)
        return problem_of(exit_code::bad_input, "a lab of this name runs already", name,
                          "use 'ktstr-lab exec " + name + "', stop it, or take another name");
    out.name_ = name;
    ::unlinkat(out.folder_.get(), (name + ".sock").c_str(), 0);
    out.listening_ = unique_fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    auto const address = address_of(out.folder_.get(), name + ".sock");
    auto const old = ::umask(0177);
    bool const good = out.listening_ && ::bind(out.listening_.get(), reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0
                      && ::listen(out.listening_.get(), 16) == 0;
    ::umask(old);
    if (!good)
        return problem_of(exit_code::harness, std::string("cannot make the control socket: ") + std::strerror(errno), name);
    return out;
}

name_claim::~name_claim() {
    if (!lock_)
        return;
    ::unlinkat(folder_.get(), (name_ + ".sock").c_str(), 0);
    ::unlinkat(folder_.get(), (name_ + ".lock").c_str(), 0);
}

outcome<unique_fd> call_lab(std::string const& name) {
    auto const folder = runtime_folder();
    if (!folder)
        return std::unexpected(folder.error());
    unique_fd out(good_name(name) ? connect_in(folder->get(), name) : -1);
    if (!out)
        return problem_of(exit_code::bad_input, "no lab of this name runs", name, "'ktstr-lab ps' lists them");
    return out;
}

outcome<std::vector<std::string>> running_labs() {
    auto const folder = runtime_folder();
    if (!folder)
        return std::unexpected(folder.error());
    std::vector<std::string> out;
    auto* const list = ::fdopendir(::fcntl(folder->get(), F_DUPFD_CLOEXEC, 3));
    std::vector<std::string> names;
    while (auto const* const each = list == nullptr ? nullptr : ::readdir(list))
        if (std::string_view(each->d_name).ends_with(".lock"))
            names.emplace_back(each->d_name, std::strlen(each->d_name) - 5);
    if (list != nullptr)
        ::closedir(list);
    std::sort(names.begin(), names.end());
    for (auto const& each : names) {
        if (auto const lock = try_lock(folder->get(), each)) { // its owner is dead
            ::unlinkat(folder->get(), (each + ".sock").c_str(), 0);
            ::unlinkat(folder->get(), (each + ".lock").c_str(), 0);
        } else {
            out.push_back(each);
        }
    }
    return out;
}

outcome<> send_with_fds(int socket, frame_type type, std::span<std::byte const> payload, std::span<int const> fds) {
    std::vector<std::byte> raw;
    append_frame(raw, type, 0, payload);
    iovec data{raw.data(), raw.size()};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * fds_per_request)> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
        auto* const head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
        std::memcpy(CMSG_DATA(head), fds.data(), sizeof(int) * fds.size());
    }
    auto const n = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    if (n < 0 || (static_cast<std::size_t>(n) < raw.size() && !write_all(socket, std::span(raw).subspan(static_cast<std::size_t>(n)))))
        return problem_of(exit_code::harness, std::string("the lab hung up: ") + std::strerror(errno));
    return {};
}

struct name_server::caller {
    explicit caller(unique_fd socket) : fd(std::move(socket)), link(fd.get()) {}
    unique_fd fd;
    frame_link link; ///< out only; in goes by recvmsg
    frame_decoder decoder;
    std::vector<unique_fd> received;
    std::uint32_t job = 0;
};

name_server::name_server(engine& serves, name_claim claim, std::string description)
    : engine_(serves), claim_(std::move(claim)), description_(std::move(description)), started_(now_ns()), last_use_(started_) {
    engine_.watch(claim_.listening(), [this] { accept_caller(); });
}

name_server::~name_server() {
    engine_.unwatch(claim_.listening());
    for (auto const& [fd, c] : callers_)
        engine_.unwatch(fd);
}

void name_server::accept_caller() {
    unique_fd fd(::accept4(claim_.listening(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    ucred who{};
    socklen_t size = sizeof who;
    if (!fd || ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 || (who.uid != ::geteuid() && who.uid != 0))
        return;
    int const number = fd.get();
    callers_[number] = std::make_unique<caller>(std::move(fd));
    engine_.watch(number, [this, number] { serve(number); });
    last_use_ = now_ns();
}

void name_server::drop(int fd) {
    engine_.unwatch(fd);
    auto const at = callers_.find(fd);
    if (at == callers_.end())
        return;
    auto const gone = std::move(at->second);
    callers_.erase(at);
    if (gone->job != 0)
        engine_.end_job(gone->job, 128 + SIGHUP, SIGHUP, "");
}

void name_server::serve(int fd) {
    auto const found = callers_.find(fd);
    if (found == callers_.end())
        return; // hung up earlier in this turn
    auto& c = *found->second;
    std::array<std::byte, 65536> buffer;
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * fds_per_request)> control{};
    iovec data{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    auto const n = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    for (auto* head = CMSG_FIRSTHDR(&message); n > 0 && head != nullptr; head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        for (std::size_t at = 0; at + sizeof(int) <= head->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
            int got = -1;
            std::memcpy(&got, CMSG_DATA(head) + at, sizeof got);
            c.received.emplace_back(got);
        }
    }
    bool const good = n > 0 && c.decoder.feed(std::span(buffer).first(static_cast<std::size_t>(n)),
                                              [&](frame const& f) { return on_frame(c, f); });
    if (!good)
        drop(fd);
}

result<> name_server::on_frame(caller& c, frame const& f) {
    switch (f.type) {
    case frame_type::request: return on_request(c, f);
    case frame_type::signal: {
        KTSTR_TRY(auto const m, decode_message<signal_message>(f.payload));
        auto const number = static_cast<int>(m.number);
        engine_.end_job(c.job, 128 + number, number, "");
        return {};
    }
    case frame_type::winsize: {
        KTSTR_TRY(auto const m, decode_message<winsize_message>(f.payload));
        engine_.resize_job(c.job, m.rows, m.columns);
        return {};
    }
    case frame_type::query: {
        outcome_message m;
        m.text = "{\"name\": \"" + claim_.name() + "\", \"pid\": " + std::to_string(::getpid()) + ", " + description_
                 + ", \"jobs\": " + std::to_string(engine_.jobs()) + ", \"up_seconds\": "
                 + std::to_string((now_ns() - started_) / second) + "}";
        return c.link.send(frame_type::outcome, 0, m);
    }
    case frame_type::console: {
        auto const& log = engine_.console();
        constexpr std::size_t shown = 60000;
        return c.link.send(frame_type::outcome, 0, outcome_message{0, log.substr(log.size() > shown ? log.size() - shown : 0)});
    }
    case frame_type::monitor: {
        KTSTR_TRY(auto const m, decode_message<outcome_message>(f.payload));
        auto said = engine_.monitor(m.text);
        auto const code = said ? 0U : static_cast<std::uint32_t>(said.error().code);
        auto text = said ? *said : tool::text(said.error());
        return c.link.send(frame_type::outcome, 0, outcome_message{code, text.substr(0, 60000)});
    }
    case frame_type::stop:
        stop_asked_ = true;
        return c.link.send(frame_type::outcome, 0, outcome_message{});
    default: return fail(errc::bad_format, "lab.caller.frame", static_cast<std::uint64_t>(f.type));
    }
}

result<> name_server::on_request(caller& c, frame const& f) {
    KTSTR_TRY(auto m, decode_message<request_message>(f.payload));
    if (c.job != 0 || c.received.size() != fds_per_request)
        return fail(errc::bad_format, "lab.caller.request", c.received.size());
    job_spec spec;
    spec.argv = std::move(m.argv);
    spec.env = std::move(m.env);
    spec.cwd = std::move(m.cwd);
    spec.tty = m.tty != 0;
    spec.rows = m.rows;
    spec.columns = m.columns;
    if (m.limit_ns != 0)
        spec.deadline = now_ns() + static_cast<std::int64_t>(std::min<std::uint64_t>(m.limit_ns, 1ULL << 60));
    spec.stdin_fd = std::move(c.received[0]);
    spec.stdout_fd = std::move(c.received[1]);
    spec.stderr_fd = std::move(c.received[2]);
    c.received.clear();
    int const fd = c.fd.get();
    auto const answer = [this, fd](job_result const& r) {
        last_use_ = now_ns();
        auto const at = callers_.find(fd);
        if (at == callers_.end())
            return;
        at->second->job = 0;
        auto text = r.text.substr(0, 32768);
        (void)at->second->link.send(frame_type::outcome, 0, outcome_message{static_cast<std::uint32_t>(r.code), std::move(text)});
    };
    for (auto const& each : m.in) {
        auto path = parse_in(each);
        if (!path) {
            answer({static_cast<int>(path.error().code), tool::text(path.error())});
            return {};
        }
        spec.in.push_back(std::move(*path));
    }
    for (auto const& each : m.out) {
        auto path = parse_out(each);
        if (!path) {
            answer({static_cast<int>(path.error().code), tool::text(path.error())});
            return {};
        }
        spec.out.push_back(std::move(*path));
    }
    auto const job = engine_.submit(std::move(spec), answer);
    // A job that failed at once has been answered already.
    c.job = engine_.has_job(job) ? job : 0;
    return {};
}

} // namespace ktstr::lab
