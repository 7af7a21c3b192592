// SPDX-License-Identifier: Apache-2.0
// Files in and out of the lab machine over the transfer disk. The disk is read and written with O_DIRECT from and to the
// mapped pages of the files themselves, so that the emulated CPU copies nothing.
#include "ktstr-lab/guest.hpp"
#include "ktstr/sys/io.hpp"
#include "ktstr/sys/mapping.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace ktstr::lab::guest {

namespace {
constexpr std::uint64_t page = 4096;
constexpr std::size_t chunk = 16U << 20;

std::uint64_t round_up(std::uint64_t n) { return (n + page - 1) / page * page; }

done_message failed(std::string where, int number = errno) {
    return {static_cast<std::uint32_t>(number), std::move(where)};
}

int make_parents(std::string const& path) {
    for (auto at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
        if (::mkdir(path.substr(0, at).c_str(), 0755) != 0 && errno != EEXIST)
            return errno;
    return 0;
}

/// Page-aligned memory for files that cannot be mapped.
struct bounce {
    mapping memory;
    bounce() {
        if (auto made = mapping::map(1U << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS))
            memory = std::move(*made);
    }
};

int read_disk(int disk, std::byte* to, std::uint64_t size, std::uint64_t offset) {
    for (std::uint64_t at = 0; at < size;) {
        auto const n = ::pread(disk, to + at, std::min<std::uint64_t>(chunk, size - at), static_cast<off_t>(offset + at));
        if (n <= 0) {
            if (n < 0 && errno == EINTR)
                continue;
            return n < 0 ? errno : EIO;
        }
        at += static_cast<std::uint64_t>(n);
    }
    return 0;
}

int write_disk(int disk, std::byte const* from, std::uint64_t size, std::uint64_t offset) {
    for (std::uint64_t at = 0; at < size;) {
        auto const n = ::pwrite(disk, from + at, std::min<std::uint64_t>(chunk, size - at), static_cast<off_t>(offset + at));
        if (n <= 0) {
            if (n < 0 && errno == EINTR)
                continue;
            return n < 0 ? errno : EIO;
        }
        at += static_cast<std::uint64_t>(n);
    }
    return 0;
}

int fill_file(int disk, int fd, put_message const& what) {
    if (::ftruncate(fd, static_cast<off_t>(what.size)) != 0)
        return errno;
    if (what.size == 0)
        return 0;
    auto const length = round_up(what.size);
    if (auto map = mapping::map(what.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd)) {
        auto const number = read_disk(disk, map->data(), length, what.offset);
        if (number != EFAULT)
            return number;
    }
    bounce memory;
    for (std::uint64_t at = 0; at < what.size;) {
        auto const part = std::min<std::uint64_t>(memory.memory.size(), length - at);
        if (auto const number = read_disk(disk, memory.memory.data(), part, what.offset + at); number != 0)
            return number;
        auto const useful = std::min<std::uint64_t>(part, what.size - at);
        if (!write_all(fd, std::span(memory.memory.data(), useful)))
            return errno;
        at += useful;
    }
    return 0;
}

/// One get in progress.
struct walk {
    int disk;
    std::uint64_t at, end;
    port const& to;
    std::uint32_t channel;
    bounce memory;
    done_message failure;

    bool content(int fd, put_message& entry) {
        entry.offset = at;
        if (entry.size >= page) {
            if (round_up(entry.size) > end - at) {
                failure = failed(entry.path, ENOSPC);
                return false;
            }
            if (auto const map = mapping::map(entry.size, PROT_READ, MAP_SHARED, fd)) {
                auto const number = write_disk(disk, map->data(), round_up(entry.size), at);
                if (number == 0) {
                    at += round_up(entry.size);
                    return true;
                }
            }
        }
        // Small files, and those of /proc and /sys whose size says nothing.
        entry.size = 0;
        for (;;) {
            auto const got = read_full(fd, memory.memory.span());
            if (!got) {
                failure = failed(entry.path, got.error().os_errno);
                return false;
            }
            auto const padded = round_up(*got);
            if (padded > end - at) {
                failure = failed(entry.path, ENOSPC);
                return false;
            }
            std::fill(memory.memory.data() + *got, memory.memory.data() + padded, std::byte{0});
            if (auto const number = write_disk(disk, memory.memory.data(), padded, at); number != 0) {
                failure = failed("transfer disk", number);
                return false;
            }
            at += padded;
            entry.size += *got;
            if (*got < memory.memory.size())
                return true;
        }
    }

    bool visit(int parent, std::string const& name, std::string const& relative) {
        struct stat st {};
        if (::fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
            failure = failed(relative.empty() ? name : relative);
            return false;
        }
        put_message entry;
        entry.mode = st.st_mode & 07777;
        entry.mtime_ns = static_cast<std::uint64_t>(st.st_mtim.tv_sec) * 1'000'000'000U
                         + static_cast<std::uint64_t>(st.st_mtim.tv_nsec);
        entry.path = relative;
        if (S_ISLNK(st.st_mode)) {
            char target[4096];
            auto const n = ::readlinkat(parent, name.c_str(), target, sizeof target);
            if (n < 0) {
                failure = failed(relative);
                return false;
            }
            entry.kind = static_cast<std::uint8_t>(entry_kind::link);
            entry.target.assign(target, static_cast<std::size_t>(n));
            to.send(frame_type::entry, channel, entry);
            return true;
        }
        if (S_ISREG(st.st_mode)) {
            unique_fd const fd(::openat(parent, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
            if (!fd) {
                failure = failed(relative);
                return false;
            }
            entry.size = static_cast<std::uint64_t>(st.st_size);
            if (!content(fd.get(), entry))
                return false;
            to.send(frame_type::entry, channel, entry);
            return true;
        }
        if (!S_ISDIR(st.st_mode))
            return true; // sockets, pipes and devices mean nothing outside
        entry.kind = static_cast<std::uint8_t>(entry_kind::folder);
        to.send(frame_type::entry, channel, entry);
        int const fd = ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        auto* const folder = fd < 0 ? nullptr : ::fdopendir(fd);
        if (folder == nullptr) {
            failure = failed(relative);
            return false;
        }
        bool good = true;
        while (auto const* const each = ::readdir(folder)) {
            std::string const child = each->d_name;
            if (child == "." || child == "..")
                continue;
            good = visit(fd, child, relative.empty() ? child : relative + '/' + child);
            if (!good)
                break;
        }
        ::closedir(folder);
        return good;
    }
};
} // namespace

done_message put_entry(int disk, put_message const& what) {
    if (auto const number = make_parents(what.path); number != 0)
        return failed(what.path, number);
    auto const kind = static_cast<entry_kind>(what.kind);
    if (kind == entry_kind::folder && what.mode == put_keep_mode) {
        if (::mkdir(what.path.c_str(), 0755) != 0 && errno != EEXIST)
            return failed(what.path);
        return {};
    }
    if (kind == entry_kind::folder) {
        if (::mkdir(what.path.c_str(), what.mode) != 0 && errno != EEXIST)
            return failed(what.path);
        if (::chmod(what.path.c_str(), what.mode) != 0)
            return failed(what.path);
        return {};
    }
    if (kind == entry_kind::link) {
        ::unlink(what.path.c_str());
        if (::symlink(what.target.c_str(), what.path.c_str()) != 0)
            return failed(what.path);
        return {};
    }
    ::unlink(what.path.c_str()); // a program may run from the old file
    unique_fd const fd(::open(what.path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd)
        return failed(what.path);
    if (auto const number = fill_file(disk, fd.get(), what); number != 0)
        return failed(what.path, number);
    timespec times[2];
    times[0].tv_sec = times[1].tv_sec = static_cast<time_t>(what.mtime_ns / 1'000'000'000U);
    times[0].tv_nsec = times[1].tv_nsec = static_cast<long>(what.mtime_ns % 1'000'000'000U);
    ::futimens(fd.get(), times);
    if (::fchmod(fd.get(), what.mode) != 0)
        return failed(what.path);
    return {};
}

done_message get_tree(int disk, get_message const& what, port const& to, std::uint32_t channel) {
    walk w{disk, round_up(what.offset), what.end, to, channel, {}, {}};
    // The top itself may be reached through links.
    std::unique_ptr<char, void (*)(void*)> const real(::realpath(what.path.c_str(), nullptr), std::free);
    if (!real)
        return failed(what.path);
    if (!w.visit(AT_FDCWD, real.get(), ""))
        return w.failure.error != 0 ? w.failure : failed(what.path, EIO);
    return {};
}

} // namespace ktstr::lab::guest
