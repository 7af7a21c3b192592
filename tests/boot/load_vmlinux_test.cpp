// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/load_vmlinux.hpp"
#include "ktstr/boot/mapped_source.hpp"

#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/io.hpp"
#include "suites/fake_kernel.hpp"
#include "suites/image_source_suite.hpp"
#include "suites/split_memory.hpp"

#include <algorithm>
#include <array>
#include <doctest/doctest.h>
#include <span>
#include <unistd.h>

using namespace ktstr;
using namespace ktstr::test;

namespace {
constexpr gpa ram_start{0x1000000};
constexpr gpa ram_end{0x2000000};

std::byte at(split_memory const& memory, gpa where) { return memory.slice(where, 1).value()[0]; }
} // namespace

namespace {
/// A file of `content` whose zero blocks are holes.
unique_fd sparse_file(byte_vector const& content) {
    auto fd = unique_fd::memfd("test");
    REQUIRE(fd);
    REQUIRE(::ftruncate(fd->get(), static_cast<off_t>(content.size())) == 0);
    for (std::size_t at = 0; at < content.size(); at += 4096) {
        auto const block = std::span(content).subspan(at, std::min<std::size_t>(4096, content.size() - at));
        if (std::all_of(block.begin(), block.end(), [](std::byte b) { return b == std::byte{0}; }))
            continue;
        REQUIRE(::lseek(fd->get(), static_cast<off_t>(at), SEEK_SET) >= 0);
        REQUIRE(write_all(fd->get(), block));
    }
    return *std::move(fd);
}
} // namespace

namespace {
// [own_source]
/// A kernel behind which more code is patched in: byte 0 becomes a breakpoint.
struct patched_source {
    span_source original;
    [[nodiscard]] result<> read(std::span<std::byte> to, std::uint64_t offset) const noexcept {
        KTSTR_CHECK(original.read(to, offset));
        if (offset == 0 && !to.empty())
            to[0] = std::byte{0xcc};
        return {};
    }
};
static_assert(explain_image_source<patched_source>());
// [/own_source]
} // namespace

TEST_CASE("ImageSource: span, file and mapping give the same bytes") {
    byte_vector content(100003);
    for (std::size_t i = 0; i < content.size(); ++i)
        content[i] = i / 8192 % 3 == 1 ? std::byte{0} : static_cast<std::byte>(i * 7 + i / 256);
    auto const file = sparse_file(content);
    CHECK(file_source{file.get()}.next_data(8192, content.size()).start == 16384);
    image_source_suite(span_source{content}, content);
    image_source_suite(file_source{file.get()}, content);
    image_source_suite(mapped_source{file.get(), content.size()}, content);
    // The guest's writes never reach the file.
    byte_vector again(content.size());
    REQUIRE(pread_all(file.get(), again, 0));
    CHECK(again == content);
    std::array<std::byte, 1> one{};
    CHECK(null_source{}.read(one, 0).error().code == errc::truncated);
    static_assert(explain_image_source<null_source>());
}

TEST_CASE("load_vmlinux: holes of the file are not written into fresh memory") {
    fake_elf kernel;
    kernel.data = byte_vector(1024 * 1024);
    kernel.data.front() = std::byte{1};
    kernel.data.back() = std::byte{2};
    kernel.data_memory = 1024 * 1024 + 6000;
    auto const content = kernel.build();
    auto const file = sparse_file(content);
    auto const image = *parse_vmlinux(content);
    split_memory const memory(ram_start, gpa{0x1270000}, ram_end);
    auto const middle = gpa{0x1280000};
    memory.slice(middle, 1).value()[0] = std::byte{9};
    REQUIRE(load_vmlinux(memory, file_source{file.get()}, image));
    CHECK(at(memory, middle) == std::byte{9}); // the caller said that memory is fresh
    REQUIRE(load_vmlinux(memory, file_source{file.get()}, image, {.ram_is_zero = false}));
    CHECK(at(memory, middle) == std::byte{0});
    CHECK(at(memory, gpa{0x1200000}) == std::byte{1});
    CHECK(at(memory, gpa{0x12fffff}) == std::byte{2});
}

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
