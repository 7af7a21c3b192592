// SPDX-License-Identifier: Apache-2.0
/// \file
/// Reads a bzImage: its setup header and the compressed kernel inside.
///
/// Source: linux 6.12 Documentation/arch/x86/boot.rst. Checked: sizes, magic, protocol, that payload and version string
/// lie inside the file. Not checked: the CRC at the end of the file, the real-mode and decompressor code (never run).
#pragma once

#include "ktstr/abi/boot_params.hpp"
#include "ktstr/base/checked.hpp"
#include "ktstr/base/cursor.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/boot/decompress.hpp"
#include "ktstr/boot/kernel_image.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace ktstr {

/// A bzImage taken apart. Views borrow from the bytes given to `parse_bzimage`.
struct bzimage {
    x86_boot::setup_header header{};           ///< A copy; bytes beyond the file's own header length are zero.
    std::string_view version{};                ///< "7.3.4 (builder) #1 ..."; empty when the image has none.
    std::span<std::byte const> payload{};      ///< The compressed vmlinux, with what the kernel build appends.
    compression method = compression::none;    ///< What `payload` starts like.
    std::uint64_t payload_size_hint = 0;       ///< Unpacked bytes as the payload's last word claims; a hint only.

    /// The release: `version` up to its first blank.
    [[nodiscard]] std::string_view release() const noexcept { return version.substr(0, version.find(' ')); }
};

/// Takes `image` apart. `errc::bad_format` when it is no bzImage, `errc::unsupported` when its boot protocol is older
/// than 2.08 (no payload) or it has no 64-bit kernel, `errc::truncated` when the file ends too soon.
[[nodiscard]] inline result<bzimage> parse_bzimage(std::span<std::byte const> image) noexcept {
    using namespace x86_boot;
    constexpr std::uint64_t magic_end = 0x206;
    if (image.size() < magic_end + 2)
        return fail(errc::truncated, "bzimage.header", image.size());
    if (detail::peek<le16>(image, 0x1fe) != boot_flag_value || detail::peek<le32>(image, 0x202) != header_magic)
        return fail(errc::bad_format, "bzimage.magic", detail::peek<le32>(image, 0x202));
    bzimage out;
    auto const version = detail::peek<le16>(image, 0x206).get();
    if (version < 0x0208)
        return fail(errc::unsupported, "bzimage.protocol", version);
    // The header ends where its own jump lands; what lies behind belongs to the setup code.
    auto const header_end = std::uint64_t{0x202} + detail::peek<std::uint8_t>(image, 0x201);
    auto const header_size = std::min<std::uint64_t>(header_end > setup_header_offset ? header_end - setup_header_offset : 0,
                                                     sizeof(setup_header));
    if (header_size < 0x250 - setup_header_offset)
        return fail(errc::bad_format, "bzimage.header_length", header_end);
    if (!fits(setup_header_offset, header_size, image.size()))
        return fail(errc::truncated, "bzimage.header", image.size());
    std::memcpy(static_cast<void*>(&out.header), image.data() + setup_header_offset, static_cast<std::size_t>(header_size));
    if (version >= 0x020c && (out.header.xloadflags & xlf_kernel_64) == 0)
        return fail(errc::unsupported, "bzimage.xloadflags", out.header.xloadflags);

    auto const sectors = out.header.setup_sects == 0 ? 4U : out.header.setup_sects;
    auto const protected_mode = (std::uint64_t{sectors} + 1) * 512;
    auto const at = protected_mode + out.header.payload_offset;
    auto const length = std::uint64_t{out.header.payload_length};
    if (!fits(at, length, image.size()))
        return fail(errc::truncated, "bzimage.payload", at + length);
    out.payload = image.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(length));
    out.method = detect_compression(out.payload);
    if (out.payload.size() >= 4)
        out.payload_size_hint = detail::peek<le32>(out.payload, out.payload.size() - 4);

    if (out.header.kernel_version != 0) {
        auto const text = std::uint64_t{out.header.kernel_version} + 0x200;
        if (text >= image.size())
            return fail(errc::truncated, "bzimage.version", text);
        auto const rest = image.subspan(static_cast<std::size_t>(text));
        auto const limited = rest.first(std::min<std::size_t>(rest.size(), 512));
        auto const* const end = std::memchr(limited.data(), 0, limited.size());
        if (end == nullptr)
            return fail(errc::bad_format, "bzimage.version", text);
        out.version = {reinterpret_cast<char const*>(limited.data()),
                       static_cast<std::size_t>(static_cast<std::byte const*>(end) - limited.data())};
    }
    return out;
}

} // namespace ktstr
