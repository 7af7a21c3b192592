// SPDX-License-Identifier: Apache-2.0
/// \file
/// A folder of packed initramfs bases, named by the hash of what went into them.
///
/// Entry `<key>.<compressor>.initramfs`: the base (multiple of 4096 bytes), then one footer page:
///
///     +0   magic "KTSTRIRF"      +8   le32 version (1)      +12  le32 zero
///     +16  le64 base bytes       +24  le64 unpacked bytes   +32  le64[2] key      +48  le64[2] hash of base and of the
///     footer's first 48 bytes    +64  zeros
/// Entries appear by rename and are never written again: two runs at once are safe, and a run that maps an entry keeps
/// it even when another one deletes it.
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/base/cursor.hpp"
#include "ktstr/base/endian.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/layout.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/boot/initramfs.hpp"
#include "ktstr/boot/initramfs_compress.hpp"
#include "ktstr/boot/initramfs_hash.hpp"
#include "ktstr/boot/initramfs_image.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/io.hpp"
#include "ktstr/sys/mapping.hpp"
#include "ktstr/sys/publish.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <utility>
#include <vector>

namespace ktstr {

namespace detail {
struct initramfs_footer {
    char magic[8];
    le32 version;
    le32 zero;
    le64 base_bytes;
    le64 unpacked_bytes;
    le64 key_high;
    le64 key_low;
    le64 hash_high;
    le64 hash_low;
};
KTSTR_ABI(initramfs_footer, 64);
KTSTR_ABI_AT(initramfs_footer, hash_high, 48);

inline constexpr std::string_view initramfs_magic = "KTSTRIRF";
inline constexpr std::string_view initramfs_suffix_name = ".initramfs";

[[nodiscard]] inline content_hash initramfs_entry_hash(std::span<std::byte const> base, initramfs_footer const& footer) noexcept {
    return content_hasher{}.update(base).update(bytes_of(footer).first(offsetof(initramfs_footer, hash_high))).finish();
}
} // namespace detail

/// How an image was come by.
enum class initramfs_origin : std::uint8_t {
    cached,   ///< Read from the cache.
    built,    ///< Built and published.
    rebuilt,  ///< A damaged entry was replaced.
    unsaved,  ///< Built; publishing failed, the run goes on with the image in memory.
};

/// An image with its history.
struct cached_initramfs {
    initramfs_image image;
    initramfs_origin origin = initramfs_origin::built;
    error why{}; ///< What was wrong with the entry (`rebuilt`) or with publishing (`unsaved`).
    std::string path; ///< Where the entry is, or would be.
};

/// The cache. Every call may come from any thread or process at once.
class initramfs_cache {
public:
    /// Uses `folder`, which must exist. The `keep` most recently used entries survive a clean-up.
    explicit initramfs_cache(std::string folder, std::size_t keep = 8) : folder_(std::move(folder)), keep_(keep) {}

    /// The entry's path for what `builder` holds.
    template <Compressor C>
    [[nodiscard]] std::string path_of(content_hash const& key, C const& compressor) const {
        return folder_ + '/' + to_hex(key) + '.' + std::string(compressor.name()) + std::string(detail::initramfs_suffix_name);
    }

    /// The image for `builder`'s files with `suffix` behind it: from the cache if a sound entry is there, else built and
    /// published. A cache that cannot be written is not an error (`initramfs_origin::unsaved`).
    template <Compressor C>
    [[nodiscard]] result<cached_initramfs> get(initramfs_builder const& builder, C const& compressor,
                                               std::vector<std::byte> suffix) const {
        auto const key = builder.key();
        cached_initramfs out;
        out.path = path_of(key, compressor);
        auto const& path = out.path;
        if (auto found = open_entry(path, key)) {
            out.image = *std::move(found);
            out.image.suffix = std::move(suffix);
            out.origin = initramfs_origin::cached;
            // The time of use, for the clean-up; an entry on a read-only file system just stays where it is in the order.
            [[maybe_unused]] auto const touched = ::futimens(out.image.file.get(), nullptr);
            return out;
        } else if (found.error().code != errc::not_found) {
            out.origin = initramfs_origin::rebuilt;
            out.why = found.error();
        }
        KTSTR_TRY(auto const archive, builder.archive());
        KTSTR_TRY(auto const packed, compressor.compress(archive));
        auto const published = publish_entry(path, key, packed, bytes{archive.size()});
        if (published) {
            if (auto entry = open_entry(path, key)) {
                out.image = *std::move(entry);
                out.image.suffix = std::move(suffix);
                clean_up();
                return out;
            }
        }
        KTSTR_TRY(out.image, make_initramfs_image(packed, bytes{archive.size()}, std::move(suffix)));
        out.origin = initramfs_origin::unsaved;
        out.why = published ? error{errc::busy, 0, 0, "initramfs.cache"} : published.error();
        return out;
    }

