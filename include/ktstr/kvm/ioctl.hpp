// SPDX-License-Identifier: Apache-2.0
/// \file
/// Typed KVM ioctls: every call names itself, retries EINTR, and fails with a value.
#pragma once

#include "ktstr/abi/kvm.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <sys/ioctl.h>
#include <type_traits>
#include <vector>

namespace ktstr::kvm {

/// An ioctl whose argument is a number (or absent); returns what the kernel returned. EINTR is retried.
[[nodiscard]] inline result<int> ioctl_value(int fd, unsigned long request, unsigned long argument,
                                             std::string_view where) noexcept {
    for (;;) {
        int const r = ::ioctl(fd, request, argument);
        if (r >= 0)
            return r;
        if (errno != EINTR)
            return os_fail(where, argument);
    }
}

/// An ioctl whose argument is a structure, read and written in place. EINTR is retried.
template <class T>
    requires std::is_trivially_copyable_v<T>
[[nodiscard]] result<int> ioctl_struct(int fd, unsigned long request, T& argument, std::string_view where) noexcept {
    for (;;) {
        int const r = ::ioctl(fd, request, &argument);
        if (r >= 0)
            return r;
        if (errno != EINTR)
            return os_fail(where);
    }
}

/// A KVM structure with a flexible array behind it, in one allocation: `Header` followed by `n` times `Entry`.
template <class Header, class Entry>
    requires std::is_trivially_copyable_v<Header> && std::is_trivially_copyable_v<Entry>
class fam_buffer {
public:
    explicit fam_buffer(std::size_t n) : raw_((sizeof(Header) + n * sizeof(Entry) + 7) / 8) {}
    [[nodiscard]] Header& header() noexcept { return *reinterpret_cast<Header*>(raw_.data()); }
    [[nodiscard]] Entry* entries() noexcept {
        return reinterpret_cast<Entry*>(reinterpret_cast<std::byte*>(raw_.data()) + sizeof(Header));
    }

private:
    std::vector<std::uint64_t> raw_;
};

} // namespace ktstr::kvm
