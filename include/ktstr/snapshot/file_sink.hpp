// SPDX-License-Identifier: Apache-2.0
/// \file
/// `SnapshotSink` model that writes a snapshot file (.ktsnap): every section, checksums, pages packed or not.
///
/// Needs one chunk of buffer (256 KiB) a paged section, one to pack into, and 32 bytes for each 256 KiB of RAM that
/// holds something. Uses no thread, so a forked child can write.
#pragma once

#include "ktstr/abi/elf_core.hpp"
#include "ktstr/base/cursor.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/snapshot/chunk_codec.hpp"
#include "ktstr/snapshot/crc32_sliced.hpp"
#include "ktstr/snapshot/format.hpp"
#include "ktstr/snapshot/kept_header.hpp"
#include "ktstr/snapshot/sink.hpp"
#include "ktstr/sys/io.hpp"
#include "ktstr/sys/publish.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace ktstr {

/// Writes each snapshot to one path; appears whole or not at all.
template <ChunkCodec Codec = plain_chunks>
class basic_file_sink {
public:
    static constexpr bool incremental = false;

    /// Every snapshot goes to `path`, the last one stays.
    explicit basic_file_sink(std::string path, Codec codec = Codec{}, mode_t mode = 0600) noexcept
        : path_(std::move(path)), codec_(std::move(codec)), mode_(mode) {}

    /// The name of the next snapshot's file; effective from the next `begin` on.
    void set_path(std::string path) noexcept { path_ = std::move(path); }

    [[nodiscard]] result<> begin(snapshot_header const& h) {
        abort();
        KTSTR_CHECK(check_regions(h.ram));
        if (h.vcpus.size() > ktsnap::max_sections - ktsnap::max_paged_sections - 2)
            return fail(errc::out_of_range, "ktsnap.vcpus", h.vcpus.size());
        auto const* const layout = elf::find_core_layout(h.arch);
        machine_ = layout != nullptr ? layout->machine : 0U;
        KTSTR_TRY(auto file, publication::open(path_, mode_));
        file_.emplace(std::move(file));
        end_ = sizeof(ktsnap::head);
        KTSTR_CHECK(add_blob(ktsnap::name_header, header_block_version, encode_header(h)));
        for (auto const& cpu : h.vcpus)
            KTSTR_CHECK(add_blob(ktsnap::name_vcpu, header_block_version, encode_vcpu(cpu)));
        if (!h.vmcoreinfo.empty())
            KTSTR_CHECK(add_blob(ktsnap::name_vmcoreinfo, 1, std::as_bytes(std::span(h.vmcoreinfo.data(), h.vmcoreinfo.size()))));
        end_ = (end_ + ktsnap::page_size - 1) / ktsnap::page_size * ktsnap::page_size;
        return {};
    }

    [[nodiscard]] result<> put(snapshot_section const& section, std::span<std::byte const> data) {
        if (!file_)
            return fail(errc::invalid_argument, "ktsnap.put_without_begin");
        KTSTR_TRY(auto* const to, stream_of(section));
        if (section.offset < to->end || data.size() > ~std::uint64_t{0} - section.offset)
            return fail(errc::invalid_argument, "ktsnap.offset", section.offset);
        to->end = section.offset + data.size();
        for (auto at = section.offset; !data.empty();) {
            auto const base = at / ktsnap::chunk_size * ktsnap::chunk_size;
            auto const inside = static_cast<std::size_t>(at - base);
            auto const n = std::min(data.size(), static_cast<std::size_t>(ktsnap::chunk_size) - inside);
            if (base != to->base || to->pages == 0) {
                KTSTR_CHECK(flush(*to));
                to->base = base;
            }
            if (n == ktsnap::chunk_size) // whole: written from where it lies
                KTSTR_CHECK(write_chunk(*to, base, ~std::uint64_t{0}, data.first(n)));
            else
                to->keep(inside, data.first(n));
            data = data.subspan(n);
            at += n;
        }
        return {};
    }

    [[nodiscard]] result<> commit() {
        if (!file_)
            return fail(errc::invalid_argument, "ktsnap.commit_without_begin");
        auto const done = finish();
        abort();
        return done;
    }

    void abort() noexcept {
        file_.reset();
        streams_.clear();
        rows_.clear();
    }

private:
    /// A paged section while it is written.
    struct stream {
        std::string name;
        std::uint32_t version = 0;
        std::uint64_t end = 0;           ///< Where the last put ended.
        std::uint64_t base = 0;          ///< Of the chunk in `buffer`.
        std::uint64_t pages = 0;         ///< Which pages of it are there.
        std::vector<std::byte> buffer{}; ///< A chunk with its pages in place.
        std::vector<ktsnap::chunk_row> rows{};

