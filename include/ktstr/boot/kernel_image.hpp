// SPDX-License-Identifier: Apache-2.0
/// \file
/// Tells what a file that claims to be a kernel is, from its first bytes.
#pragma once

#include "ktstr/abi/boot_params.hpp"
#include "ktstr/abi/elf.hpp"
#include "ktstr/base/endian.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace ktstr {

/// What the first bytes of a file say it is.
enum class kernel_kind : std::uint8_t {
    unknown,         ///< None of the others.
    bzimage,         ///< x86 boot protocol ("HdrS").
    elf_x86_64,      ///< ELF-64 for x86_64: a vmlinux if it is executable.
    elf_aarch64,     ///< ELF-64 for arm64.
    elf_other,       ///< ELF of another class, byte order or machine.
    arm64_image,     ///< arm64 "Image".
    arm64_zboot,     ///< arm64 compressed EFI image ("zimg").
    pe_other,        ///< Some other EFI/PE program.
    gzip,            ///< A compressed file: gunzip it first.
    debian_package,  ///< An ar archive, as .deb files are.
};

namespace detail {
/// A `T` copied from byte `at` of `data`, or a zeroed one when it does not fit.
template <class T>
    requires std::is_trivially_copyable_v<T>
[[nodiscard]] T peek(std::span<std::byte const> data, std::size_t at) noexcept {
    T out{};
    if (at <= data.size() && sizeof(T) <= data.size() - at)
        std::memcpy(static_cast<void*>(&out), data.data() + at, sizeof(T));
    return out;
}
[[nodiscard]] inline bool has_text(std::span<std::byte const> data, std::size_t at, std::string_view text) noexcept {
    return at <= data.size() && text.size() <= data.size() - at &&
           std::memcmp(data.data() + at, text.data(), text.size()) == 0;
}
} // namespace detail

/// The kind of kernel that starts with `head`; the first 1 KiB of a file is enough. Any input is fine.
[[nodiscard]] inline kernel_kind detect_kernel(std::span<std::byte const> head) noexcept {
    using detail::has_text;
    using detail::peek;
    auto const ident = peek<elf::ehdr>(head, 0);
    if (head.size() >= sizeof(elf::ehdr) && std::equal(elf::magic.begin(), elf::magic.end(), ident.ident.begin())) {
        if (ident.ident[4] != elf::class_64 || ident.ident[5] != elf::data_little)
            return kernel_kind::elf_other;
        if (ident.machine == elf::em_x86_64)
            return kernel_kind::elf_x86_64;
        return ident.machine == elf::em_aarch64 ? kernel_kind::elf_aarch64 : kernel_kind::elf_other;
    }
    if (peek<le32>(head, 0x202) == x86_boot::header_magic && peek<le16>(head, 0x1fe) == x86_boot::boot_flag_value)
        return kernel_kind::bzimage;
    if (has_text(head, 0x38, "ARM\x64"))
        return kernel_kind::arm64_image;
    if (has_text(head, 0, "MZ"))
        return has_text(head, 4, "zimg") ? kernel_kind::arm64_zboot : kernel_kind::pe_other;
    if (has_text(head, 0, "\x1f\x8b"))
        return kernel_kind::gzip;
    if (has_text(head, 0, "!<arch>\n"))
        return kernel_kind::debian_package;
    return kernel_kind::unknown;
}

/// What to call `kind` in a message.
[[nodiscard]] constexpr std::string_view name_of(kernel_kind kind) noexcept {
    switch (kind) {
    case kernel_kind::bzimage: return "x86 bzImage";
    case kernel_kind::elf_x86_64: return "x86_64 ELF";
    case kernel_kind::elf_aarch64: return "aarch64 ELF";
    case kernel_kind::elf_other: return "ELF for another machine";
    case kernel_kind::arm64_image: return "arm64 Image";
    case kernel_kind::arm64_zboot: return "arm64 compressed EFI image";
    case kernel_kind::pe_other: return "EFI program that is no x86 Linux kernel";
    case kernel_kind::gzip: return "gzip file";
    case kernel_kind::debian_package: return "Debian package";
    case kernel_kind::unknown: break;
    }
    return "unknown format";
}

} // namespace ktstr
