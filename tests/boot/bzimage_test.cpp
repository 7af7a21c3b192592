// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/bzimage.hpp"
#include "ktstr/boot/kernel_image.hpp"

#include "suites/fake_kernel.hpp"

#include <array>
#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::test;

namespace {
byte_vector const payload = bytes_from("\x28\xb5\x2f\xfd-some-payload-\x10\x20\x30\x00");
} // namespace

TEST_CASE("bzimage: header, payload, method and version come out as they went in") {
    auto const file = fake_bzimage(payload);
    auto const image = parse_bzimage(file);
    REQUIRE(image);
    CHECK(image->version == "7.3.4-fake (me) #1");
    CHECK(image->release() == "7.3.4-fake");
    CHECK(image->method == compression::zstd);
    CHECK(image->header.cmdline_size == 2047);
    CHECK(image->header.pref_address == 0x1000000);
    CHECK(image->header.init_size == 0x400000);
    CHECK(std::equal(image->payload.begin(), image->payload.end(), payload.begin(), payload.end()));
    CHECK(image->payload_size_hint == get_at<le32>(payload, payload.size() - 4));
}

TEST_CASE("bzimage: every truncation is an error that says so") {
    auto const file = fake_bzimage(payload);
    for (std::size_t n = 0; n < file.size(); ++n) {
        CAPTURE(n);
        auto const got = parse_bzimage(std::span(file).first(n));
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::truncated);
    }
}

TEST_CASE("bzimage: what is wrong is named") {
    using x86_boot::setup_header_offset;
    auto const at = [](std::size_t field) { return setup_header_offset + field; };
    struct row {
        std::size_t where;
        std::uint32_t value;
        std::size_t width;
        errc code;
        std::string_view place;
    };
    std::array const rows{
        row{0x1fe, 0x1234, 2, errc::bad_format, "bzimage.magic"},
        row{0x202, 0, 4, errc::bad_format, "bzimage.magic"},
        row{0x206, 0x0207, 2, errc::unsupported, "bzimage.protocol"},
        row{0x201, 0x10, 1, errc::bad_format, "bzimage.header_length"},
        row{0x236, 0, 2, errc::unsupported, "bzimage.xloadflags"},
        row{0x248, 0xffff'fff0, 4, errc::truncated, "bzimage.payload"},
        row{0x24c, 0xffff'ffff, 4, errc::truncated, "bzimage.payload"},
        row{0x20e, 0xfff0, 2, errc::truncated, "bzimage.version"},
        row{at(0), 255, 1, errc::truncated, "bzimage.payload"},
    };
    for (auto const& r : rows) {
        CAPTURE(r.where);
        auto file = fake_bzimage(payload);
        std::memcpy(file.data() + r.where, &r.value, r.width);
        auto const got = parse_bzimage(file);
        REQUIRE_FALSE(got);
        CHECK(got.error().code == r.code);
        CHECK(got.error().where == r.place);
    }
    auto endless = fake_bzimage(payload);
    std::fill(endless.begin() + 0x280, endless.end(), std::byte{'x'});
    CHECK(parse_bzimage(endless).error() == error{errc::bad_format, 0, 0x280, "bzimage.version"});
}

TEST_CASE("bzimage: a short header of an older protocol leaves the newer fields zero") {
    auto file = fake_bzimage(payload);
    put_at(file, 0x206, le16(std::uint16_t{0x0209}));
    file[0x201] = std::byte{0x260 - 0x202};
    auto const image = parse_bzimage(file);
    REQUIRE(image);
    CHECK(image->header.pref_address == 0x1000000);
    CHECK(image->header.init_size == 0); // lies behind the end of that header
}

TEST_CASE("kernel_image: files are told apart by their first bytes") {
    CHECK(detect_kernel(fake_bzimage(payload)) == kernel_kind::bzimage);
    CHECK(detect_kernel(fake_elf{}.build()) == kernel_kind::elf_x86_64);
    CHECK(detect_kernel(fake_elf{.machine = elf::em_aarch64}.build()) == kernel_kind::elf_aarch64);
    CHECK(detect_kernel(fake_elf{.machine = 243}.build()) == kernel_kind::elf_other);
    auto small_class = fake_elf{}.build();
    small_class[4] = std::byte{1};
    CHECK(detect_kernel(small_class) == kernel_kind::elf_other);
    byte_vector arm(64);
    put_at(arm, 0x38, le32(0x644d5241U));
    CHECK(detect_kernel(arm) == kernel_kind::arm64_image);
    auto zboot = bytes_from("MZ");
    zboot.resize(64);
    CHECK(detect_kernel(zboot) == kernel_kind::pe_other);
    put_at(zboot, 4, le32(0x676d697aU));
    CHECK(detect_kernel(zboot) == kernel_kind::arm64_zboot);
    CHECK(detect_kernel(bytes_from("\x1f\x8b\x08")) == kernel_kind::gzip);
    CHECK(detect_kernel(bytes_from("!<arch>\ndebian-binary")) == kernel_kind::debian_package);
    CHECK(detect_kernel({}) == kernel_kind::unknown);
    for (unsigned kind = 0; kind < 10; ++kind)
        CHECK_FALSE(name_of(static_cast<kernel_kind>(kind)).empty());
}
