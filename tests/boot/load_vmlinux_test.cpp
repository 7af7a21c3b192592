// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/load_vmlinux.hpp"

#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/io.hpp"
#include "suites/fake_kernel.hpp"
#include "suites/split_memory.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::test;

namespace {
constexpr gpa ram_start{0x1000000};
constexpr gpa ram_end{0x2000000};

std::byte at(split_memory const& memory, gpa where) { return memory.slice(where, 1).value()[0]; }
} // namespace

TEST_CASE("load_vmlinux: segments go where they were linked for, zeros behind them") {
    auto const file = fake_elf{}.build();
    auto const image = parse_vmlinux(file);
    REQUIRE(image);
    split_memory const memory(ram_start, ram_end, ram_end);
    auto const loaded = load_vmlinux(memory, span_source{file}, *image);
    REQUIRE(loaded);
    CHECK(loaded->entry == gpa{0x1000040});
    CHECK(loaded->start == gpa{0x1000000});
    CHECK(loaded->end == gpa{0x1203000});
    CHECK(loaded->phys_offset == 0);
    CHECK_FALSE(loaded->moved());
    CHECK(at(memory, gpa{0x1000000}) == std::byte{0xc3});
    CHECK(at(memory, gpa{0x10000ff}) == std::byte{0xc3});
    CHECK(at(memory, gpa{0x1000100}) == std::byte{0});
    CHECK(at(memory, gpa{0x120000f}) == std::byte{0xda});
    CHECK(at(memory, gpa{0x1200010}) == std::byte{0});
}

TEST_CASE("load_vmlinux: memory that was used before is cleared when the caller says so") {
    auto const file = fake_elf{}.build();
    auto const image = *parse_vmlinux(file);
    split_memory const memory(ram_start, ram_end, ram_end);
    memory.slice(gpa{0x1202fff}, 1).value()[0] = std::byte{9};
    REQUIRE(load_vmlinux(memory, span_source{file}, image));
    CHECK(at(memory, gpa{0x1202fff}) == std::byte{9});
    REQUIRE(load_vmlinux(memory, span_source{file}, image, {.ram_is_zero = false}));
    CHECK(at(memory, gpa{0x1202fff}) == std::byte{0});
}

TEST_CASE("load_vmlinux: moved in physical and virtual space, across a border of regions, straight from a file") {
    fake_elf kernel;
    put_at(kernel.code, 8, le64(0xffffffff81200004));
    auto const file = kernel.build();
    auto const image = *parse_vmlinux(file);
    auto const relocs_raw = words({0, 0x81000008, 0});
    auto const fd = unique_fd::memfd("test");
    REQUIRE(fd);
    REQUIRE(write_all(fd->get(), file));
    split_memory const memory(ram_start, gpa{0x1601000}, ram_end);
    auto const loaded = load_vmlinux(memory, file_source{fd->get()}, image,
                                     {.phys_base = gpa{0x1400000}, .virt_offset = 0x600000, .relocs = *parse_relocs(relocs_raw)});
    REQUIRE(loaded);
    CHECK(loaded->entry == gpa{0x1400040});
    CHECK(loaded->end == gpa{0x1603000});
    CHECK(loaded->phys_offset == 0x400000);
    CHECK(loaded->virt_offset == 0x600000);
    CHECK(loaded->moved());
    CHECK(*load_guest<le64>(memory, gpa{0x1400008}) == 0xffffffff81800004);
    CHECK(at(memory, gpa{0x160000f}) == std::byte{0xda});
}

TEST_CASE("load_vmlinux: impossible places are refused") {
    auto const file = fake_elf{}.build();
    auto const image = *parse_vmlinux(file);
    split_memory const memory(ram_start, ram_end, ram_end);
    auto const refused = [&](load_options const& options) { return load_vmlinux(memory, span_source{file}, image, options).error(); };
    CHECK(refused({.phys_base = gpa{0x1100000}}) == error{errc::invalid_argument, 0, 0x1100000, "load.phys_base"});
    CHECK(refused({.virt_offset = 0x1000}) == error{errc::invalid_argument, 0, 0x1000, "load.virt_offset"});
    CHECK(refused({.virt_offset = 1 * GiB}).where == "load.virt_offset");
    CHECK(refused({.virt_offset = 0x200000}) == error{errc::unsupported, 0, 0, "kaslr.relocs"});
    // .bss would leave RAM: the address says where.
    CHECK(refused({.phys_base = gpa{0x1e00000}}) == error{errc::out_of_range, 0, 0x2000000, "guest_memory"});
    CHECK(refused({.phys_base = gpa{0xffff'ffff'ffe0'0000}}).code == errc::out_of_range);
}

TEST_CASE("load_vmlinux: a source that ends too soon is an error") {
    auto const file = fake_elf{}.build();
    auto const image = *parse_vmlinux(file);
    split_memory const memory(ram_start, ram_end, ram_end);
    CHECK(load_vmlinux(memory, span_source{std::span(file).first(200)}, image).error().code == errc::truncated);
    auto const empty = unique_fd::memfd("test");
    CHECK(load_vmlinux(memory, file_source{empty->get()}, image).error().code == errc::truncated);
}
