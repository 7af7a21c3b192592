// SPDX-License-Identifier: Apache-2.0
/// \file
/// Puts a vmlinux into guest memory, moved to another place if asked (KASLR).
///
/// Policy `ImageSource`: `read(to, offset)` fills `to` from byte `offset` of the vmlinux. Called on the caller's thread
/// once per segment and RAM region. Models: `span_source` (bytes in memory), `file_source` (pread from a descriptor).
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/boot/elf_vmlinux.hpp"
#include "ktstr/boot/guest_pieces.hpp"
#include "ktstr/boot/relocs.hpp"
#include "ktstr/mem/guest_memory.hpp"
#include "ktstr/sys/io.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace ktstr {

namespace detail {
template <class S>
concept image_source_read = requires(S const& s, std::span<std::byte> to, std::uint64_t offset) {
    { s.read(to, offset) } noexcept -> std::same_as<result<>>;
};
} // namespace detail

/// Bytes of a vmlinux by file offset; see the contract at the top of this file.
template <class S>
concept ImageSource = detail::image_source_read<S>;

/// A vmlinux that is in memory (mapped or unpacked).
struct span_source {
    std::span<std::byte const> file{};
    [[nodiscard]] result<> read(std::span<std::byte> to, std::uint64_t offset) const noexcept {
        if (!fits(offset, to.size(), file.size()))
            return fail(errc::truncated, "vmlinux.read", offset);
        std::memcpy(to.data(), file.data() + offset, to.size());
        return {};
    }
};
static_assert(ImageSource<span_source>);

/// A vmlinux in a file: its bytes go straight from the page cache into guest RAM.
struct file_source {
    int fd = -1; ///< Borrowed.
    [[nodiscard]] result<> read(std::span<std::byte> to, std::uint64_t offset) const noexcept {
        return pread_all(fd, to, offset);
    }
};
static_assert(ImageSource<file_source>);

/// How to load.
struct load_options {
    std::optional<gpa> phys_base{};       ///< Where the first byte goes; 2 MiB aligned. Default: as linked.
    std::uint64_t virt_offset = 0;        ///< Bytes to move up in virtual address space; needs `relocs` unless 0.
    reloc_tables relocs{};                ///< From `parse_relocs`.
    bool ram_is_zero = true;              ///< RAM was never written: .bss need not be cleared.
};

/// Where the kernel stands now.
struct loaded_kernel {
    gpa entry{};                    ///< 64-bit entry, physical.
    gpa start{};                    ///< First byte.
    gpa end{};                      ///< One past .bss and .brk.
    std::uint64_t phys_offset = 0;  ///< `start` minus the address it was linked for (wraps when lower).
    std::uint64_t virt_offset = 0;  ///< As asked: what KASLR adds to every symbol.

    /// Whether the kernel must be told so (`kaslr_flag` in loadflags).
    [[nodiscard]] constexpr bool moved() const noexcept { return phys_offset != 0 || virt_offset != 0; }
};

/// Loads `image` from `source` into `memory`. `errc::out_of_range` with the address when RAM does not reach,
/// `errc::invalid_argument` for a place that is not 2 MiB aligned, `errc::unsupported` at "kaslr.relocs" when it is to
/// be moved but has no relocation tables. After an error the memory in question is undefined.
template <GuestMemory M, ImageSource S>
[[nodiscard]] result<loaded_kernel> load_vmlinux(M const& memory, S const& source, vmlinux_image const& image,
                                                 load_options const& options = {}) noexcept {
    auto const base = options.phys_base.value_or(image.extent.start);
    constexpr std::uint64_t alignment = 2 * MiB;
    if (options.phys_base && (base - image.extent.start) % alignment != 0)
        return fail(errc::invalid_argument, "load.phys_base", base.raw);
    if (options.virt_offset % alignment != 0 || options.virt_offset >= 1 * GiB)
        return fail(errc::invalid_argument, "load.virt_offset", options.virt_offset);
    if (options.virt_offset != 0 && options.relocs.empty())
        return fail(errc::unsupported, "kaslr.relocs");
    if (!checked_add(base.raw, image.extent.size.raw))
        return fail(errc::out_of_range, "load.phys_base", base.raw);

    for (auto const& segment : image.segments()) {
        auto const at = base + (segment.start - image.extent.start);
        KTSTR_CHECK(for_each_piece(memory, at, segment.file_size, [&](std::span<std::byte> to, std::uint64_t done) {
            return source.read(to, segment.offset + done);
        }));
        // Even when it need not be cleared, the rest of the segment must be RAM.
        KTSTR_CHECK(for_each_piece(memory, at + segment.file_size, segment.memory_size - segment.file_size,
                                   [&](std::span<std::byte> to, std::uint64_t) -> result<> {
                                       if (!options.ram_is_zero)
                                           std::memset(to.data(), 0, to.size());
                                       return {};
                                   }));
    }
    if (options.virt_offset != 0)
        KTSTR_CHECK(apply_relocs(memory, image.extent, base, options.relocs, options.virt_offset));
    return loaded_kernel{base + (image.entry - image.extent.start), base, base + image.extent.size.raw,
                         base - image.extent.start, options.virt_offset};
}

} // namespace ktstr
