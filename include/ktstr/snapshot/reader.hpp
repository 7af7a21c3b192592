// SPDX-License-Identifier: Apache-2.0
/// \file
/// Reads a snapshot file (.ktsnap) back: header, registers, memory, other sections.
///
/// Checked when opened: magic, version, size, checksums of head and tables, every offset and length inside the file,
/// names, chunk rows sorted and of possible sizes, header and vCPU blocks. Checked when read: the checksum of each chunk
/// before its first use. Not checked: that chunks do not share bytes of the file, and what memory holds.
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/base/cursor.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/snapshot/chunk_codec.hpp"
#include "ktstr/snapshot/crc32_sliced.hpp"
#include "ktstr/snapshot/format.hpp"
#include "ktstr/snapshot/kept_header.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktstr {

/// A section as the table names it.
struct stored_section {
    std::string name;
    std::uint32_t version = 0;
    bool paged = false;
    std::uint16_t codec = 0;
    std::uint64_t pages = 0;  ///< Pages that are there; 0 for a blob.
    std::uint64_t stored = 0; ///< Bytes of content in the file.
};

/// A snapshot file taken apart. Borrows the file's bytes; one thread at a time, because the last chunk that was
/// unpacked is kept.
template <ChunkCodec Codec = plain_chunks>
class basic_snapshot_reader {
public:
    /// Takes the file `file` apart. `errc::bad_format` for what is no snapshot file, `errc::unsupported` for a newer
    /// version or another codec, `errc::bad_checksum`, `errc::truncated`.
    [[nodiscard]] static result<basic_snapshot_reader> open(std::span<std::byte const> file, Codec codec = Codec{}) {
        basic_snapshot_reader out(file, std::move(codec));
        KTSTR_TRY(auto const head, out.read_head());
        reader table(file, "ktsnap.table");
        KTSTR_CHECK(table.seek(head.table_offset));
        bool header_seen = false;
        for (std::uint32_t i = 0; i < head.section_count; ++i) {
            KTSTR_TRY(auto const row, table.get<ktsnap::section_row>());
            KTSTR_CHECK(out.read_section_row(row, header_seen));
        }
        if (!header_seen)
            return fail(errc::bad_format, "ktsnap.no_header");
        out.header_.vcpus = std::move(out.cpus_);
        out.header_.vmcoreinfo = std::move(out.vmcoreinfo_);
        return out;
    }

    [[nodiscard]] kept_header const& header() const noexcept { return header_; }
    /// All sections, in the order of the file.
    [[nodiscard]] std::span<stored_section const> sections() const noexcept { return sections_; }

    /// Copies RAM from `at`; pages that are not in the file are zero. `errc::out_of_range` where there is no RAM.
    [[nodiscard]] result<> read(gpa at, std::span<std::byte> out) {
        if (!is_ram(header_.ram, at, out.size()))
            return fail(errc::out_of_range, "ktsnap.read", at.raw);
        return read_section(ktsnap::name_ram, at.raw, out);
    }

    /// Copies bytes of the paged section `name`; what is not there is zero, as is a section that is missing.
    [[nodiscard]] result<> read_section(std::string_view name, std::uint64_t offset, std::span<std::byte> out) {
        while (!out.empty()) {
            auto const inside = static_cast<std::size_t>(offset % ktsnap::page_size);
            auto const n = std::min(out.size(), static_cast<std::size_t>(ktsnap::page_size) - inside);
            KTSTR_TRY(auto const page, page_at(name, offset - inside));
            std::memcpy(out.data(), page.data() + inside, n);
            out = out.subspan(n);
            offset += n;
        }
        return {};
    }

    /// The page of RAM at `at` (a multiple of 4096), valid until the next call on this reader.
    [[nodiscard]] result<std::span<std::byte const>> page(gpa at) { return page_at(ktsnap::name_ram, at.raw); }

    /// The first page of RAM at or above `at` that is in the file.
    [[nodiscard]] std::optional<gpa> next_stored(gpa at) const noexcept {
        auto const* const p = find_paged(ktsnap::name_ram);
        if (p == nullptr)
            return std::nullopt;
        auto const first_page = (at.raw + ktsnap::page_size - 1) / ktsnap::page_size;
        if (at.raw > ~std::uint64_t{0} - ktsnap::page_size)
            return std::nullopt;
        for (auto i = chunk_from(*p, first_page * ktsnap::page_size); i < p->count; ++i) {
            auto const row = row_of(*p, i);
            auto mask = row.pages.get();
            if (row.base / ktsnap::page_size < first_page)
                mask &= ~std::uint64_t{0} << (first_page - row.base / ktsnap::page_size);
            if (mask != 0)
                return gpa{row.base + static_cast<std::uint64_t>(std::countr_zero(mask)) * ktsnap::page_size};
        }
        return std::nullopt;
    }

