// SPDX-License-Identifier: Apache-2.0
/// \file
/// Whole reads and writes: EINTR and short transfers are handled here and nowhere else.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/sys/fd.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace ktstr {

/// Writes all of `data` to a blocking descriptor.
[[nodiscard]] inline result<> write_all(int fd, std::span<std::byte const> data) noexcept {
    while (!data.empty()) {
        auto const n = ::write(fd, data.data(), data.size());
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return os_fail("write");
        }
        data = data.subspan(static_cast<std::size_t>(n));
    }
    return {};
}

/// Writes all of `text` to a blocking descriptor.
[[nodiscard]] inline result<> write_all(int fd, std::string_view text) noexcept {
    return write_all(fd, std::as_bytes(std::span(text.data(), text.size())));
}

/// Reads until `data` is full or the end; the number of bytes read.
[[nodiscard]] inline result<std::size_t> read_full(int fd, std::span<std::byte> data) noexcept {
    std::size_t done = 0;
    while (done < data.size()) {
        auto const n = ::read(fd, data.data() + done, data.size() - done);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return os_fail("read", done);
        }
        if (n == 0)
            break;
        done += static_cast<std::size_t>(n);
    }
    return done;
}

/// Fills `data` from byte `offset` of the file; `errc::truncated` with the offset when the file ends before.
[[nodiscard]] inline result<> pread_all(int fd, std::span<std::byte> data, std::uint64_t offset) noexcept {
    while (!data.empty()) {
        auto const n = ::pread(fd, data.data(), data.size(), static_cast<off_t>(offset));
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return os_fail("pread", offset);
        }
        if (n == 0)
            return fail(errc::truncated, "pread", offset);
        data = data.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
    return {};
}

/// Writes all of `data` at byte `offset` of the file.
[[nodiscard]] inline result<> pwrite_all(int fd, std::span<std::byte const> data, std::uint64_t offset) noexcept {
    while (!data.empty()) {
        auto const n = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return os_fail("pwrite", offset);
        }
        data = data.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
    return {};
}

/// The size of an open regular file in bytes.
[[nodiscard]] inline result<std::uint64_t> file_size(int fd) noexcept {
    struct stat st {};
    if (::fstat(fd, &st) != 0)
        return os_fail("fstat");
    return static_cast<std::uint64_t>(st.st_size);
}

/// All bytes that `fd` gives until its end, at most `limit`; `errc::no_space` when there are more.
[[nodiscard]] inline result<std::vector<std::byte>> read_to_end(int fd, std::uint64_t limit) {
    std::vector<std::byte> out;
    for (;;) {
        auto const at = out.size();
        out.resize(at + 65536);
        KTSTR_TRY(auto const n, read_full(fd, std::span(out).subspan(at)));
        out.resize(at + n);
        if (out.size() > limit)
            return fail(errc::no_space, "read_to_end", limit);
        if (n < 65536)
            return out;
    }
}

/// The whole file at `path`, at most `limit` bytes (works for /proc and /sys too, whose sizes read 0).
[[nodiscard]] inline result<std::string> read_file(char const* path, std::uint64_t limit = 64U << 20) {
    KTSTR_TRY(auto const fd, unique_fd::open(path, O_RDONLY));
    KTSTR_TRY(auto const raw, read_to_end(fd.get(), limit));
    return std::string(reinterpret_cast<char const*>(raw.data()), raw.size());
}

/// Writes `text` into the existing file at `path` with one write(2): what /proc, /sys and cgroup files want.
[[nodiscard]] inline result<> write_control(char const* path, std::string_view text) noexcept {
    KTSTR_TRY(auto const fd, unique_fd::open(path, O_WRONLY));
    auto const n = ::write(fd.get(), text.data(), text.size());
    if (n < 0)
        return os_fail("write_control");
    if (static_cast<std::size_t>(n) != text.size())
        return fail(errc::truncated, "write_control", static_cast<std::uint64_t>(n));
    return {};
}

} // namespace ktstr
