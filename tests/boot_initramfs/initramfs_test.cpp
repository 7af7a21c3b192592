// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/initramfs.hpp"

#include <doctest/doctest.h>
#include <string>
#include <string_view>
#include <vector>

using namespace ktstr;

namespace {
std::span<std::byte const> raw(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
std::string listing(std::span<std::byte const> archive) {
    cpio_reader in(archive);
    std::string out;
    for (;;) {
        auto const e = in.next();
        REQUIRE(e);
        if (!*e)
            return out;
        out += std::string((*e)->name) + ' ';
    }
}
} // namespace

TEST_CASE("initramfs_builder: the same set in another order gives the same bytes and key; parents come first") {
    initramfs_builder a;
    REQUIRE(a.add_file("/ktstr/modules/01-x.ko", 0644, raw("x")));
    REQUIRE(a.add_file("init", 0755, raw("binary")));
    REQUIRE(add_initramfs_skeleton(a));
    initramfs_builder b;
    REQUIRE(add_initramfs_skeleton(b));
    REQUIRE(b.add_file("//init", 0755, raw("binary")));
    REQUIRE(b.add_file("ktstr//modules/01-x.ko", 0644, raw("x")));
    CHECK(listing(*a.archive()) == "dev dev/console dev/null init ktstr ktstr/modules ktstr/modules/01-x.ko ");
    // The folder's mode is whoever's came first, so only the set that named it itself is compared.
    initramfs_builder c;
    REQUIRE(add_initramfs_skeleton(c));
    REQUIRE(c.add_file("ktstr/modules/01-x.ko", 0644, raw("x")));
    REQUIRE(c.add_file("init", 0755, raw("binary")));
    CHECK(*b.archive() == *c.archive());
    CHECK(b.key() == c.key());
}

TEST_CASE("initramfs_builder: key and archive change with content, mode, name and device number") {
    auto const key = [](char const* path, std::uint32_t mode, char const* content) {
        initramfs_builder b;
        REQUIRE(b.add_file(path, mode, raw(content)));
        return b.key();
    };
    auto const first = key("a", 0644, "x");
    CHECK(first == key("a", 0644, "x"));
    CHECK_FALSE(first == key("a", 0755, "x"));
    CHECK_FALSE(first == key("b", 0644, "x"));
    CHECK_FALSE(first == key("a", 0644, "y"));
}

TEST_CASE("initramfs_builder: hostile and conflicting paths are refused") {
    initramfs_builder b;
    CHECK(b.add_file("", 0644, raw("")).error().code == errc::invalid_argument);
    CHECK(b.add_file("/", 0644, raw("")).error().code == errc::invalid_argument);
    CHECK(b.add_file("../etc/passwd", 0644, raw("")).error().code == errc::invalid_argument);
    CHECK(b.add_file("a/./b", 0644, raw("")).error().code == errc::invalid_argument);
    CHECK(b.add_file(std::string(5000, 'a'), 0644, raw("")).error().code == errc::invalid_argument);
    CHECK(b.add_symlink("l", "").error().code == errc::invalid_argument);
    REQUIRE(b.add_file("f", 0644, raw("1")));
    CHECK(b.add_file("f", 0644, raw("1")));
    CHECK(b.add_file("f", 0644, raw("2")).error().code == errc::already_exists);
    CHECK(b.add_file("f/below", 0644, raw("2")).error().where == "initramfs.parent");
    CHECK(b.nodes().size() == 1);
}

TEST_CASE("make_initramfs_suffix: a plan of any size ends on a 4-byte boundary") {
    for (std::size_t n = 0; n < 9; ++n) {
        auto const suffix = make_initramfs_suffix(std::vector<std::byte>(n, std::byte{7}));
        REQUIRE(suffix);
        CHECK(suffix->size() % 4 == 0);
        CHECK(listing(*suffix) == "ktstr ktstr/plan ");
    }
}