        void keep(std::size_t inside, std::span<std::byte const> data) {
            buffer.resize(ktsnap::chunk_size);
            auto const first = inside / ktsnap::page_size;
            auto const last = (inside + data.size() - 1) / ktsnap::page_size;
            for (auto page = first; page <= last; ++page) {
                if ((pages >> page & 1U) == 0)
                    std::memset(buffer.data() + page * ktsnap::page_size, 0, ktsnap::page_size);
                pages |= std::uint64_t{1} << page;
            }
            std::memcpy(buffer.data() + inside, data.data(), data.size());
        }
    };

    [[nodiscard]] result<stream*> stream_of(snapshot_section const& section) {
        for (auto& s : streams_)
            if (s.name == section.name)
                return &s;
        auto const& n = section.name;
        if (n.empty() || n.size() >= sizeof(ktsnap::section_row::name) || n.find('\0') != n.npos ||
            n == ktsnap::name_header || n == ktsnap::name_vcpu || n == ktsnap::name_vmcoreinfo)
            return fail(errc::invalid_argument, "ktsnap.section_name", n.size());
        if (streams_.size() == ktsnap::max_paged_sections)
            return fail(errc::no_space, "ktsnap.sections", streams_.size());
        streams_.push_back({std::string(n), section.version});
        return &streams_.back();
    }

    [[nodiscard]] result<> append(std::span<std::byte const> data) {
        KTSTR_CHECK(pwrite_all(file_->fd(), data, end_));
        end_ += data.size();
        return {};
    }

    [[nodiscard]] result<> add_section(std::string_view name, std::uint32_t version, std::uint16_t kind, std::span<std::byte const> data) {
        ktsnap::section_row row{};
        std::copy(name.begin(), name.end(), row.name.begin());
        row.version = version;
        row.kind = kind;
        row.codec = kind == ktsnap::kind_pages ? Codec::id : std::uint16_t{0};
        row.offset = end_;
        row.length = data.size();
        row.crc = crc32_sliced(data);
        rows_.push_back(row);
        return append(data);
    }
    [[nodiscard]] result<> add_blob(std::string_view name, std::uint32_t version, std::span<std::byte const> data) {
        return add_section(name, version, ktsnap::kind_blob, data);
    }

    /// Packs the buffered pages together and writes them.
    [[nodiscard]] result<> flush(stream& s) {
        if (s.pages == 0)
            return {};
        std::size_t used = 0;
        for (std::size_t page = 0; page < ktsnap::chunk_pages; ++page) {
            if ((s.pages >> page & 1U) == 0)
                continue;
            if (used != page * ktsnap::page_size)
                std::memcpy(s.buffer.data() + used, s.buffer.data() + page * ktsnap::page_size, ktsnap::page_size);
            used += ktsnap::page_size;
        }
        auto const pages = std::exchange(s.pages, 0);
        return write_chunk(s, s.base, pages, std::span(s.buffer).first(used));
    }

    [[nodiscard]] result<> write_chunk(stream& s, std::uint64_t base, std::uint64_t pages, std::span<std::byte const> data) {
        if constexpr (Codec::id != 0) {
            packed_.resize(ktsnap::chunk_size);
            KTSTR_TRY(auto const n, codec_.pack(data, std::span(packed_).first(data.size() - 1)));
            if (n != 0)
                data = std::span(packed_).first(n);
        }
        s.rows.push_back({base, pages, end_, static_cast<std::uint32_t>(data.size()), crc32_sliced(data)});
        return append(data);
    }

    [[nodiscard]] result<> finish() {
        for (auto& s : streams_)
            KTSTR_CHECK(flush(s));
        for (auto const& s : streams_)
            KTSTR_CHECK(add_section(s.name, s.version, ktsnap::kind_pages, std::as_bytes(std::span(s.rows))));
        auto const table = std::as_bytes(std::span(rows_));
        ktsnap::head head{};
        head.magic = ktsnap::magic;
        head.major = ktsnap::major_version;
        head.minor = ktsnap::minor_version;
        head.machine = machine_;
        head.size = end_ + table.size();
        head.table_offset = end_;
        head.section_count = static_cast<std::uint32_t>(rows_.size());
        head.table_crc = crc32_sliced(table);
        head.crc = crc32_sliced(bytes_of(head).first(sizeof head - 4));
        KTSTR_CHECK(append(table));
        KTSTR_CHECK(pwrite_all(file_->fd(), bytes_of(head), 0));
        return file_->commit();
    }

    std::string path_;
    [[no_unique_address]] Codec codec_;
    mode_t mode_;
    std::uint32_t machine_ = 0;
    std::optional<publication> file_;
    std::uint64_t end_ = 0;
    std::vector<stream> streams_;
    std::vector<ktsnap::section_row> rows_;
    std::vector<std::byte> packed_;
};

/// A snapshot file whose pages are stored as they are.
using file_sink = basic_file_sink<>;
static_assert(SnapshotSink<file_sink>);

} // namespace ktstr
