// SPDX-License-Identifier: Apache-2.0
/// \file
/// Ownership of one mmap(2).
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/mman.h>
#include <utility>

namespace ktstr {

/// Owns a memory mapping and unmaps it. Empty when default-made or moved from.
class mapping {
public:
    mapping() noexcept = default;
    mapping(mapping&& other) noexcept : span_(std::exchange(other.span_, {})) {}
    mapping& operator=(mapping&& other) noexcept {
        mapping taken(std::move(other));
        std::swap(span_, taken.span_);
        return *this;
    }
    mapping(mapping const&) = delete;
    mapping& operator=(mapping const&) = delete;
    ~mapping() {
        if (!span_.empty())
            ::munmap(span_.data(), span_.size());
    }

    [[nodiscard]] std::span<std::byte> span() const noexcept { return span_; }
    [[nodiscard]] std::byte* data() const noexcept { return span_.data(); }
    [[nodiscard]] std::size_t size() const noexcept { return span_.size(); }

    /// mmap(2) of `length` bytes; `length` must not be 0.
    [[nodiscard]] static result<mapping> map(std::size_t length, int protection, int flags, int fd = -1,
                                             std::uint64_t offset = 0) noexcept {
        void* const at = ::mmap(nullptr, length, protection, flags, fd, static_cast<off_t>(offset));
        if (at == MAP_FAILED)
            return os_fail("mmap", length);
        mapping out;
        out.span_ = {static_cast<std::byte*>(at), length};
        return out;
    }

private:
    std::span<std::byte> span_{};
};

} // namespace ktstr
