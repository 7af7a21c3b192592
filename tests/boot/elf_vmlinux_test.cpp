// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/elf_vmlinux.hpp"
#include "ktstr/boot/elf_sections.hpp"

#include "suites/fake_kernel.hpp"

#include <array>
#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::test;

TEST_CASE("elf_vmlinux: segments, extent, entry and size come out") {
    auto const file = fake_elf{}.build();
    auto const image = parse_vmlinux(file);
    REQUIRE(image);
    CHECK(image->entry == gpa{0x1000040});
    CHECK(image->extent == gpa_range{gpa{0x1000000}, bytes{0x203000}});
    REQUIRE(image->segments().size() == 2);
    CHECK(image->segments()[0].start == gpa{0x1000000});
    CHECK(image->segments()[0].file_size == 256);
    CHECK(image->segments()[1].file_size == 16);
    CHECK(image->segments()[1].memory_size == 0x3000);
    CHECK(image->elf_size == file.size());
    // What follows the ELF file does not belong to it.
    CHECK(parse_vmlinux(joined(file, bytes_from("tail")))->elf_size == file.size());
    CHECK(parse_vmlinux(fake_elf{.entry = 0xffff'ffff'8100'0040}.build())->entry == gpa{0x1000040});
}

TEST_CASE("elf_vmlinux: every truncation is an error") {
    auto const file = fake_elf{}.build();
    for (std::size_t n = 0; n < file.size(); ++n) {
        CAPTURE(n);
        auto const got = parse_vmlinux(std::span(file).first(n));
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::truncated);
    }
}

TEST_CASE("elf_vmlinux: other machines and broken tables are named") {
    auto const arm = parse_vmlinux(fake_elf{.machine = elf::em_aarch64}.build());
    CHECK(arm.error() == error{errc::unsupported, 0, elf::em_aarch64, "elf.machine"});
    CHECK(parse_vmlinux(fake_elf{.machine = 243}.build()).error() == error{errc::unsupported, 0, 243, "elf.machine"});
    CHECK(parse_vmlinux(fake_elf{.type = elf::et_rel}.build()).error().where == "elf.type");
    CHECK(parse_vmlinux(fake_elf{.entry = 0x40}.build()).error().where == "elf.entry");
    CHECK(parse_vmlinux(fake_elf{.data_at = 0xf0000000}.build()).error().where == "elf.extent");
    CHECK(parse_vmlinux(fake_elf{.data_memory = 8}.build()).error().where == "elf.filesz");
    CHECK(parse_vmlinux(byte_vector(100)).error() == error{errc::bad_format, 0, 0, "elf.magic"});

    struct row {
        std::size_t at;
        std::uint64_t value;
        std::size_t width;
        std::string_view place;
    };
    constexpr auto first = sizeof(elf::ehdr);
    std::array const rows{
        row{54, 55, 2, "elf.phentsize"},
        row{32, ~std::uint64_t{0}, 8, "elf.segments"},
        row{58, 63, 2, "elf.shentsize"},
        row{40, ~std::uint64_t{0} - 1, 8, "elf.sections"},
        row{first + 8, ~std::uint64_t{0}, 8, "elf.segment"},
        row{first + 24, ~std::uint64_t{0} - 10, 8, "elf.paddr"},
        row{first + 40, ~std::uint64_t{0}, 8, "elf.paddr"},
        row{56, 0, 2, "elf.no_segments"},
    };
    for (auto const& r : rows) {
        CAPTURE(r.place);
        auto file = fake_elf{}.build();
        std::memcpy(file.data() + r.at, &r.value, r.width);
        auto const got = parse_vmlinux(file);
        REQUIRE_FALSE(got);
        CHECK(got.error().where == r.place);
    }
}

TEST_CASE("elf_vmlinux: more segments than the table takes is refused") {
    auto file = fake_elf{}.build();
    auto const at = file.size();
    auto const segment = get_at<elf::phdr>(file, sizeof(elf::ehdr));
    for (std::size_t i = 0; i < 17; ++i)
        put_at(file, at + i * sizeof(elf::phdr), segment);
    put_at(file, 32, le64(std::uint64_t{at}));
    put_at(file, 56, le16(std::uint16_t{17}));
    CHECK(parse_vmlinux(file).error().where == "elf.segment_count");
    put_at(file, 56, le16(std::uint16_t{16}));
    CHECK(parse_vmlinux(file));
}

TEST_CASE("elf_sections: a section is found by its whole name") {
    fake_elf kernel;
    kernel.sections = {{".BTF_ids", bytes_from("ids")}, {".BTF", bytes_from("types")}, {".bss", {}, elf::sht_nobits}};
    auto file = kernel.build();
    auto const btf = find_section(file, ".BTF");
    REQUIRE(btf);
    CHECK(byte_vector(btf->begin(), btf->end()) == bytes_from("types"));
    CHECK(find_section(file, ".BT").error().code == errc::not_found);
    CHECK(find_section(file, ".bss").error().code == errc::not_found);
    CHECK(find_section(bytes_from("no ELF file"), ".BTF").error().code == errc::bad_format);
    for (std::size_t n = 0; n < file.size(); ++n) {
        auto const cut = find_section(std::span(file).first(n), ".BTF");
        CHECK_FALSE(cut);
    }
    put_at(file, 62, le16(std::uint16_t{99}));
    CHECK(find_section(file, ".BTF").error().where == "elf.shstrndx");
    put_at(file, 60, le16(std::uint16_t{0}));
    CHECK(find_section(file, ".BTF").error().code == errc::not_found);
}