    /// Reads every chunk once: `errc::bad_checksum` or `errc::bad_format` when one is damaged.
    [[nodiscard]] result<> verify() {
        for (auto& p : paged_)
            for (std::size_t i = 0; i < p.count; ++i)
                KTSTR_CHECK(load(p, i));
        return {};
    }

private:
    static constexpr auto none = ~std::size_t{0};
    struct paged {
        std::string name;
        std::uint64_t rows = 0; ///< File offset of the chunk rows.
        std::size_t count = 0;
        std::vector<bool> checked{};
    };

    basic_snapshot_reader(std::span<std::byte const> file, Codec codec) : file_(file), codec_(std::move(codec)) {}

    [[nodiscard]] result<ktsnap::head> read_head() const {
        reader in(file_, "ktsnap.head");
        KTSTR_TRY(auto const h, in.get<ktsnap::head>());
        if (h.magic != ktsnap::magic)
            return fail(errc::bad_format, "ktsnap.magic");
        if (h.major != ktsnap::major_version)
            return fail(errc::unsupported, "ktsnap.version", h.major);
        if (h.crc != crc32_sliced(file_.first(sizeof h - 4)))
            return fail(errc::bad_checksum, "ktsnap.head");
        if (h.size != file_.size())
            return fail(h.size > file_.size() ? errc::truncated : errc::bad_format, "ktsnap.size", h.size);
        if (h.section_count > ktsnap::max_sections)
            return fail(errc::out_of_range, "ktsnap.sections", h.section_count);
        auto const length = std::uint64_t{h.section_count} * sizeof(ktsnap::section_row);
        if (!fits(h.table_offset, length, file_.size()))
            return fail(errc::truncated, "ktsnap.table", h.table_offset);
        if (h.table_crc != crc32_sliced(piece(h.table_offset, length)))
            return fail(errc::bad_checksum, "ktsnap.table", h.table_offset);
        return h;
    }

