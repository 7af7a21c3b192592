// SPDX-License-Identifier: Apache-2.0
#include "ktstr-lab/transfer.hpp"
#include "ktstr-lab/machine.hpp"
#include "ktstr/sys/io.hpp"
#include "support/xdg.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ktstr::lab {

namespace {
constexpr std::uint64_t page = 4096;
constexpr std::size_t chunk = 1U << 20;

std::string leaf(std::string path) {
    while (path.size() > 1 && path.back() == '/')
        path.pop_back();
    return path.substr(path.rfind('/') + 1);
}

std::uint64_t mtime(struct stat const& st) {
    return static_cast<std::uint64_t>(st.st_mtim.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(st.st_mtim.tv_nsec);
}

std::unexpected<problem> cannot_read(std::string const& path, int number = errno) {
    return problem_of(exit_code::bad_input, std::string("cannot read what is to go into the lab: ") + std::strerror(number), path);
}

std::unexpected<problem> cannot_write(std::string const& path, int number = errno) {
    return problem_of(exit_code::harness, std::string("cannot write what came out of the lab: ") + std::strerror(number), path,
                      number == ENOSPC ? "free some disk space" : "");
}

outcome<carried_path> parse(std::string_view text, std::string_view default_lab, char const* option) {
    auto const colon = text.rfind(':');
    carried_path out{absolute(text.substr(0, colon)),
                     std::string(colon == std::string_view::npos ? default_lab : text.substr(colon + 1))};
    if (text.empty() || colon == 0)
        return problem_of(exit_code::bad_input, "no host path given", std::string(option) + ' ' + std::string(text),
                          std::string("write ") + option + " HOST[:LAB]");
    if (!out.lab.empty() && out.lab.front() != '/')
        return problem_of(exit_code::bad_input, "a path in the lab must be absolute", std::string(option) + ' ' + std::string(text));
    return out;
}

outcome<> copy_in(int from, put_message& entry, disk_space& space, std::string const& path) {
    auto const at = space.take(entry.size);
    if (!at)
        return std::unexpected(at.error());
    entry.offset = *at;
    std::vector<std::byte> buffer(std::min<std::uint64_t>(chunk, entry.size));
    for (std::uint64_t done = 0; done < entry.size;) {
        auto const part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), entry.size - done));
        auto const n = read_full(from, part);
        if (!n)
            return cannot_read(path, n.error().os_errno);
        if (*n == 0)
            return problem_of(exit_code::harness, "a file became shorter while it was read", path);
        for (std::size_t sent = 0; sent < *n;) {
            auto const wrote = ::pwrite(space.disk(), part.data() + sent, *n - sent, static_cast<off_t>(*at + done + sent));
            if (wrote < 0 && errno != EINTR)
                return problem_of(exit_code::harness, std::string("no memory for the transfer: ") + std::strerror(errno), path);
            sent += wrote > 0 ? static_cast<std::size_t>(wrote) : 0;
        }
        done += *n;
    }
    return {};
}

outcome<> list(std::string const& host, std::string const& lab, disk_space& space, std::vector<put_message>& out, bool top) {
    struct stat st {};
    if ((top ? ::stat(host.c_str(), &st) : ::lstat(host.c_str(), &st)) != 0)
        return cannot_read(host);
    put_message entry;
    entry.mode = st.st_mode & 07777;
    entry.mtime_ns = mtime(st);
    entry.path = lab;
    if (S_ISLNK(st.st_mode)) {
        char target[4096];
        auto const n = ::readlink(host.c_str(), target, sizeof target);
        if (n < 0)
            return cannot_read(host);
        entry.kind = static_cast<std::uint8_t>(entry_kind::link);
        entry.target.assign(target, static_cast<std::size_t>(n));
        out.push_back(std::move(entry));
        return {};
    }
    if (S_ISREG(st.st_mode)) {
        auto const fd = unique_fd::open(host.c_str(), O_RDONLY);
        if (!fd)
            return cannot_read(host, fd.error().os_errno);
        entry.size = static_cast<std::uint64_t>(st.st_size);
        if (auto done = copy_in(fd->get(), entry, space, host); !done)
            return done;
        out.push_back(std::move(entry));
        return {};
    }
    if (!S_ISDIR(st.st_mode))
        return top ? outcome<>(problem_of(exit_code::bad_input, "only files, folders and links can go into the lab", host))
                   : outcome<>();
    entry.kind = static_cast<std::uint8_t>(entry_kind::folder);
    out.push_back(std::move(entry));
    auto* const folder = ::opendir(host.c_str());
    if (folder == nullptr)
        return cannot_read(host);
    std::vector<std::string> names;
    while (auto const* const each = ::readdir(folder))
        if (std::string_view(each->d_name) != "." && std::string_view(each->d_name) != "..")
            names.emplace_back(each->d_name);
    ::closedir(folder);
    std::sort(names.begin(), names.end());
    for (auto const& each : names)
        if (auto done = list(host + '/' + each, lab + '/' + each, space, out, false); !done)
            return done;
    return {};
}

