// SPDX-License-Identifier: Apache-2.0
/// \file
/// A kernel file whose pages become guest RAM without being copied: a model of `ImageSource`.
///
/// Copying a 40 MB kernel costs tens of milliseconds on a fast machine and seconds in the emulated lab, and a boot
/// touches only a part of it. A private file mapping over the guest's RAM gives every machine of a host the same page
/// cache and copies a page only when the guest (or KASLR) writes to it.
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/boot/load_vmlinux.hpp"
#include "ktstr/sys/io.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/mman.h>

namespace ktstr {

/// Reads from the open file `fd` (borrowed; `size` bytes long) by mapping whole pages over the destination and copying
/// what does not line up. The destination must be private memory of this process that nobody else maps: with a shared
/// backing the range leaves that backing. The file must not be changed or truncated while the machine lives; entries of
/// the kernel store never are.
struct mapped_source {
    int fd = -1;
    std::uint64_t size = 0;

    [[nodiscard]] result<> read(std::span<std::byte> to, std::uint64_t offset) const noexcept {
        constexpr std::uint64_t page = 4096;
        if (!fits(offset, to.size(), size))
            return fail(errc::truncated, "vmlinux.read", offset);
        auto const address = reinterpret_cast<std::uintptr_t>(to.data());
        auto const whole = align_down(to.size(), page);
        if (address % page == 0 && offset % page == 0 && whole != 0) {
            void* const at = ::mmap(to.data(), whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd,
                                    static_cast<off_t>(offset));
            // Memory that cannot be mapped over (huge pages of the host's pool) is filled instead.
            if (at != MAP_FAILED) {
                to = to.subspan(whole);
                offset += whole;
            }
        }
        return pread_all(fd, to, offset);
    }
    /// Holes of the file stay what guest RAM was before: fresh pages instead of copies of the page cache's zeros.
    [[nodiscard]] file_extent next_data(std::uint64_t offset, std::uint64_t end) const noexcept {
        return file_source{fd}.next_data(offset, end);
    }
};
static_assert(ImageSource<mapped_source>);

} // namespace ktstr
