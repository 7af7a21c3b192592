// SPDX-License-Identifier: Apache-2.0
/// \file
/// The kernel's log as /dev/kmsg gives it, one record a read.
#pragma once

#include "ktstr/sys/fd.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace ktstr::agent {

/// Appends the record to `out` as "[seconds.micros] text\n", without the key=value lines that may follow.
/// A record that does not look like one is appended as it is. Source: linux Documentation/ABI/testing/dev-kmsg.
inline void append_kmsg_record(std::string_view record, std::string& out) {
    auto const semicolon = record.find(';');
    if (semicolon == std::string_view::npos) {
        out.append(record);
        if (!record.ends_with('\n'))
            out.push_back('\n');
        return;
    }
    auto head = record.substr(0, semicolon);
    std::uint64_t micros = 0;
    for (int field = 0; field < 2; ++field) {
        auto const comma = head.find(',');
        head = comma == std::string_view::npos ? std::string_view{} : head.substr(comma + 1);
    }
    for (char const c : head) {
        if (c < '0' || c > '9')
            break;
        micros = micros * 10 + static_cast<std::uint64_t>(c - '0');
    }
    auto text = record.substr(semicolon + 1);
    text = text.substr(0, text.find('\n'));
    char stamp[48];
    std::snprintf(stamp, sizeof stamp, "[%5llu.%06llu] ", static_cast<unsigned long long>(micros / 1'000'000),
                  static_cast<unsigned long long>(micros % 1'000'000));
    out.append(stamp);
    out.append(text);
    out.push_back('\n');
}

/// Reads the kernel log from its beginning without ever blocking.
class kmsg_reader {
public:
    /// Opens /dev/kmsg; a reader that could not open it yields nothing.
    void open() noexcept {
        if (auto fd = unique_fd::open("/dev/kmsg", O_RDONLY | O_NONBLOCK))
            fd_ = std::move(*fd);
    }

    /// Appends the records that are there now, at most about `limit` bytes; whether anything came.
    bool drain(std::string& out, std::size_t limit = 256 * 1024) {
        if (!fd_)
            return false;
        auto const before = out.size();
        char record[9000];
        while (out.size() - before < limit) {
            auto const n = ::read(fd_.get(), record, sizeof record);
            if (n > 0)
                append_kmsg_record({record, static_cast<std::size_t>(n)}, out);
            else if (n < 0 && (errno == EPIPE || errno == EINTR)) // records were overwritten before we read them
                continue;
            else
                break;
        }
        return out.size() != before;
    }

private:
    unique_fd fd_;
};

/// Writes one line to the kernel log, where it survives as long as the kernel does. Best effort.
inline void kmsg_write(std::string_view line) noexcept {
    if (auto const fd = unique_fd::open("/dev/kmsg", O_WRONLY)) {
        [[maybe_unused]] auto const ignored = ::write(fd->get(), line.data(), line.size());
    }
}

} // namespace ktstr::agent
