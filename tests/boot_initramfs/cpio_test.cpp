// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/cpio.hpp"

#include "ktstr/abi/cpio.hpp"

#include <doctest/doctest.h>
#include <string>
#include <string_view>
#include <vector>

using namespace ktstr;

namespace {
std::span<std::byte const> raw(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
std::string text(std::span<std::byte const> data) { return {reinterpret_cast<char const*>(data.data()), data.size()}; }
} // namespace

TEST_CASE("cpio: the bytes of one small file are the format's") {
    std::vector<std::byte> out;
    cpio_writer writer(out);
    REQUIRE(writer.add("a/b", {0100644, 0, 0}, raw("hello")));
    // magic, ino, mode, uid, gid, nlink, mtime, filesize, dev, dev, rdev, rdev, namesize, check
    std::string const expected = std::string("070701" "00000001" "000081a4" "00000000" "00000000" "00000001" "00000000"
                                             "00000005" "00000000" "00000000" "00000000" "00000000" "00000004" "00000000" "a/b") +
                                 std::string("\0\0\0hello\0\0\0", 11);
    CHECK(text(out) == expected);
    CHECK(out.size() % 4 == 0);
}

TEST_CASE("cpio: what is written is read back, archives in a row included") {
    std::vector<std::byte> out;
    cpio_writer first(out);
    REQUIRE(first.add("dev", {0040755, 0, 0}));
    REQUIRE(first.add("dev/console", {0020600, 5, 1}));
    first.finish();
    out.resize(out.size() + 4096); // As between a base and a suffix.
    cpio_writer second(out);
    REQUIRE(second.add("link", {0120777, 0, 0}, raw("dev/console")));
    second.finish();

    cpio_reader in(out);
    auto const folder = in.next();
    REQUIRE(folder);
    REQUIRE(*folder);
    CHECK((*folder)->name == "dev");
    auto const device = in.next();
    REQUIRE(device);
    CHECK((*device)->what.mode == 0020600);
    CHECK((*device)->what.rdev_major == 5);
    CHECK((*device)->what.rdev_minor == 1);
    auto const link = in.next();
    REQUIRE(link);
    REQUIRE(*link);
    CHECK(text((*link)->content) == "dev/console");
    auto const end = in.next();
    REQUIRE(end);
    CHECK_FALSE(*end);
}

TEST_CASE("cpio: names and contents that the format cannot hold are refused and leave nothing behind") {
    std::vector<std::byte> out;
    cpio_writer writer(out);
    CHECK(writer.add("", {}).error().where == "cpio.name");
    CHECK(writer.add(std::string(4096, 'x'), {}).error().where == "cpio.name");
    CHECK(writer.add(std::string_view("a\0b", 3), {}).error().where == "cpio.name");
    CHECK(writer.add("big", {}, {out.data(), std::size_t{1} << 32}).error().code == errc::out_of_range);
    CHECK(out.empty());
    CHECK(writer.add(std::string(4095, 'x'), {}));
}

TEST_CASE("cpio: an archive cut at any byte is an error or a clean end, never more entries") {
    std::vector<std::byte> out;
    cpio_writer writer(out);
    REQUIRE(writer.add("one", {0100644, 0, 0}, raw("12345")));
    REQUIRE(writer.add("two", {0100644, 0, 0}, raw("")));
    writer.finish();
    for (std::size_t n = 0; n < out.size(); ++n) {
        auto const cut = std::span<std::byte const>(out).first(n);
        cpio_reader in(cut);
        int entries = 0;
        for (;;) {
            auto const e = in.next();
            if (!e || !*e)
                break;
            ++entries;
            REQUIRE(entries <= 2);
        }
    }
}

TEST_CASE("cpio: damaged headers are named") {
    std::vector<std::byte> good;
    cpio_writer writer(good);
    REQUIRE(writer.add("one", {0100644, 0, 0}, raw("12345")));
    auto const broken = [&good](std::size_t at, char value) {
        auto copy = good;
        copy[at] = static_cast<std::byte>(value);
        auto const e = cpio_reader(std::span<std::byte const>(copy)).next();
        REQUIRE_FALSE(e);
        return e.error();
    };
    CHECK(broken(5, '2').where == "cpio.magic");
    CHECK(broken(14, 'g').where == "cpio.number");
    CHECK(broken(101, '3').where == "cpio.name"); // The name is 4 bytes long; its third is no NUL.
    CHECK(broken(101, '0').where == "cpio.namesize");
    CHECK(broken(101, '1').where == "cpio.namesize");
    CHECK(broken(94, 'f').where == "cpio.namesize");
    CHECK(broken(54, 'f').code == errc::truncated);
    CHECK(broken(113, 'x').where == "cpio.name");
    CHECK(broken(111, '\0').where == "cpio.name");
}