/// Opens the folder of `relative` below `top` without following links; folders that are missing are made.
outcome<unique_fd> parent_of(int top, std::string const& relative, std::string& name) {
    unique_fd at(::fcntl(top, F_DUPFD_CLOEXEC, 3));
    std::size_t from = 0;
    for (;;) {
        auto const slash = relative.find('/', from);
        auto const part = relative.substr(from, slash == std::string::npos ? slash : slash - from);
        if (part.empty() || part == "." || part == "..")
            return problem_of(exit_code::harness, "the lab sent a file name that leads elsewhere", relative);
        if (slash == std::string::npos) {
            name = part;
            return at;
        }
        (void)::mkdirat(at.get(), part.c_str(), 0755);
        unique_fd next(::openat(at.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!next)
            return cannot_write(relative);
        at = std::move(next);
        from = slash + 1;
    }
}

/// Writes `part` at `at`, leaving out whole pages of zeros: a file of the right size has holes there, as it had inside.
result<> write_sparse(int fd, std::span<std::byte const> part, std::uint64_t at) {
    constexpr std::size_t hole = 4096;
    static constexpr std::array<std::byte, hole> zeros{};
    auto const empty = [&](std::size_t from) {
        return part.size() - from >= hole && std::memcmp(part.data() + from, zeros.data(), hole) == 0;
    };
    for (std::size_t from = 0; from < part.size();) {
        if (empty(from)) {
            from += hole;
            continue;
        }
        auto to = from;
        while (to < part.size() && !empty(to))
            to += std::min(hole, part.size() - to);
        KTSTR_CHECK(pwrite_all(fd, part.subspan(from, to - from), at + from));
        from = to;
    }
    return {};
}

outcome<> write_file(int folder, std::string const& name, put_message const& entry, int disk) {
    if (entry.offset % page != 0 || entry.offset < transfer_half || entry.offset > transfer_size
        || entry.size > transfer_size - entry.offset)
        return problem_of(exit_code::harness, "the lab sent a file that lies outside the transfer disk", name);
    auto const draft = '.' + name.substr(0, 200) + ".tmp-" + std::to_string(::getpid());
    ::unlinkat(folder, draft.c_str(), 0);
    unique_fd const fd(::openat(folder, draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd)
        return cannot_write(name);
    auto const give_up = [&](int number) {
        ::unlinkat(folder, draft.c_str(), 0);
        return cannot_write(name, number);
    };
    if (::ftruncate(fd.get(), static_cast<off_t>(entry.size)) != 0)
        return give_up(errno);
    std::vector<std::byte> buffer(std::min<std::uint64_t>(chunk, entry.size));
    for (std::uint64_t done = 0; done < entry.size;) {
        auto const part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), entry.size - done));
        if (auto const got = pread_all(disk, part, entry.offset + done); !got)
            return give_up(got.error().os_errno);
        if (auto const wrote = write_sparse(fd.get(), part, done); !wrote)
            return give_up(wrote.error().os_errno);
        done += part.size();
    }
    timespec times[2];
    times[0].tv_sec = times[1].tv_sec = static_cast<time_t>(entry.mtime_ns / 1'000'000'000U);
    times[0].tv_nsec = times[1].tv_nsec = static_cast<long>(entry.mtime_ns % 1'000'000'000U);
    ::futimens(fd.get(), times);
    // Set-id bits mean something else to the owner out here.
    if (::fchmod(fd.get(), entry.mode & 0777U) != 0 || ::renameat(folder, draft.c_str(), folder, name.c_str()) != 0)
        return give_up(errno);
    return {};
}
} // namespace

