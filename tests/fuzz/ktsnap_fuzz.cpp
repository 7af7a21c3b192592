// SPDX-License-Identifier: Apache-2.0
// Any bytes as a snapshot file, as they are and with their checksums made true: what opens can be read wherever it says
// that there is RAM.
#include "ktstr/snapshot/compress_zstd.hpp"
#include "ktstr/snapshot/reader.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace {

using namespace ktstr;

template <class T>
T at(std::span<std::byte const> file, std::size_t offset) {
    T out;
    std::memcpy(static_cast<void*>(&out), file.data() + offset, sizeof out);
    return out;
}

/// Makes every checksum true that lies where it could be.
void seal(std::vector<std::byte>& file) {
    if (file.size() < sizeof(ktsnap::head))
        return;
    auto head = at<ktsnap::head>(file, 0);
    auto const table = head.section_count * std::uint64_t{sizeof(ktsnap::section_row)};
    head.size = file.size();
    if (fits(head.table_offset, table, file.size())) {
        for (std::uint64_t i = 0; i < table; i += sizeof(ktsnap::section_row)) {
            auto row = at<ktsnap::section_row>(file, head.table_offset + i);
            if (!fits(row.offset, row.length, file.size()))
                continue;
            for (std::uint64_t c = 0; row.kind == ktsnap::kind_pages && c + sizeof(ktsnap::chunk_row) <= row.length; c += sizeof(ktsnap::chunk_row)) {
                auto chunk = at<ktsnap::chunk_row>(file, row.offset + c);
                if (!fits(chunk.offset, chunk.stored, file.size()))
                    continue;
                chunk.crc = crc32_sliced(std::span(file).subspan(chunk.offset, chunk.stored));
                std::memcpy(file.data() + row.offset + c, &chunk, sizeof chunk);
            }
            row.crc = crc32_sliced(std::span(file).subspan(row.offset, row.length));
            std::memcpy(file.data() + head.table_offset + i, &row, sizeof row);
        }
        head.table_crc = crc32_sliced(std::span(file).subspan(head.table_offset, table));
    }
    head.crc = crc32_sliced(bytes_of(head).first(60));
    std::memcpy(file.data(), &head, sizeof head);
}

template <class Reader>
void explore(std::span<std::byte const> file) {
    auto opened = Reader::open(file);
    if (!opened)
        return;
    std::array<std::byte, 5000> out{};
    for (auto const& r : opened->header().ram) {
        auto const n = r.range.size.raw < out.size() ? static_cast<std::size_t>(r.range.size.raw) : out.size();
        static_cast<void>(opened->read(r.range.start, std::span(out).first(n)));
        if (opened->read(r.range.end(), std::span(out).first(0)).has_value() == false)
            __builtin_trap();
    }
    int budget = 64;
    for (auto at = opened->next_stored(gpa{0}); at && --budget > 0; at = opened->next_stored(*at + 1))
        static_cast<void>(opened->page(*at));
    static_cast<void>(opened->read_section("cpu", 4090, out));
    static_cast<void>(opened->verify());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const raw = std::as_bytes(std::span(data, size));
    explore<basic_snapshot_reader<zstd_chunks>>(raw);
    std::vector<std::byte> sealed(raw.begin(), raw.end());
    seal(sealed);
    explore<snapshot_reader>(sealed);
    explore<basic_snapshot_reader<zstd_chunks>>(sealed);
    return 0;
}
