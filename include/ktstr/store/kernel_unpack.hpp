// SPDX-License-Identifier: Apache-2.0
/// \file
/// Takes a kernel file apart for the store: bzImage to vmlinux and relocation tables, and what they say.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/boot/bzimage.hpp"
#include "ktstr/boot/decompress.hpp"
#include "ktstr/boot/elf_sections.hpp"
#include "ktstr/boot/elf_vmlinux.hpp"
#include "ktstr/boot/kernel_config.hpp"
#include "ktstr/boot/kernel_image.hpp"
#include "ktstr/boot/relocs.hpp"
#include "ktstr/store/manifest.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktstr {

/// A kernel file in its parts.
struct unpacked_kernel {
    kernel_kind kind = kernel_kind::unknown;
    std::string banner;              ///< Version line of a bzImage, or "Linux version ..." found in a vmlinux.
    std::string release;             ///< First word of the version; empty when not found.
    std::vector<std::byte> storage;  ///< The decompressed payload; empty when the file itself is the vmlinux.
    std::span<std::byte const> vmlinux{}; ///< In `storage` or in the file.
    std::span<std::byte const> relocs{};  ///< In `storage`; empty when there are none.
    std::string build_id;            ///< Hexadecimal; empty when there is none.
    std::string config;              ///< From CONFIG_IKCONFIG; empty when there is none.
};

namespace detail {
/// The GNU build id in the notes of a vmlinux, in hexadecimal.
[[nodiscard]] inline std::string find_build_id(std::span<std::byte const> vmlinux) {
    auto const notes = find_section(vmlinux, ".notes");
    if (!notes)
        return {};
    struct head {
        le32 name_size;
        le32 desc_size;
        le32 type;
    };
    std::string out;
    for (std::uint64_t at = 0; fits(at, sizeof(head), notes->size());) {
        auto const note = peek<head>(*notes, static_cast<std::size_t>(at));
        auto const name = at + sizeof(head);
        auto const desc = name + (std::uint64_t{note.name_size} + 3) / 4 * 4;
        if (!fits(desc, note.desc_size, notes->size()))
            break;
        if (note.type == 3 && has_text(*notes, static_cast<std::size_t>(name), std::string_view("GNU\0", 4))) {
            constexpr std::string_view digits = "0123456789abcdef";
            for (auto const b : notes->subspan(static_cast<std::size_t>(desc), note.desc_size)) {
                out += digits[static_cast<unsigned>(b) >> 4];
                out += digits[static_cast<unsigned>(b) & 15];
            }
            return out;
        }
        at = desc + (std::uint64_t{note.desc_size} + 3) / 4 * 4;
    }
    return out;
}
} // namespace detail

/// Takes `file`, a bzImage or an x86_64 vmlinux, apart. Views borrow from `file`. Errors as the parsers and the
/// decompressor; `errc::unsupported` at "kernel.kind" with the `kernel_kind` for anything else.
template <Decompressor D>
[[nodiscard]] result<unpacked_kernel> unpack_kernel(std::span<std::byte const> file, D const& decompressor = {}) {
    unpacked_kernel out;
    out.kind = detect_kernel(file);
    auto whole = file;
    if (out.kind == kernel_kind::bzimage) {
        KTSTR_TRY(auto const image, parse_bzimage(file));
        out.banner = image.version;
        out.release = image.release();
        constexpr std::uint64_t limit = std::uint64_t{2} << 30;
        KTSTR_TRY(out.storage, decompressor.unpack(image.payload, image.payload_size_hint, limit));
        whole = out.storage;
    } else if (out.kind != kernel_kind::elf_x86_64) {
        return fail(errc::unsupported, "kernel.kind", static_cast<std::uint64_t>(out.kind));
    }
    KTSTR_TRY(auto const image, parse_vmlinux(whole));
    out.vmlinux = whole.first(static_cast<std::size_t>(image.elf_size));
    if (out.kind == kernel_kind::bzimage) {
        out.relocs = whole.subspan(static_cast<std::size_t>(image.elf_size));
        KTSTR_CHECK(parse_relocs(out.relocs));
    }
    if (out.banner.empty()) {
        constexpr std::string_view mark = "Linux version ";
        auto const text = std::string_view(reinterpret_cast<char const*>(out.vmlinux.data()), out.vmlinux.size());
        for (auto at = text.find(mark); at != std::string_view::npos; at = text.find(mark, at + 1)) {
            auto const rest = text.substr(at + mark.size(), 400);
            if (rest.empty() || rest[0] < '0' || rest[0] > '9')
                continue; // a format string
            out.banner = rest.substr(0, rest.find_first_of(std::string_view("\n\0", 2)));
            out.release = out.banner.substr(0, out.banner.find(' '));
            break;
        }
    }
    out.build_id = detail::find_build_id(out.vmlinux);
    if (auto config = embedded_config(out.vmlinux, decompressor))
        out.config = *std::move(config);
    return out;
}

/// Whether a function of that name is part of the kernel itself, as its BTF knows; false without BTF.
[[nodiscard]] inline bool has_built_in_function(std::span<std::byte const> vmlinux, std::string_view name) {
    auto const btf = find_section(vmlinux, ".BTF");
    if (!btf)
        return false;
    std::string needle(1, '\0');
    needle.append(name).push_back('\0');
    return std::string_view(reinterpret_cast<char const*>(btf->data()), btf->size()).find(needle) != std::string_view::npos;
}

} // namespace ktstr
