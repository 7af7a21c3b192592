// SPDX-License-Identifier: Apache-2.0
/// \file
/// Writing and reading newc cpio archives in memory. Writing is deterministic: same calls, same bytes.
#pragma once

#include "ktstr/abi/cpio.hpp"
#include "ktstr/base/checked.hpp"
#include "ktstr/base/cursor.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace ktstr {

/// What a cpio entry says about one path, apart from its name and content.
struct cpio_attributes {
    std::uint32_t mode = 0; ///< Type and permission bits as in stat(2).
    std::uint32_t rdev_major = 0; ///< Device nodes only.
    std::uint32_t rdev_minor = 0;
};

namespace detail {
[[nodiscard]] constexpr cpio_abi::hex8 to_hex8(std::uint32_t value) noexcept {
    cpio_abi::hex8 out{};
    for (int i = 7; i >= 0; --i, value >>= 4)
        out.digit[i] = "0123456789abcdef"[value & 15];
    return out;
}

[[nodiscard]] constexpr std::optional<std::uint32_t> from_hex8(cpio_abi::hex8 const& field) noexcept {
    std::uint32_t value = 0;
    for (char const c : field.digit) {
        std::uint32_t nibble = 0;
        if (c >= '0' && c <= '9')
            nibble = static_cast<std::uint32_t>(c - '0');
        else if (c >= 'a' && c <= 'f')
            nibble = static_cast<std::uint32_t>(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            nibble = static_cast<std::uint32_t>(c - 'A' + 10);
        else
            return std::nullopt;
        value = value << 4 | nibble;
    }
    return value;
}
} // namespace detail

/// Appends entries to a byte vector that the caller owns and that must outlive the writer.
/// Owner is root, time is 0, inode numbers count from 1, no hard links. The vector's size when the writer is made must
/// be a multiple of 4. Parent directories are not added by themselves.
class cpio_writer {
public:
    explicit cpio_writer(std::vector<std::byte>& out) noexcept : out_(&out) {}

    /// Appends one entry. `name` is relative to the root and must be 1..4095 bytes without a NUL
    /// (`errc::invalid_argument`); content must stay below 4 GiB (`errc::out_of_range`). Nothing is appended on failure.
    [[nodiscard]] result<> add(std::string_view name, cpio_attributes what, std::span<std::byte const> content = {}) {
        if (name.empty() || name.size() >= cpio_abi::name_max || name.find('\0') != std::string_view::npos)
            return fail(errc::invalid_argument, "cpio.name", name.size());
        if (content.size() > std::numeric_limits<std::uint32_t>::max())
            return fail(errc::out_of_range, "cpio.filesize", content.size());
        put(name, what, content, ++inode_);
        return {};
    }

    /// Appends the entry that ends the archive.
    void finish() { put(cpio_abi::trailer_name, {}, {}, 0); }

private:
    void put(std::string_view name, cpio_attributes what, std::span<std::byte const> content, std::uint32_t inode) {
        using detail::to_hex8;
        cpio_abi::newc_header h{};
        std::memcpy(h.magic, cpio_abi::magic.data(), sizeof h.magic);
        auto const zero = to_hex8(0);
        h.ino = to_hex8(inode);
        h.mode = to_hex8(what.mode);
        h.uid = h.gid = h.mtime = h.dev_major = h.dev_minor = h.check = zero;
        h.nlink = to_hex8((what.mode & cpio_abi::type_mask) == cpio_abi::type_directory ? 2 : 1);
        h.filesize = to_hex8(static_cast<std::uint32_t>(content.size()));
        h.rdev_major = to_hex8(what.rdev_major);
        h.rdev_minor = to_hex8(what.rdev_minor);
        h.namesize = to_hex8(static_cast<std::uint32_t>(name.size() + 1));

        auto const header = bytes_of(h);
        out_->insert(out_->end(), header.begin(), header.end());
        auto const text = std::as_bytes(std::span(name.data(), name.size()));
        out_->insert(out_->end(), text.begin(), text.end());
        out_->push_back(std::byte{0});
        pad();
        out_->insert(out_->end(), content.begin(), content.end());
        pad();
    }
    void pad() { out_->resize((out_->size() + cpio_abi::alignment - 1) / cpio_abi::alignment * cpio_abi::alignment); }