    [[nodiscard]] std::span<std::byte const> piece(std::uint64_t offset, std::uint64_t n) const noexcept {
        return file_.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(n));
    }

    [[nodiscard]] result<> read_section_row(ktsnap::section_row const& row, bool& header_seen) {
        auto const end = std::find(row.name.begin(), row.name.end(), '\0');
        if (end == row.name.begin() || end == row.name.end())
            return fail(errc::bad_format, "ktsnap.section_name");
        stored_section section{std::string(row.name.begin(), end), row.version, row.kind == ktsnap::kind_pages, row.codec, 0, row.length};
        if (!fits(row.offset, row.length, file_.size()))
            return fail(errc::truncated, "ktsnap.section", row.offset);
        auto const content = piece(row.offset, row.length);
        if (row.crc != crc32_sliced(content))
            return fail(errc::bad_checksum, "ktsnap.section", row.offset);
        if (section.name != ktsnap::name_vcpu &&
            std::any_of(sections_.begin(), sections_.end(), [&](stored_section const& s) { return s.name == section.name; }))
            return fail(errc::bad_format, "ktsnap.section_twice", row.offset);
        if (section.paged) {
            KTSTR_CHECK(read_chunk_rows(row, section));
        } else if (row.kind != ktsnap::kind_blob) {
            return fail(errc::unsupported, "ktsnap.kind", row.kind);
        } else if (section.name == ktsnap::name_header) {
            if (row.version != header_block_version)
                return fail(errc::unsupported, "ktsnap.header_version", row.version);
            KTSTR_TRY(header_, decode_header(content));
            header_seen = true;
        } else if (section.name == ktsnap::name_vcpu) {
            if (row.version != header_block_version)
                return fail(errc::unsupported, "ktsnap.vcpu_version", row.version);
            KTSTR_TRY(auto cpu, decode_vcpu(content));
            cpus_.push_back(std::move(cpu));
        } else if (section.name == ktsnap::name_vmcoreinfo) {
            vmcoreinfo_.assign(reinterpret_cast<char const*>(content.data()), content.size());
        }
        sections_.push_back(std::move(section));
        return {};
    }

    [[nodiscard]] result<> read_chunk_rows(ktsnap::section_row const& row, stored_section& section) {
        if (row.codec != 0 && row.codec != Codec::id)
            return fail(errc::unsupported, "ktsnap.codec", row.codec);
        if (row.length % sizeof(ktsnap::chunk_row) != 0)
            return fail(errc::bad_format, "ktsnap.chunk_rows", row.length);
        if (paged_.size() == ktsnap::max_paged_sections)
            return fail(errc::out_of_range, "ktsnap.paged_sections");
        paged p{section.name, row.offset, static_cast<std::size_t>(row.length / sizeof(ktsnap::chunk_row))};
        section.stored = 0;
        std::uint64_t least = 0;
        for (std::size_t i = 0; i < p.count; ++i) {
            auto const c = row_of(p, i);
            auto const pages = static_cast<std::uint64_t>(std::popcount(c.pages.get()));
            if (c.base % ktsnap::chunk_size != 0 || c.base < least || c.base >= std::uint64_t{1} << 63)
                return fail(errc::bad_format, "ktsnap.chunk_base", c.base);
            if (pages == 0 || c.stored == 0 || c.stored > pages * ktsnap::page_size ||
                (row.codec == 0 && c.stored != pages * ktsnap::page_size))
                return fail(errc::bad_format, "ktsnap.chunk_size", c.base);
            if (!fits(c.offset, c.stored, file_.size()))
                return fail(errc::truncated, "ktsnap.chunk", c.base);
            least = c.base + ktsnap::chunk_size;
            section.pages += pages;
            section.stored += c.stored;
        }
        p.checked.resize(p.count);
        paged_.push_back(std::move(p));
        return {};
    }

    [[nodiscard]] ktsnap::chunk_row row_of(paged const& p, std::size_t i) const noexcept {
        ktsnap::chunk_row out;
        std::memcpy(static_cast<void*>(&out), file_.data() + p.rows + i * sizeof out, sizeof out);
        return out;
    }
    [[nodiscard]] paged const* find_paged(std::string_view name) const noexcept {
        for (auto const& p : paged_)
            if (p.name == name)
                return &p;
        return nullptr;
    }
    /// The first chunk that ends above `offset`.
    [[nodiscard]] std::size_t chunk_from(paged const& p, std::uint64_t offset) const noexcept {
        std::size_t low = 0, high = p.count;
        while (low < high) {
            auto const middle = low + (high - low) / 2;
            if (row_of(p, middle).base + (ktsnap::chunk_size - 1) < offset)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    }

    /// The packed pages of chunk `i`, checked and unpacked.
    [[nodiscard]] result<std::span<std::byte const>> load(paged& p, std::size_t i) {
        auto const row = row_of(p, i);
        auto const raw = piece(row.offset, row.stored);
        if (!p.checked[i] && row.crc != crc32_sliced(raw))
            return fail(errc::bad_checksum, "ktsnap.chunk", row.base);
        p.checked[i] = true;
        auto const size = static_cast<std::size_t>(std::popcount(row.pages.get())) * ktsnap::page_size;
        if (raw.size() == size)
            return raw;
        auto const self = static_cast<std::size_t>(&p - paged_.data());
        if (unpacked_of_ != self || unpacked_chunk_ != i) {
            unpacked_of_ = none;
            unpacked_.resize(ktsnap::chunk_size);
            KTSTR_CHECK(codec_.unpack(raw, std::span(unpacked_).first(size)));
            unpacked_of_ = self;
            unpacked_chunk_ = i;
        }
        return std::span<std::byte const>(unpacked_).first(size);
    }

    [[nodiscard]] result<std::span<std::byte const>> page_at(std::string_view name, std::uint64_t offset) {
        static constexpr std::array<std::byte, ktsnap::page_size> zeros{};
        auto* const p = const_cast<paged*>(find_paged(name));
        if (p == nullptr)
            return std::span<std::byte const>(zeros);
        auto const i = chunk_from(*p, offset);
        if (i == p->count)
            return std::span<std::byte const>(zeros);
        auto const row = row_of(*p, i);
        auto const bit = (offset - row.base) / ktsnap::page_size; // huge when the chunk lies above
        if (offset < row.base || (row.pages >> bit & 1U) == 0)
            return std::span<std::byte const>(zeros);
        KTSTR_TRY(auto const pages, load(*p, i));
        auto const before = row.pages.get() & ((std::uint64_t{1} << bit) - 1);
        return pages.subspan(static_cast<std::size_t>(std::popcount(before)) * ktsnap::page_size, ktsnap::page_size);
    }

    std::span<std::byte const> file_;
    Codec codec_;
    kept_header header_;
    std::vector<vcpu_record> cpus_;
    std::string vmcoreinfo_;
    std::vector<stored_section> sections_;
    std::vector<paged> paged_;
    std::vector<std::byte> unpacked_;
    std::size_t unpacked_of_ = none; ///< The paged section whose chunk is in `unpacked_`.
    std::size_t unpacked_chunk_ = 0;
};

/// Reads files whose pages are stored as they are.
using snapshot_reader = basic_snapshot_reader<>;

} // namespace ktstr
