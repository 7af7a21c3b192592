// SPDX-License-Identifier: Apache-2.0
/// \file
/// The error value and `result<T>`: the only way a fallible function of this library reports failure.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

namespace ktstr {

/// The meaning of a failure. Callers compare this, never text.
enum class errc : std::uint32_t {
    invalid_argument = 1, ///< The caller asked for something that makes no sense.
    out_of_range,         ///< An address, index or number lies outside its bounds.
    bad_format,           ///< Bytes do not follow the format they claim.
    truncated,            ///< Input ended before the format said it would.
    bad_checksum,         ///< Bytes are there but their checksum disagrees.
    unsupported,          ///< Understood, and not done here (feature, version, machine).
    not_found,            ///< The thing that was named does not exist.
    already_exists,       ///< The thing that was to be made is there already, or ranges overlap.
    no_space,             ///< A fixed-size place is full (RAM, table, disk).
    busy,                 ///< Somebody else holds it; asking again later may help.
    timeout,              ///< A bounded wait came to its end.
    interrupted,          ///< A signal or a kick ended the call before it did anything.
    guest_fault,          ///< The guest did something that no correct driver does.
    permission,           ///< The operating system refused access.
    os,                   ///< Any other failure of a system call; `os_errno` says which.
    internal,             ///< A promise inside this library does not hold.
};

/// One failure: what it means, where it happened, and the one number that matters there.
///
/// Trivially copyable and allocation-free, so it may be made on the vCPU path. `where` always refers to a string
/// literal ("KVM_RUN", "elf.phdr.offset"); `value` is an address, offset, count or index whose meaning `where` implies;
/// `os_errno` is 0 unless a system call failed.
struct error {
    errc code = errc::internal;
    std::int32_t os_errno = 0;
    std::uint64_t value = 0;
    std::string_view where{};

    friend constexpr bool operator==(error const&, error const&) noexcept = default;
};
static_assert(sizeof(error) == 32);

/// A value or an `error`.
template <class T = void>
using result = std::expected<T, error>;

} // namespace ktstr
