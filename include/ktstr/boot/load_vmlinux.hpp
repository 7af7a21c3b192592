// SPDX-License-Identifier: Apache-2.0
/// \file
/// Puts a vmlinux into guest memory, moved to another place if asked (KASLR).
///
/// Policy `ImageSource`: `read(to, offset)` fills `to`, a part of guest RAM, from byte `offset` of the vmlinux. A model
/// may also have `next_data(offset, end)`: the next range at or after `offset` that is not all zero (`{end, end}`: none),
/// so that zeros need not go into fresh memory. Called on the caller's thread, in order. Models: `null_source`,
/// `span_source` (bytes in memory), `file_source` (pread from a descriptor), `mapped_source` (the file's pages become
/// guest RAM). Suite: tests/suites/image_source_suite.hpp.
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

#include <algorithm>
#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <unistd.h>

namespace ktstr {

/// Bytes `[start, end)` of a file.
struct file_extent {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    friend constexpr bool operator==(file_extent const&, file_extent const&) noexcept = default;
};

namespace detail {
template <class S>
concept image_source_read = requires(S const& s, std::span<std::byte> to, std::uint64_t offset) {
    { s.read(to, offset) } noexcept -> std::same_as<result<>>;
};
template <class S>
concept image_source_next_data = requires(S const& s, std::uint64_t offset) {
    { s.next_data(offset, offset) } noexcept -> std::same_as<file_extent>;
};
/// The next range of `source` that must be read; small holes count as data, so that reads stay few.
template <class S>
[[nodiscard]] file_extent next_read(S const& source, std::uint64_t offset, std::uint64_t end) noexcept {
    if constexpr (image_source_next_data<S>) {
        constexpr std::uint64_t small = 512 * KiB;
        auto out = source.next_data(offset, end);
        while (out.end < end) {
            auto const more = source.next_data(out.end, end);
            if (more.start - out.end >= small || more.end <= out.end)
                break;
            out.end = more.end;
        }
        return out;
    } else {
        return {offset, end};
    }
}
} // namespace detail

/// Bytes of a vmlinux by file offset; see the contract at the top of this file.
template <class S>
concept ImageSource = detail::image_source_read<S>;

/// Fails to compile with one sentence per requirement that `S` misses.
template <class S>
consteval bool explain_image_source() {
    static_assert(detail::image_source_read<S>,
                  "ImageSource: missing `result<> read(span<byte>, uint64_t offset) const noexcept`");
    return ImageSource<S>;
}

/// No bytes at all: every read fails.
struct null_source {
    [[nodiscard]] result<> read(std::span<std::byte> to, std::uint64_t offset) const noexcept {
        if (to.empty())
            return {};
        return fail(errc::truncated, "vmlinux.read", offset);
    }
};
static_assert(ImageSource<null_source>);

/// A vmlinux that is in memory (mapped or unpacked).
struct span_source {
    std::span<std::byte const> file{};
    [[nodiscard]] result<> read(std::span<std::byte> to, std::uint64_t offset) const noexcept {
        if (!fits(offset, to.size(), file.size()))
            return fail(errc::truncated, "vmlinux.read", offset);
        if (!to.empty())
            std::memcpy(to.data(), file.data() + offset, to.size());
        return {};
    }
};
static_assert(ImageSource<span_source>);

/// A vmlinux in a file: its bytes go straight from the page cache into guest RAM, the file's holes do not.
struct file_source {
    int fd = -1; ///< Borrowed. Its file position is moved.
    [[nodiscard]] result<> read(std::span<std::byte> to, std::uint64_t offset) const noexcept {
        return pread_all(fd, to, offset);
    }
    [[nodiscard]] file_extent next_data(std::uint64_t offset, std::uint64_t end) const noexcept {
        auto const data = ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
        if (data < 0) {
            // No more data; or a file that is too short, whose read then fails; or a file system that cannot tell.
            auto const only_hole = errno == ENXIO && file_size(fd).value_or(0) >= end;
            return {only_hole ? end : offset, end};
        }
        auto const start = std::min(static_cast<std::uint64_t>(data), end);
        auto const hole = ::lseek(fd, data, SEEK_HOLE);
        return {start, hole < 0 ? end : std::min(static_cast<std::uint64_t>(hole), end)};
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
        auto const file_end = segment.offset + segment.file_size;
        for (auto from = segment.offset; from < file_end;) {
            auto const data = options.ram_is_zero ? detail::next_read(source, from, file_end) : file_extent{from, file_end};
            KTSTR_CHECK(for_each_piece(memory, at + (data.start - segment.offset), data.end - data.start,
                                       [&](std::span<std::byte> to, std::uint64_t done) {
                                           return source.read(to, data.start + done);
                                       }));
            from = std::max(data.end, from + 1);
        }
        // Even where nothing is written, the whole segment must be RAM.
        KTSTR_CHECK(for_each_piece(memory, at, segment.memory_size, [&](std::span<std::byte> to, std::uint64_t done) -> result<> {
            if (!options.ram_is_zero && done + to.size() > segment.file_size) {
                auto const keep = segment.file_size > done ? segment.file_size - done : 0;
                std::memset(to.data() + keep, 0, to.size() - keep);
            }
            return {};
        }));
    }
    if (options.virt_offset != 0)
        KTSTR_CHECK(apply_relocs(memory, image.extent, base, options.relocs, options.virt_offset));
    return loaded_kernel{base + (image.entry - image.extent.start), base, base + image.extent.size.raw,
                         base - image.extent.start, options.virt_offset};
}

} // namespace ktstr
