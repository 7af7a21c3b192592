// SPDX-License-Identifier: Apache-2.0
#include "ktstr/wire/frame.hpp"

#include "wire/samples.hpp"

#include <doctest/doctest.h>

using namespace ktstr::wire;

TEST_CASE("frame: golden bytes of a whole frame") {
    std::vector<std::byte> out;
    append_frame(out, 13, 0x01020304, samples::raw("\xfe\xff\xff\xff"));
    // Checksums computed with zlib, not with our own code.
    CHECK(samples::hex(out) == "4b54534d01000d000400000004030201efba341f304cb437feffffff");
}

TEST_CASE("frame: an empty payload has both checksums equal") {
    auto const header = make_header(64, 0, {});
    CHECK(header.head_crc.get() == header.full_crc.get());
    CHECK(header.length.get() == 0);
}
