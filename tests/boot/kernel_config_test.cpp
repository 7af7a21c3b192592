// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/kernel_config.hpp"

#include "ktstr/boot/decompress_zlib.hpp"
#include "suites/fake_kernel.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::test;

constexpr std::string_view text = "# Linux/x86 7.3.4 Kernel Configuration\n"
                                  "CONFIG_SMP=y\n"
                                  "CONFIG_VIRTIO_MMIO=m\r\n"
                                  "# CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES is not set\n"
                                  "CONFIG_HZ=250\n"
                                  "CONFIG_NAME=\"x y\"\n"
                                  "CONFIG_OFF=n\n"
                                  "CONFIG_TWICE=y\nCONFIG_TWICE=m";

TEST_CASE("kernel_config: values and tristates, by the whole name") {
    static_assert(config_option(text, "SMP") == config_state::built_in);
    CHECK(config_option(text, "VIRTIO_MMIO") == config_state::module);
    CHECK(config_option(text, "VIRTIO") == config_state::absent);
    CHECK(config_option(text, "VIRTIO_MMIO_CMDLINE_DEVICES") == config_state::absent);
    CHECK(config_option(text, "OFF") == config_state::absent);
    CHECK(config_value(text, "HZ") == "250");
    CHECK(config_value(text, "NAME") == "\"x y\"");
    CHECK(config_value(text, "TWICE") == "m");
    CHECK(config_value("", "X").empty());
    CHECK(config_value("CONFIG_X", "X").empty());
}

TEST_CASE("kernel_config: the copy inside a kernel is found and unpacked") {
    // "CONFIG_SMP=y\n" as gzip -n -9 packs it.
    constexpr unsigned char packed[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x73, 0xf6,
                                        0xf7, 0x73, 0xf3, 0x74, 0x8f, 0x0f, 0xf6, 0x0d, 0xb0, 0xad, 0xe4, 0x02,
                                        0x00, 0xff, 0x85, 0x45, 0x0d, 0x0d, 0x00, 0x00, 0x00};
    auto kernel = joined(bytes_from("code IKCFG_ST"), std::as_bytes(std::span(packed)));
    CHECK(embedded_config<zlib_decompressor>(kernel).error() == error{errc::truncated, 0, 5, "ikconfig"});
    kernel = joined(kernel, bytes_from("IKCFG_ED rest"));
    auto const found = embedded_config<zlib_decompressor>(kernel);
    if (!found)
        CAPTURE(found.error().where);
    REQUIRE(found);
    CHECK(*found == "CONFIG_SMP=y\n");
    CHECK(embedded_config<zlib_decompressor>(bytes_from("IKCFG_ST but no gzip")).error().code == errc::not_found);
    kernel[30] ^= std::byte{0xff};
    CHECK_FALSE(embedded_config<zlib_decompressor>(kernel));
}
