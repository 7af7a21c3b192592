// SPDX-License-Identifier: Apache-2.0
#include "ktstr/wire/crc32.hpp"

#include <doctest/doctest.h>
#include <string_view>
#include <zlib.h>

using namespace ktstr::wire;

namespace {
std::span<std::byte const> raw(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
} // namespace

TEST_CASE("crc32: the check value of the catalogue, and nothing at all") {
    CHECK(crc32(raw("123456789")) == 0xCBF43926U);
    CHECK(crc32({}) == 0);
}

TEST_CASE("crc32: pieces give what the whole gives, and zlib agrees") {
    std::string_view const text = "two cgroups of workers run under its scheduler";
    for (std::size_t cut = 0; cut <= text.size(); ++cut)
        CHECK(crc32(raw(text.substr(cut)), crc32(raw(text.substr(0, cut)))) == crc32(raw(text)));
    CHECK(crc32(raw(text)) == ::crc32(0, reinterpret_cast<Bytef const*>(text.data()), static_cast<uInt>(text.size())));
}
