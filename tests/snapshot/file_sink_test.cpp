// SPDX-License-Identifier: Apache-2.0
#include "ktstr/snapshot/file_sink.hpp"

#include "ktstr/snapshot/compress_zstd.hpp"
#include "ktstr/snapshot/crc32_sliced.hpp"
#include "ktstr/snapshot/format.hpp"
#include "ktstr/snapshot/put_ram.hpp"
#include "ktstr/snapshot/reader.hpp"
#include "snapshot/sample_machine.hpp"
#include "suites/chunk_codec_suite.hpp"
#include "suites/snapshot_sink_suite.hpp"
#include "suites/temp_folder.hpp"

#include <random>

using namespace ktstr;
using test::sample_machine;
using test::text_at;

namespace {

std::vector<std::byte> bytes_of_file(std::string const& path) {
    auto const text = read_file(path.c_str());
    REQUIRE(text);
    auto const raw = std::as_bytes(std::span(text->data(), text->size()));
    return {raw.begin(), raw.end()};
}

template <class Sink>
std::vector<std::byte> take(sample_machine const& machine) {
    temp_folder folder;
    Sink sink(folder.at("a.ktsnap"));
    REQUIRE(sink.begin(machine.header()));
    REQUIRE(put_ram(sink, machine.memory));
    REQUIRE(sink.commit());
    CHECK(folder.entries() == 1);
    return bytes_of_file(folder.at("a.ktsnap"));
}

using zstd_sink = basic_file_sink<zstd_chunks>;
using zstd_reader = basic_snapshot_reader<zstd_chunks>;

/// Makes the checksums of head and section table true again after a damage.
void seal(std::vector<std::byte>& file) {
    ktsnap::head head;
    std::memcpy(static_cast<void*>(&head), file.data(), sizeof head);
    auto const table = std::span(file).subspan(head.table_offset, head.section_count * sizeof(ktsnap::section_row));
    for (std::size_t at = 0; at < table.size(); at += sizeof(ktsnap::section_row)) {
        ktsnap::section_row row;
        std::memcpy(static_cast<void*>(&row), table.data() + at, sizeof row);
        if (fits(row.offset, row.length, file.size()))
            row.crc = crc32_sliced(std::span(file).subspan(row.offset, row.length));
        std::memcpy(table.data() + at, &row, sizeof row);
    }
    head.table_crc = crc32_sliced(table);
    head.crc = crc32_sliced(bytes_of(head).first(60));
    std::memcpy(file.data(), &head, sizeof head);
}

} // namespace

TEST_CASE("crc32_sliced: equals the plain one at every length and from every start") {
    std::vector<std::byte> data(333);
    std::mt19937 random(1);
    for (auto& b : data)
        b = static_cast<std::byte>(random());
    for (std::size_t n = 0; n < data.size(); ++n)
        REQUIRE(crc32_sliced(std::span(data).first(n)) == wire::crc32(std::span<std::byte const>(data).first(n)));
    CHECK(crc32_sliced(std::span(data).subspan(100), crc32_sliced(std::span(data).first(100))) ==
          wire::crc32(std::span<std::byte const>(data)));
}

TEST_CASE("chunk codecs conform") {
    plain_chunks plain;
    chunk_codec_suite(plain, false);
    zstd_chunks zstd;
    chunk_codec_suite(zstd, true);
    auto moved = std::move(zstd);
    chunk_codec_suite(moved, true);
}

TEST_CASE("file_sink: conforms, packed or not") {
    temp_folder folder;
    file_sink sink(folder.at("plain"));
    snapshot_sink_suite(sink);
    zstd_sink packed(folder.at("packed"));
    snapshot_sink_suite(packed);
    CHECK(folder.entries() == 2);
}

