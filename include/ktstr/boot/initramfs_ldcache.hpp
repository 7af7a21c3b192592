// SPDX-License-Identifier: Apache-2.0
/// \file
/// Looking a library up in /etc/ld.so.cache. Pure over a span; format as glibc 2.36 sysdeps/generic/dl-cache.h has it.
///
///     [old part: "ld.so-1.7.0", u32 count at +12, 12 bytes each; padded to 8]        only in caches of old systems
///     +0  "glibc-ld.so.cache1.1"   +20 u32 count   +24 u32 string bytes   +28 flags, padding, extension   +48 entries
///     entry: i32 flags, u32 name, u32 path, u32 os version, u64 hwcap    offsets count from the "glibc..." magic
#pragma once

#include "ktstr/abi/elf.hpp"
#include "ktstr/base/cursor.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/layout.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace ktstr {

namespace detail {
struct ldcache_header {
    char magic[20];
    std::uint32_t count;
    std::uint32_t string_bytes;
    std::uint8_t flags;
    std::uint8_t padding[3];
    std::uint32_t extension;
    std::uint32_t unused[3];
};
KTSTR_ABI(ldcache_header, 48);
struct ldcache_entry {
    std::int32_t flags;
    std::uint32_t name;
    std::uint32_t path;
    std::uint32_t os_version;
    std::uint64_t hwcap;
};
KTSTR_ABI(ldcache_entry, 24);

inline constexpr std::string_view ldcache_magic = "glibc-ld.so.cache1.1";
inline constexpr std::string_view ldcache_old_magic = "ld.so-1.7.0";

/// The `flags` of entries that a program for `machine` may use; -1 for a machine that is not known here.
[[nodiscard]] constexpr std::int32_t ldcache_flags(std::uint16_t machine) noexcept {
    switch (machine) {
    case elf::em_x86_64: return 0x0303; // FLAG_X8664_LIB64 | FLAG_ELF_LIBC6
    case elf::em_aarch64: return 0x0a03; // FLAG_AARCH64_LIB64 | FLAG_ELF_LIBC6
    default: return -1;
    }
}
} // namespace detail

/// A view of a loader cache; borrows the file's bytes.
class ldcache {
public:
    /// Checks header and table bounds. `errc::bad_format` for another format, `errc::truncated` for a cut file.
    [[nodiscard]] static result<ldcache> open(std::span<std::byte const> file) noexcept {
        reader in(file, "ld.so.cache");
        std::uint64_t start = 0;
        if (starts_with(file, detail::ldcache_old_magic)) {
            KTSTR_CHECK(in.seek(12));
            KTSTR_TRY(auto const count, in.get<std::uint32_t>());
            start = (16 + std::uint64_t{count} * 12 + 7) / 8 * 8;
            KTSTR_CHECK(in.seek(start));
        }
        ldcache out;
        out.base_ = file.subspan(static_cast<std::size_t>(start));
        if (!starts_with(out.base_, detail::ldcache_magic))
            return fail(errc::bad_format, "ld.so.cache.magic", start);
        KTSTR_TRY(auto const header, in.get<detail::ldcache_header>());
        KTSTR_TRY(out.entries_, in.take(std::uint64_t{header.count} * sizeof(detail::ldcache_entry)));
        return out;
    }

    /// The path for library `name` of a program for `machine`, or nothing. Variants for special CPUs (hwcap) are passed
    /// over: the guest's CPU may lack what they need. Entries with a bad offset are passed over too.
    [[nodiscard]] std::optional<std::string_view> find(std::string_view name, std::uint16_t machine) const noexcept {
        auto const wanted = detail::ldcache_flags(machine);
        reader in(entries_, "ld.so.cache.entry");
        while (!in.at_end()) {
            auto const entry = in.get<detail::ldcache_entry>();
            if (!entry)
                break;
            if (entry->flags != wanted || entry->hwcap != 0)
                continue;
            if (auto const text = text_at(entry->name); text && *text == name)
                return text_at(entry->path);
        }
        return std::nullopt;
    }

private:
    [[nodiscard]] static bool starts_with(std::span<std::byte const> raw, std::string_view magic) noexcept {
        return raw.size() >= magic.size() && std::memcmp(raw.data(), magic.data(), magic.size()) == 0;
    }
    [[nodiscard]] std::optional<std::string_view> text_at(std::uint32_t offset) const noexcept {
        if (offset >= base_.size())
            return std::nullopt;
        auto const rest = base_.subspan(offset);
        auto const* const end = std::memchr(rest.data(), 0, rest.size() < 4096 ? rest.size() : 4096);
        if (end == nullptr)
            return std::nullopt;
        auto const* const text = reinterpret_cast<char const*>(rest.data());
        return std::string_view(text, static_cast<std::size_t>(static_cast<char const*>(end) - text));
    }

    std::span<std::byte const> base_;
    std::span<std::byte const> entries_;
};

} // namespace ktstr
