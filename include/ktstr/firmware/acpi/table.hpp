// SPDX-License-Identifier: Apache-2.0
/// \file
/// Putting the bytes of one ACPI table together: header, body, length and checksum.
#pragma once

#include "ktstr/abi/acpi.hpp"
#include "ktstr/base/cursor.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace ktstr::acpi {

/// Who made the tables: what a guest's log shows of us.
inline constexpr std::array<char, 6> oem_id{'K', 'T', 'S', 'T', 'R', ' '};
inline constexpr std::array<char, 4> creator_id{'K', 'T', 'S', 'R'};

/// The byte that makes `data` plus itself sum to 0.
[[nodiscard]] constexpr std::uint8_t checksum_of(std::span<std::byte const> data) noexcept {
    std::uint8_t sum = 0;
    for (auto const each : data)
        sum = static_cast<std::uint8_t>(sum + std::to_integer<std::uint8_t>(each));
    return static_cast<std::uint8_t>(0x100 - sum);
}

/// The header of table `signature` (four characters); length and checksum are filled when the table is closed.
[[nodiscard]] constexpr header make_header(std::string_view signature, std::uint8_t revision) noexcept {
    header out;
    for (std::size_t i = 0; i < 4; ++i) {
        out.signature[i] = signature[i];
        out.oem_table_id[i] = creator_id[i];
        out.oem_table_id[i + 4] = signature[i];
    }
    out.revision = revision;
    out.oem_id = oem_id;
    out.oem_revision = 1;
    out.creator_id = creator_id;
    out.creator_revision = 1;
    return out;
}

/// Bytes of a table in the making. Begin with the table's own structure, append entries, close.
class table_bytes {
public:
    template <class Table>
    explicit table_bytes(Table const& begin) {
        append(begin);
    }

    /// Appends the bytes of `value`.
    template <class T>
        requires std::is_trivially_copyable_v<T>
    void append(T const& value) {
        append_bytes(bytes_of(value));
    }
    void append_bytes(std::span<std::byte const> raw) { raw_.insert(raw_.end(), raw.begin(), raw.end()); }

    /// The finished table: `length` and `checksum` of its header are right.
    [[nodiscard]] std::vector<std::byte> close() && {
        le32 const length = static_cast<std::uint32_t>(raw_.size());
        std::memcpy(raw_.data() + offsetof(header, length), &length, sizeof length);
        raw_[offsetof(header, checksum)] = std::byte{0};
        raw_[offsetof(header, checksum)] = std::byte{checksum_of(raw_)};
        return std::move(raw_);
    }

private:
    std::vector<std::byte> raw_;
};

} // namespace ktstr::acpi
