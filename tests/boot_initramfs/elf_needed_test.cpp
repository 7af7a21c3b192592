// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/elf_needed.hpp"

#include "fake_elf.hpp"
#include "ktstr/boot/initramfs_ldcache.hpp"
#include "ktstr/sys/io.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

using namespace ktstr;
using test::fake_elf;

TEST_CASE("read_elf_needs: every field of a program") {
    auto const file = fake_elf{.interpreter = "/lib64/ld.so", .soname = "me", .needed = {"liba.so", "libb.so"}, .rpath = "/r", .runpath = "$ORIGIN/l"}.bytes();
    auto const needs = read_elf_needs(file);
    REQUIRE(needs);
    CHECK(needs->machine == elf::em_x86_64);
    CHECK(needs->dynamic);
    CHECK(needs->interpreter == "/lib64/ld.so");
    CHECK(needs->soname == "me");
    CHECK(needs->needed == std::vector<std::string_view>{"liba.so", "libb.so"});
    CHECK(needs->rpath == "/r");
    CHECK(needs->runpath == "$ORIGIN/l");
}

TEST_CASE("read_elf_needs: a static program needs nothing; other ELF files are told apart from damaged ones") {
    auto const needs = read_elf_needs(fake_elf{.type = elf::et_exec, .dynamic = false}.bytes());
    REQUIRE(needs);
    CHECK_FALSE(needs->dynamic);
    CHECK(needs->needed.empty());
    CHECK(read_elf_needs(fake_elf{.type = elf::et_rel}.bytes()).error().code == errc::unsupported);
    auto wide = fake_elf{}.bytes();
    wide[4] = std::byte{1};
    CHECK(read_elf_needs(wide).error().code == errc::unsupported);
    wide[0] = std::byte{0};
    CHECK(read_elf_needs(wide).error().where == "elf.magic");
}

TEST_CASE("read_elf_needs and strip_elf: cut at every length and every byte changed, they answer and stay in bounds") {
    auto const good = fake_elf{.interpreter = "/ld", .needed = {"liba.so", "libb.so"}, .runpath = "/x"}.bytes();
    for (std::size_t n = 0; n < good.size() - 64; ++n) {
        std::vector<std::byte> const cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n)); // Own heap block: ASan sees one byte too many.
        CHECK_FALSE(read_elf_needs(cut));
        CHECK_FALSE(strip_elf(cut));
    }
    for (std::size_t at = 0; at < good.size(); ++at) {
        for (unsigned const value : {0x00U, 0x7fU, 0xffU}) {
            auto bad = good;
            bad[at] = static_cast<std::byte>(value);
            [[maybe_unused]] auto const needs = read_elf_needs(bad);
            if (auto const stripped = strip_elf(bad))
                CHECK(stripped->size() <= bad.size());
        }
    }
}

TEST_CASE("strip_elf: what no segment covers is gone, the rest reads the same") {
    auto const file = fake_elf{.interpreter = "/ld", .needed = {"liba.so"}}.bytes();
    auto const stripped = strip_elf(file);
    REQUIRE(stripped);
    CHECK(stripped->size() == file.size() - 64);
    auto const needs = read_elf_needs(*stripped);
    REQUIRE(needs);
    CHECK(needs->needed == std::vector<std::string_view>{"liba.so"});
    CHECK(strip_elf(*stripped)->size() == stripped->size());
}

TEST_CASE("strip_elf: a stripped copy of this very program still has its loader's names") {
    auto const fd = unique_fd::open("/proc/self/exe", O_RDONLY);
    REQUIRE(fd);
    auto const self = read_to_end(fd->get(), 1 * GiB);
    REQUIRE(self);
    auto const stripped = strip_elf(*self);
    REQUIRE(stripped);
    CHECK(stripped->size() <= self->size());
    CHECK(read_elf_needs(*stripped)->needed == read_elf_needs(*self)->needed);
}

TEST_CASE("ldcache: finds by name and machine, passes over variants for special CPUs, survives damage") {
    for (bool const old : {false, true}) {
        auto const raw = test::fake_ldcache({{"libx.so.1", "/hw/libx.so.1", 0x0303, 1ULL << 62},
                                             {"libx.so.1", "/arm/libx.so.1", 0x0a03},
                                             {"libx.so.1", "/lib/libx.so.1"},
                                             {"liby.so", "/lib/liby.so", 0x0803}}, old);
        auto const cache = ldcache::open(raw);
        REQUIRE(cache);
        CHECK(cache->find("libx.so.1", elf::em_x86_64) == "/lib/libx.so.1");
        CHECK(cache->find("libx.so.1", elf::em_aarch64) == "/arm/libx.so.1");
        CHECK_FALSE(cache->find("liby.so", elf::em_x86_64));
        CHECK_FALSE(cache->find("libx.so.1", 3));
        for (std::size_t n = 0; n < raw.size(); ++n) {
            std::vector<std::byte> const cut(raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(n));
            if (auto const c = ldcache::open(cut))
                [[maybe_unused]] auto const hit = c->find("libx.so.1", elf::em_x86_64);
        }
        for (std::size_t at = 0; at < raw.size(); ++at) {
            auto bad = raw;
            bad[at] = std::byte{0xff};
            if (auto const c = ldcache::open(bad))
                [[maybe_unused]] auto const hit = c->find("libx.so.1", elf::em_x86_64);
        }
    }
    CHECK(ldcache::open({}).error().code == errc::bad_format);
}
