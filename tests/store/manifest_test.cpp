// SPDX-License-Identifier: Apache-2.0
#include "ktstr/store/manifest.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace ktstr;

namespace {
kernel_manifest sample() {
    kernel_manifest m;
    m.key = "debian-7.3.4";
    m.release = "7.3.4+deb13-cloud-amd64";
    m.version = "7.3.4-1";
    m.source = "debian:7.3";
    m.banner = "7.3.4 (x) #1 SMP";
    m.build_id = "00ff";
    m.initramfs = "zstd lz4";
    m.aliases = {"debian", "debian:7.3"};
    m.notes = {"a note with blanks"};
    m.drivers = {config_state::module, config_state::built_in, config_state::absent};
    m.files = {{"vmlinux", "vmlinux", 123, 456, std::string(64, 'a')},
               {"module", "modules/a b.ko", 1, -2, std::string(64, 'b')}};
    m.modules = {{"a", "modules/a b.ko", {"b", "c"}}, {"b", "modules/b.ko", {}}};
    return m;
}
std::string sealed(std::string const& body) { return body + "sha256 " + sha256_hex(body) + '\n'; }
} // namespace

TEST_CASE("manifest: written and read again it is the same") {
    auto const text = write_manifest(sample());
    auto const back = read_manifest(text);
    REQUIRE(back);
    CHECK(*back == sample());
    CHECK(text.starts_with("ktstr-kernel 1\nkey debian-7.3.4\n"));
    CHECK(text.find("file vmlinux 123 456 " + std::string(64, 'a') + " vmlinux\n") != std::string::npos);
    CHECK(text.find("module a b,c modules/a b.ko\n") != std::string::npos);
    CHECK(text.find("module b - modules/b.ko\n") != std::string::npos);
}

TEST_CASE("manifest: every truncation and every changed byte is noticed") {
    auto const text = write_manifest(sample());
    for (std::size_t n = 0; n < text.size(); ++n)
        CHECK_FALSE(read_manifest(std::string_view(text).substr(0, n)));
    for (std::size_t n = 0; n < text.size(); ++n) {
        auto broken = text;
        broken[n] = static_cast<char>(broken[n] ^ 1);
        CHECK_FALSE(read_manifest(broken));
    }
    CHECK(read_manifest(text + "more").error().code == errc::bad_checksum);
}

TEST_CASE("manifest: a newline in a value cannot make a line") {
    auto m = sample();
    m.banner = "x\nkey other";
    auto const back = read_manifest(write_manifest(m));
    REQUIRE(back);
    CHECK(back->key == "debian-7.3.4");
    CHECK(back->banner == "x key other");
}

TEST_CASE("manifest: what is well sealed but wrong is refused") {
    auto const refused = [](std::string const& body) { return read_manifest(sealed(body)).error(); };
    CHECK(refused("ktstr-kernel 2\nkey a\n").code == errc::unsupported);
    CHECK(refused("something else\n").where == "manifest.magic");
    CHECK(refused("ktstr-kernel 1\n").where == "manifest.key");
    CHECK(refused("ktstr-kernel 1\nkey ../x\n").where == "manifest.key");
    CHECK(refused("ktstr-kernel 1\nkey a\nvirtio-mmio maybe\n").where == "manifest.driver");
    auto const file = [&](std::string const& name) {
        return refused("ktstr-kernel 1\nkey a\nfile vmlinux 1 2 " + std::string(64, 'a') + ' ' + name + "\n").where;
    };
    for (auto const* const name : {"../../etc/passwd", "/etc/passwd", "a/../b", "a//b", "", "."})
        CHECK(file(name) == "manifest.file");
    CHECK(refused("ktstr-kernel 1\nkey a\nfile vmlinux 1 2 aa v\n").where == "manifest.file");
    CHECK(refused(std::string("ktstr-kernel 1\nkey a\0b\n", 23)).where == "manifest.nul");
    CHECK(refused("ktstr-kernel 1\nkey a\nfile vmlinux x 2 aa v\n").where == "manifest.number");
    CHECK(refused("ktstr-kernel 1\nkey a\nmodule m - ../m\n").where == "manifest.module");
    // Keys of later versions of the format are skipped.
    CHECK(read_manifest(sealed("ktstr-kernel 1\nkey a\nnew thing\n\n"))->key == "a");
}
