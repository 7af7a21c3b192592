// SPDX-License-Identifier: Apache-2.0
#include "ktstr/snapshot/read_core.hpp"

#include "ktstr/snapshot/put_ram.hpp"
#include "snapshot/sample_machine.hpp"
#include "suites/temp_folder.hpp"

using namespace ktstr;
using test::sample_machine;
using test::text_at;

namespace {

std::vector<std::byte> take_core(sample_machine const& machine) {
    temp_folder folder;
    elf_core_sink sink(folder.at("core"));
    REQUIRE(sink.begin(machine.header()));
    REQUIRE(put_ram(sink, machine.memory));
    REQUIRE(sink.commit());
    auto const text = read_file(folder.at("core").c_str());
    REQUIRE(text);
    auto const raw = std::as_bytes(std::span(text->data(), text->size()));
    return {raw.begin(), raw.end()};
}

void set(std::vector<std::byte>& file, std::size_t at, std::uint64_t value, std::size_t n) {
    std::memcpy(file.data() + at, &value, n);
}

} // namespace

TEST_CASE("core_file: gives back what the sink was given") {
    sample_machine machine;
    auto const file = take_core(machine);
    auto const core = core_file::open(file);
    REQUIRE(core);
    CHECK(core->has_own_notes());
    test::check_same(core->header().view(), machine.header());
    CHECK(text_at(*core, gpa{0x1000}, 10) == "first page");
    CHECK(text_at(*core, gpa{4 * GiB + 3 * MiB + 5}, 4) == "high");
    CHECK(text_at(*core, gva{test::sample_direct_map + 0x2ffc}, 17) == "over a page's end");
    CHECK(text_at(*core, gva{test::sample_text + 0x40}, 11) == "kernel text");
    CHECK(text_at(*core, gpa{12 * MiB}, 1) == std::string(1, '\0'));
    CHECK(core->slice(gpa{0x1000}, 4)->size() == 4);
    CHECK(core->slice(gpa{16 * MiB - 1}, 2).error().code == errc::out_of_range);
    std::array<std::byte, 2> two{};
    CHECK(core->read(gpa{16 * MiB - 1}, two).error().value == 16 * MiB);
    CHECK(core->read(gva{0}, two).error().code == errc::out_of_range);
}

TEST_CASE("core_file: a core without our notes has its registers and RAM all the same") {
    sample_machine machine;
    auto file = take_core(machine);
    auto const own = std::string_view("KTSTR");
    auto const* text = reinterpret_cast<char*>(file.data());
    for (auto at = std::string_view(text, 65536).find(own); at != std::string_view::npos;
         at = std::string_view(text, 65536).find(own, at + 1))
        file[at] = std::byte{'x'};
    auto const core = core_file::open(file);
    REQUIRE(core);
    CHECK_FALSE(core->has_own_notes());
    auto const& h = core->header();
    CHECK(h.arch == "x86_64");
    CHECK(h.vmcoreinfo == machine.vmcoreinfo);
    REQUIRE(h.vcpus.size() == 2);
    CHECK(h.vcpus[1].value("rip") == test::sample_text + 0x41);
    REQUIRE(h.ram.size() == 2); // the kernel's segment is no RAM of its own
    CHECK(h.ram[0].range == gpa_range{gpa{0}, bytes{16 * MiB}});
    CHECK(h.ram[1].range == gpa_range{gpa{4 * GiB}, bytes{4 * MiB}});
}

TEST_CASE("core_file: what is cut off or wrong is named") {
    sample_machine machine;
    auto const good = take_core(machine);
    auto const whole = std::span<std::byte const>(good);
    for (std::size_t n = 0; n < 8192; ++n)
        REQUIRE_FALSE(core_file::open(whole.first(n)));
    CHECK(core_file::open(whole.first(good.size() - 1)).error().code == errc::truncated);
    struct damage {
        std::size_t at;
        std::uint64_t value;
        std::size_t n;
        errc code;
    };
    for (auto const& d : {damage{0, 0, 1, errc::bad_format}, damage{4, 1, 1, errc::unsupported}, damage{5, 2, 1, errc::unsupported},
                          damage{16, 2, 2, errc::bad_format}, damage{18, 3, 2, errc::unsupported}, damage{32, 65, 8, errc::unsupported},
                          damage{56, 0xffff, 2, errc::unsupported}, damage{64 + 56 + 8, ~0ULL, 8, errc::truncated},
                          damage{64 + 56 + 24, ~0ULL, 8, errc::bad_format}, damage{64 + 56 + 16, ~0ULL - 4096, 8, errc::bad_format},
                          damage{64 + 56 + 40, 1, 8, errc::bad_format}, damage{64 + 32, 60, 8, errc::truncated}}) {
        auto bad = good;
        set(bad, d.at, d.value, d.n);
        auto const core = core_file::open(bad);
        CAPTURE(d.at);
        REQUIRE_FALSE(core);
        CHECK(core.error().code == d.code);
    }
}

TEST_CASE("core_file: memory beyond what the file holds reads zero") {
    sample_machine machine;
    auto file = take_core(machine);
    set(file, 64 + 2 * 56 + 32, 0x1005, 8); // the low region's bytes end inside "first page"
    set(file, 64 + 1 * 56, 6, 4);           // and no kernel segment
    auto const core = core_file::open(file);
    REQUIRE(core);
    CHECK(text_at(*core, gpa{0x1000}, 10) == std::string("first\0\0\0\0\0", 10));
}
