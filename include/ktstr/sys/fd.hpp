// SPDX-License-Identifier: Apache-2.0
/// \file
/// Ownership of one file descriptor.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>
#include <utility>

namespace ktstr {

/// Owns a file descriptor and closes it. -1 is "none"; 0 is a valid descriptor. Every factory sets O_CLOEXEC.
class unique_fd {
public:
    unique_fd() noexcept = default;
    /// Takes ownership of `fd`.
    explicit unique_fd(int fd) noexcept : fd_(fd) {}
    unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    unique_fd& operator=(unique_fd&& other) noexcept {
        unique_fd taken(std::move(other));
        std::swap(fd_, taken.fd_);
        return *this;
    }
    unique_fd(unique_fd const&) = delete;
    unique_fd& operator=(unique_fd const&) = delete;
    ~unique_fd() {
        if (fd_ >= 0)
            ::close(fd_);
    }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
    /// Gives up ownership and returns the descriptor.
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    /// Closes now.
    void reset() noexcept { unique_fd{std::move(*this)}; }

    /// `open(2)` with O_CLOEXEC.
    [[nodiscard]] static result<unique_fd> open(char const* path, int flags, mode_t mode = 0) noexcept {
        int const fd = ::open(path, flags | O_CLOEXEC, mode);
        if (fd < 0)
            return os_fail("open");
        return unique_fd(fd);
    }
    /// A counter eventfd that starts at 0; non-blocking.
    [[nodiscard]] static result<unique_fd> eventfd() noexcept {
        int const fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0)
            return os_fail("eventfd");
        return unique_fd(fd);
    }
    /// Anonymous memory as a file.
    [[nodiscard]] static result<unique_fd> memfd(char const* name, unsigned flags = 0) noexcept {
        int const fd = ::memfd_create(name, flags | MFD_CLOEXEC);
        if (fd < 0)
            return os_fail("memfd_create");
        return unique_fd(fd);
    }

private:
    int fd_ = -1;
};

} // namespace ktstr