TEST_CASE("file_sink and reader: what goes in comes out") {
    sample_machine machine;
    auto const check = [&](auto&& opened) {
        REQUIRE(opened);
        auto& r = *opened;
        test::check_same(r.header().view(), machine.header());
        CHECK(text_at(r, gpa{0x1000}, 10) == "first page");
        CHECK(text_at(r, gpa{0x2ffc}, 17) == "over a page's end");
        CHECK(text_at(r, gpa{8 * MiB + 0x40}, 11) == "kernel text");
        CHECK(text_at(r, gpa{4 * GiB + 3 * MiB + 5}, 4) == "high");
        CHECK(text_at(r, gpa{16 * MiB - 3}, 3) == std::string(3, '\0'));
        std::array<std::byte, 2> two{};
        CHECK(r.read(gpa{16 * MiB - 1}, two).error().code == errc::out_of_range);
        CHECK(r.verify());
        std::vector<std::uint64_t> stored;
        for (auto at = r.next_stored(gpa{0}); at; at = r.next_stored(*at + 1))
            stored.push_back(at->raw);
        CHECK(stored == std::vector<std::uint64_t>{0x1000, 0x2000, 0x3000, 8 * MiB, 4 * GiB + 3 * MiB});
    };
    auto const plain = take<file_sink>(machine);
    check(snapshot_reader::open(plain));
    check(zstd_reader::open(plain));
    auto const packed = take<zstd_sink>(machine);
    check(zstd_reader::open(packed));
    CHECK(packed.size() < plain.size());
    CHECK(snapshot_reader::open(packed).error().code == errc::unsupported);
}

TEST_CASE("file_sink: every pattern of puts reads back, other sections too") {
    temp_folder folder;
    std::vector<std::byte> model(3 * ktsnap::chunk_size + 8192), other(5000);
    std::mt19937 random(7);
    std::array const ram{ram_region{{gpa{0}, bytes{model.size()}}, 0, bytes{0}}};
    for (int round = 0; round < 20; ++round) {
        zstd_sink sink(folder.at("a"));
        snapshot_header header;
        header.ram = ram;
        REQUIRE(sink.begin(header));
        std::fill(model.begin(), model.end(), std::byte{});
        std::vector<std::byte> data(model.size());
        for (auto& b : data)
            b = static_cast<std::byte>(round % 2 == 0 ? random() : random() % 3);
        for (std::size_t at = random() % 5000; at < model.size();) {
            auto const n = std::min<std::size_t>(model.size() - at, random() % 3 == 0 ? random() % 600'000 : random() % 9000);
            REQUIRE(sink.put({"ram", 1, at}, std::span(data).subspan(at, n)));
            std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(at), n, model.begin() + static_cast<std::ptrdiff_t>(at));
            at += n;
            if (random() % 2 == 0)
                at += random() % 300'000;
            if (at < 5000) {
                REQUIRE(sink.put({"other", 3, at}, std::span(data).first(1)));
                other[at] = data[0];
            }
        }
        REQUIRE(sink.commit());
        auto const file = bytes_of_file(folder.at("a"));
        auto read = zstd_reader::open(file);
        REQUIRE(read);
        std::vector<std::byte> back(model.size());
        REQUIRE(read->read(gpa{0}, back));
        REQUIRE(back == model);
        std::vector<std::byte> rest(other.size());
        REQUIRE(read->read_section("other", 0, rest));
        CHECK(rest == other);
        std::fill(other.begin(), other.end(), std::byte{});
    }
}

TEST_CASE("file_sink: refuses what the format cannot hold") {
    temp_folder folder;
    file_sink sink(folder.at("a"));
    std::array<std::byte, 16> some{};
    CHECK(sink.put({"ram", 1, 0}, some).error().code == errc::invalid_argument);
    CHECK(sink.commit().error().code == errc::invalid_argument);
    REQUIRE(sink.begin({}));
    CHECK(sink.put({"", 1, 0}, some).error().code == errc::invalid_argument);
    CHECK(sink.put({"header", 1, 0}, some).error().code == errc::invalid_argument);
    CHECK(sink.put({"a name that is longer than 31 byte", 1, 0}, some).error().code == errc::invalid_argument);
    CHECK(sink.put({"ram", 1, ~0ULL - 3}, some).error().code == errc::invalid_argument);
    CHECK(sink.put({"ram", 1, 4096}, some));
    CHECK(sink.put({"ram", 1, 4096}, some).error().code == errc::invalid_argument); // not ascending
    for (int i = 0; i < 15; ++i)
        CHECK(sink.put({"s" + std::to_string(i), 1, 0}, some));
    CHECK(sink.put({"one more", 1, 0}, some).error().code == errc::no_space);
    sink.abort();
    CHECK(folder.entries() == 0);
}