    /// Opens and verifies one entry. `errc::not_found` when there is none; `errc::bad_format`, `errc::truncated` or
    /// `errc::bad_checksum` when it is damaged.
    [[nodiscard]] static result<initramfs_image> open_entry(std::string const& path, content_hash const& key) {
        content_hash named;
        KTSTR_TRY(auto out, open_entry(path, &named));
        if (key != named)
            return fail(errc::bad_checksum, "initramfs.cache.key", out.base.size());
        return out;
    }
    /// The same for an entry whose key does not matter: one that was carried to another machine by name.
    [[nodiscard]] static result<initramfs_image> open_entry(std::string const& path) {
        content_hash ignored;
        return open_entry(path, &ignored);
    }

private:
    [[nodiscard]] static result<initramfs_image> open_entry(std::string const& path, content_hash* key) {
        initramfs_image out;
        KTSTR_TRY(out.file, unique_fd::open(path.c_str(), O_RDONLY));
        KTSTR_TRY(auto const size, file_size(out.file.get()));
        if (size < 2 * initramfs_page || size % initramfs_page != 0)
            return fail(errc::truncated, "initramfs.cache.size", size);
        KTSTR_TRY(out.base_map, mapping::map(size, PROT_READ, MAP_PRIVATE, out.file.get()));
        auto const all = std::span<std::byte const>(out.base_map.span());
        out.base = all.first(size - initramfs_page);
        detail::initramfs_footer footer;
        std::memcpy(static_cast<void*>(&footer), all.data() + out.base.size(), sizeof footer);
        if (std::string_view(footer.magic, sizeof footer.magic) != detail::initramfs_magic || footer.version.get() != 1)
            return fail(errc::bad_format, "initramfs.cache.magic", footer.version);
        if (footer.base_bytes.get() != out.base.size())
            return fail(errc::truncated, "initramfs.cache.base_bytes", footer.base_bytes);
        auto const hash = detail::initramfs_entry_hash(out.base, footer);
        if (hash != content_hash{footer.hash_high, footer.hash_low})
            return fail(errc::bad_checksum, "initramfs.cache.hash", size);
        *key = content_hash{footer.key_high, footer.key_low};
        out.unpacked_base = bytes{footer.unpacked_bytes};
        return out;
    }

    [[nodiscard]] static result<> publish_entry(std::string const& path, content_hash const& key,
                                                std::span<std::byte const> packed, bytes unpacked) {
        auto const padded = align_up(packed.size(), initramfs_page);
        if (!padded)
            return fail(errc::out_of_range, "initramfs.cache.size", packed.size());
        std::vector<std::byte> content(*padded + initramfs_page);
        std::ranges::copy(packed, content.begin());
        detail::initramfs_footer footer{};
        std::memcpy(footer.magic, detail::initramfs_magic.data(), sizeof footer.magic);
        footer.version = 1;
        footer.base_bytes = *padded;
        footer.unpacked_bytes = unpacked.raw;
        footer.key_high = key.high;
        footer.key_low = key.low;
        auto const hash = detail::initramfs_entry_hash(std::span(content).first(*padded), footer);
        footer.hash_high = hash.high;
        footer.hash_low = hash.low;
        std::memcpy(content.data() + *padded, &footer, sizeof footer);
        return publish(path, content, 0600);
    }

    /// Removes all but the most recently used entries, and temporary files older than an hour (their writer was killed).
    void clean_up() const {
        struct seen {
            std::int64_t used;
            std::string path;
        };
        std::vector<seen> entries;
        DIR* const dir = ::opendir(folder_.c_str());
        if (dir == nullptr)
            return;
        auto const now = ::time(nullptr);
        while (dirent const* const e = ::readdir(dir)) {
            std::string_view const name = e->d_name;
            auto path = folder_ + '/' + std::string(name);
            struct stat st {};
            if (::lstat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode))
                continue;
            if (name.ends_with(detail::initramfs_suffix_name))
                entries.push_back({std::int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec, std::move(path)});
            else if (name.find(".initramfs.tmp-") != std::string_view::npos && now - st.st_mtim.tv_sec > 3600)
                ::unlink(path.c_str());
        }
        ::closedir(dir);
        std::ranges::sort(entries, [](seen const& a, seen const& b) { return a.used > b.used; });
        for (std::size_t i = keep_; i < entries.size(); ++i)
            ::unlink(entries[i].path.c_str());
    }

    std::string folder_;
    std::size_t keep_;
};

} // namespace ktstr
