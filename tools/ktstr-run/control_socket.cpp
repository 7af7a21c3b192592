// SPDX-License-Identifier: Apache-2.0
#include "ktstr-run/control_socket.hpp"

#include "ktstr-run/command.hpp"
#include "ktstr/sys/io.hpp"
#include "support/xdg.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace ktstr::tool {

namespace {

outcome<sockaddr_un> address_of(std::string const& name, std::string& path) {
    auto const folder = xdg_path(xdg_folder::runtime);
    if (!folder)
        return std::unexpected(folder.error());
    path = *folder + "/machines/" + name + ".sock";
    sockaddr_un out{};
    out.sun_family = AF_UNIX;
    if (path.size() >= sizeof out.sun_path)
        return problem_of(exit_code::bad_input, fmt::format("the socket's path is longer than {} bytes", sizeof out.sun_path - 1),
                          path, "point XDG_RUNTIME_DIR to a folder with a shorter name");
    std::memcpy(out.sun_path, path.c_str(), path.size());
    return out;
}

unique_fd connect_to(sockaddr_un const& address) {
    unique_fd out(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (out && ::connect(out.get(), reinterpret_cast<sockaddr const*>(&address), sizeof address) != 0)
        return {};
    return out;
}

/// One line without its end; empty when none came in time or it is too long.
std::string read_line(int fd, int patience_ms) {
    std::string out;
    while (out.size() < control_line) {
        pollfd p{fd, POLLIN, 0};
        char c = 0;
        if (::poll(&p, 1, patience_ms) <= 0 || ::read(fd, &c, 1) != 1)
            return {};
        if (c == '\n')
            return out;
        out.push_back(c);
    }
    return {};
}

} // namespace

bool valid_machine_name(std::string_view name) noexcept {
    auto const plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
    };
    return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, plain) && name[0] != '.' && name[0] != '-';
}

void control_request::answer(std::string_view line) noexcept {
    if (!connection_)
        return;
    std::string text(line.substr(0, control_line - 1));
    text.push_back('\n');
    // A client that went away is its own loss; MSG_NOSIGNAL, and a socket buffer is larger than a line.
    [[maybe_unused]] auto const ignored = ::send(connection_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    connection_.reset();
}

control_socket::~control_socket() {
    if (listener_)
        ::unlink(path_.c_str());
}

outcome<> control_socket::open(std::string const& name) {
    auto const address = address_of(name, path_);
    if (!address)
        return std::unexpected(address.error());
    if (auto made = make_folders(path_.substr(0, path_.rfind('/'))); !made)
        return made;
    if (connect_to(*address))
        return problem_of(exit_code::bad_input, fmt::format("a machine called '{}' is running", name), path_, "choose another --name");
    ::unlink(path_.c_str());
    unique_fd out(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    auto const before = ::umask(0177);
    bool const bound = out && ::bind(out.get(), reinterpret_cast<sockaddr const*>(&*address), sizeof *address) == 0;
    auto const number = errno;
    ::umask(before);
    if (!bound || ::listen(out.get(), 4) != 0)
        return problem_of(exit_code::harness, fmt::format("no control socket: {}", std::strerror(bound ? errno : number)), path_,
                          "make the folder writable for you");
    listener_ = std::move(out);
    return {};
}

std::optional<control_request> control_socket::next() noexcept {
    unique_fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection)
        return std::nullopt;
    ucred who{};
    socklen_t size = sizeof who;
    if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 || (who.uid != ::geteuid() && who.uid != 0))
        return std::nullopt;
    auto line = read_line(connection.get(), 100);
    return control_request(std::move(connection), std::move(line));
}

outcome<std::string> send_control(std::string const& name, std::string const& command) {
    std::string path;
    auto const address = address_of(name, path);
    if (!address)
        return std::unexpected(address.error());
    auto const connection = connect_to(*address);
    if (!connection)
        return problem_of(exit_code::bad_input, fmt::format("no machine '{}' is running for this user", name), path,
                          "name the process id of its ktstr-run, or what it was given with --name");
    if (!write_all(connection.get(), command + '\n'))
        return problem_of(exit_code::harness, "the machine hung up", path, "see whether it still runs");
    auto const line = read_line(connection.get(), 60'000);
    if (line == "ok" || line.starts_with("ok "))
        return line.substr(std::min<std::size_t>(line.size(), 3));
    return problem_of(line.starts_with("error ") ? exit_code::fail : exit_code::harness,
                      line.starts_with("error ") ? line.substr(6) : std::string("the machine did not answer"), path, "");
}

namespace {
outcome<exit_code> command_to(invocation const& call, std::string_view verb) {
    if (call.words.empty() || call.words.size() > (verb == "freeze" ? 2U : 1U) || !valid_machine_name(call.words[0]))
        return problem_of(exit_code::bad_input, "which machine?", fmt::format("command '{}'", verb),
                          fmt::format("give the process id of its ktstr-run, or what it was given with --name: ktstr-run {} NAME", verb));
    auto line = std::string(verb);
    if (call.words.size() == 2) {
        if (!valid_machine_name(call.words[1]))
            return problem_of(exit_code::bad_input, fmt::format("'{}' cannot be a snapshot's name", call.words[1]),
                              "command 'freeze'", "use letters, digits, . _ -");
        line += ' ' + call.words[1];
    }
    auto said = send_control(call.words[0], line);
    if (!said)
        return std::unexpected(said.error());
    std::printf("%s\n", said->c_str());
    return exit_code::pass;
}
} // namespace

outcome<exit_code> freeze_command(invocation const& call) { return command_to(call, "freeze"); }
outcome<exit_code> thaw_command(invocation const& call) { return command_to(call, "thaw"); }

} // namespace ktstr::tool