TEST_CASE("reader: every cut and every changed byte is noticed") {
    sample_machine machine;
    auto const good = take<zstd_sink>(machine);
    for (std::size_t n = 0; n < good.size(); n += n < 2048 ? 1 : 37)
        REQUIRE_FALSE(zstd_reader::open(std::span(good).first(n)));
    auto longer = good;
    longer.push_back({});
    CHECK(zstd_reader::open(longer).error().code == errc::bad_format);
    std::size_t missed = 0, in_padding = 0;
    ktsnap::head head;
    std::memcpy(static_cast<void*>(&head), good.data(), sizeof head);
    for (std::size_t at = 0; at < good.size(); at += at < 9000 ? 1 : 11) {
        auto bad = good;
        bad[at] ^= std::byte{0x10};
        auto opened = zstd_reader::open(bad);
        if (opened && opened->verify())
            ++(good[at] == std::byte{} && at < ktsnap::page_size * 2 ? in_padding : missed);
    }
    CHECK(missed == 0);
    CHECK(in_padding < ktsnap::page_size); // between the blobs and the first chunk
}

TEST_CASE("reader: a file that lies with true checksums is refused") {
    sample_machine machine;
    auto const good = take<file_sink>(machine);
    ktsnap::head head;
    std::memcpy(static_cast<void*>(&head), good.data(), sizeof head);
    REQUIRE(head.section_count == 5); // header, 2 vcpu, vmcoreinfo, ram
    auto const row = [&](std::size_t i) { return static_cast<std::size_t>(head.table_offset) + i * 64; };
    ktsnap::section_row ram;
    std::memcpy(static_cast<void*>(&ram), good.data() + row(4), sizeof ram);
    auto const chunk = [&](std::size_t i) { return static_cast<std::size_t>(ram.offset) + i * 32; };
    struct damage {
        std::size_t at;
        std::uint64_t value;
        std::size_t n;
        errc code;
    };
    for (auto const& d : {damage{0, 'k', 1, errc::bad_format}, damage{8, 2, 2, errc::unsupported}, damage{16, good.size() + 1, 8, errc::truncated},
                          damage{row(0), 0, 1, errc::bad_format}, damage{row(0), 'x', 1, errc::bad_format}, damage{row(0) + 32, 2, 4, errc::unsupported},
                          damage{row(1) + 32, 2, 4, errc::unsupported}, damage{row(3) + 36, 7, 2, errc::unsupported},
                          damage{row(2), 0x726564616568, 8, errc::bad_format}, damage{row(3) + 40, ~0ULL, 8, errc::truncated},
                          damage{row(3) + 48, ~0ULL, 8, errc::truncated}, damage{row(0) + 48, 10, 8, errc::truncated},
                          damage{row(4) + 38, 9, 2, errc::unsupported}, damage{row(4) + 48, 33, 8, errc::bad_format},
                          damage{chunk(0), 1, 8, errc::bad_format}, damage{chunk(1), 0, 8, errc::bad_format}, damage{chunk(0) + 8, 0, 8, errc::bad_format},
                          damage{chunk(0) + 8, 1, 8, errc::bad_format}, damage{chunk(0) + 16, good.size(), 8, errc::truncated},
                          damage{chunk(0) + 24, 4095, 4, errc::bad_format}, damage{chunk(0) + 24, 0, 4, errc::bad_format}}) {
        auto bad = good;
        std::memcpy(bad.data() + d.at, &d.value, d.n);
        if (d.at > 16)
            seal(bad);
        else if (d.at != 0) {
            auto const crc = le32(crc32_sliced(std::span(bad).first(60)));
            std::memcpy(bad.data() + 60, &crc, 4);
        }
        CAPTURE(d.at);
        auto const opened = snapshot_reader::open(bad);
        REQUIRE_FALSE(opened);
        CHECK(opened.error().code == d.code);
    }
}