std::string absolute(std::string_view path) {
    if (path.starts_with('/'))
        return std::string(path);
    char here[4096];
    if (::getcwd(here, sizeof here) == nullptr)
        return std::string(path);
    return std::string(here) + '/' + std::string(path);
}

outcome<carried_path> parse_in(std::string_view text) {
    auto out = parse(text, "", "--in");
    if (!out)
        return out;
    if (::access(out->host.c_str(), R_OK) != 0)
        return cannot_read(out->host);
    if (out->lab.empty())
        out->lab = "/in/" + leaf(out->host);
    return out;
}

outcome<carried_path> parse_out(std::string_view text) { return parse(text, "/out", "--out"); }

outcome<std::uint64_t> disk_space::take(std::uint64_t size) {
    auto const need = (size + page - 1) / page * page;
    if (need > transfer_half - next_)
        return problem_of(exit_code::harness, "more files than the transfer disk can carry", std::to_string(size) + " bytes");
    auto const out = next_;
    next_ += need;
    return out;
}

void disk_space::clear_in() noexcept {
    ::fallocate(disk_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(transfer_half));
    next_ = 0;
}

void disk_space::clear_out() noexcept {
    ::fallocate(disk_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(transfer_half),
                static_cast<off_t>(transfer_half));
}

outcome<std::vector<put_message>> lay_out(carried_path const& what, disk_space& space) {
    std::vector<put_message> out;
    if (auto done = list(what.host, what.lab, space, out, true); !done)
        return std::unexpected(done.error());
    return out;
}

outcome<> out_writer::take(put_message const& entry, int disk) {
    auto const kind = static_cast<entry_kind>(entry.kind);
    if (entry.path.empty()) { // the top itself
        if (kind == entry_kind::folder) {
            if (auto made = tool::make_folders(what_.host); !made)
                return made;
            top_ = unique_fd(::open(what_.host.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
            return top_ ? outcome<>() : outcome<>(cannot_write(what_.host));
        }
        if (kind != entry_kind::file)
            return problem_of(exit_code::harness, "the lab sent a link instead of a result", what_.lab);
        struct stat st {};
        auto const target = ::stat(what_.host.c_str(), &st) == 0 && S_ISDIR(st.st_mode) ? what_.host + '/' + leaf(what_.lab)
                                                                                        : what_.host;
        auto const slash = target.rfind('/');
        auto const folder = target.substr(0, slash == 0 ? 1 : slash);
        if (auto made = tool::make_folders(folder); !made)
            return made;
        unique_fd const at(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!at)
            return cannot_write(folder);
        return write_file(at.get(), target.substr(slash + 1), entry, disk);
    }
    if (!top_)
        return problem_of(exit_code::harness, "the lab sent a file before its folder", entry.path);
    std::string name;
    auto const folder = parent_of(top_.get(), entry.path, name);
    if (!folder)
        return std::unexpected(folder.error());
    switch (kind) {
    case entry_kind::file: return write_file(folder->get(), name, entry, disk);
    case entry_kind::folder:
        if (::mkdirat(folder->get(), name.c_str(), (entry.mode & 0777U) | 0700U) != 0 && errno != EEXIST)
            return cannot_write(entry.path);
        return {};
    case entry_kind::link:
        ::unlinkat(folder->get(), name.c_str(), 0);
        if (::symlinkat(entry.target.c_str(), folder->get(), name.c_str()) != 0)
            return cannot_write(entry.path);
        return {};
    }
    return problem_of(exit_code::harness, "the lab sent an entry of an unknown kind", entry.path);
}

} // namespace ktstr::lab