    std::vector<std::byte>* out_;
    std::uint32_t inode_ = 0;
};

/// One entry of an archive; name and content borrow from the archive's bytes.
struct cpio_entry {
    std::string_view name; ///< As written; never empty, without its NUL.
    cpio_attributes what;
    std::span<std::byte const> content;
};

/// Walks the entries of uncompressed newc archives that follow each other, as the kernel does. Not validated: names
/// with "..", duplicate names, inode numbers, owner and time.
class cpio_reader {
public:
    explicit cpio_reader(std::span<std::byte const> archive) noexcept : in_(archive, "cpio") {}

    /// The next entry, or nothing at the end. Trailers and the zeros behind them are skipped. `errc::bad_format` for
    /// bytes that are no newc header, `errc::truncated` when the archive ends inside an entry; the reader then stays put.
    [[nodiscard]] result<std::optional<cpio_entry>> next() noexcept {
        for (;;) {
            auto const start = in_.offset();
            if (in_.at_end())
                return std::optional<cpio_entry>{};
            if (start % cpio_abi::alignment != 0 || peek_zero()) {
                KTSTR_CHECK(skip_zero());
                continue;
            }
            auto entry = one();
            if (!entry) {
                KTSTR_CHECK(in_.seek(start));
                return std::unexpected(entry.error());
            }
            if (entry->name != cpio_abi::trailer_name)
                return std::optional<cpio_entry>{*entry};
        }
    }

private:
    [[nodiscard]] bool peek_zero() noexcept {
        reader ahead = in_;
        auto const raw = ahead.take(1);
        return raw && raw->front() == std::byte{0};
    }
    [[nodiscard]] result<> skip_zero() noexcept {
        auto const at = in_.offset();
        KTSTR_TRY(auto const raw, in_.take(1));
        if (raw.front() != std::byte{0}) {
            KTSTR_CHECK(in_.seek(at));
            return fail(errc::bad_format, "cpio.padding", at);
        }
        return {};
    }
    [[nodiscard]] result<> align() noexcept {
        auto const gap = (cpio_abi::alignment - in_.offset() % cpio_abi::alignment) % cpio_abi::alignment;
        KTSTR_CHECK(in_.take(gap < in_.remaining() ? gap : in_.remaining()));
        return {};
    }
    [[nodiscard]] result<cpio_entry> one() noexcept {
        auto const at = in_.offset();
        KTSTR_TRY(auto const h, in_.get<cpio_abi::newc_header>());
        if (std::string_view(h.magic, sizeof h.magic) != cpio_abi::magic)
            return fail(errc::bad_format, "cpio.magic", at);
        auto const mode = detail::from_hex8(h.mode);
        auto const size = detail::from_hex8(h.filesize);
        auto const rmajor = detail::from_hex8(h.rdev_major);
        auto const rminor = detail::from_hex8(h.rdev_minor);
        auto const namesize = detail::from_hex8(h.namesize);
        if (!mode || !size || !rmajor || !rminor || !namesize)
            return fail(errc::bad_format, "cpio.number", at);
        if (*namesize < 2 || *namesize > cpio_abi::name_max)
            return fail(errc::bad_format, "cpio.namesize", *namesize);
        KTSTR_TRY(auto const raw, in_.take(*namesize));
        if (raw.back() != std::byte{0})
            return fail(errc::bad_format, "cpio.name", at);
        cpio_entry out;
        out.name = {reinterpret_cast<char const*>(raw.data()), raw.size() - 1};
        if (out.name.find('\0') != std::string_view::npos)
            return fail(errc::bad_format, "cpio.name", at);
        out.what = {*mode, *rmajor, *rminor};
        KTSTR_CHECK(align());
        KTSTR_TRY(out.content, in_.take(*size));
        KTSTR_CHECK(align());
        return out;
    }

    reader in_;
};

} // namespace ktstr
