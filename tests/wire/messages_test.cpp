// SPDX-License-Identifier: Apache-2.0
#include "ktstr/wire/messages.hpp"

#include "wire/samples.hpp"

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>

using namespace ktstr;
using namespace ktstr::wire;

namespace {
/// Payload bytes by type number; docs/formats/wire.md explains them.
std::map<int, std::string> const golden{
    {1,
     "0201181716151413121102000000000000000300000000000000040000000000000005000000060000000000000003000000372e33050000"
     "007175696574"},
    {2, "0a0700000000000000"},
    {3, "02020000006162"},
    {4, "010800000002000000010000007802000000797a"},
    {5,
     "0100000002000000fdffffff01f7ffffff100000000000000011000000000000001200000000000000130000000000000014000000000000"
     "001500000000000000160000000000000017000000000000001800000000000000190000001a000000000000001b000000000000001c0000"
     "001d000000000000001e00000000000000010000001f00000000000000020000002000000000000000210000000000000022000000000000"
     "002300000000000000240000000000000003000000250000002600000027000000"},
    {6, "0100000003000000302d33020000000000000003000000000000000400000000000000"},
    {7, "060000005b315d20780a"},
    {8, "010107000000656e61626c65640600000073696d706c6505000000000000000600000000000000"},
    {9, "0102030405060708"},
    {10, "090000000000000001"},
    {11, "0807000000020000000300000000000000040000006f70656e020000002f78"},
    {12, "0b000000adde00000000000009"},
    {13, "feffffff"},
    {14, "0a000000000000000a0200000001000000000000000200000000000000"},
    {15, "88776655443322112410000000000000"},
    {16, "04030201010900000070616e69635f637075"},
    {64, ""},
    {65, "01"},
    {66, "0102000000696e"},
    {67, "02010403"},
    {68, "0c00000000000000"},
    {69, "0403020100020000006e6f"},
};
} // namespace

TEST_CASE("messages: golden bytes of each, and back") {
    std::set<int> seen;
    samples::each_message([&](auto const& m) {
        using message = std::remove_cvref_t<decltype(m)>;
        auto const type = static_cast<int>(message::type);
        CAPTURE(type);
        auto const raw = encode_value(m);
        CHECK(samples::hex(raw) == golden.at(type));
        auto const back = decode_value<message>(raw, "test");
        REQUIRE(back);
        CHECK(encode_value(*back) == raw);
        CHECK(seen.insert(type).second);
    });
    CHECK(seen.size() == golden.size());
}

TEST_CASE("messages: each refuses truncation at every length and a byte too many") {
    samples::each_message([](auto const& m) {
        using message = std::remove_cvref_t<decltype(m)>;
        CAPTURE(static_cast<int>(message::type));
        auto raw = encode_value(m);
        for (std::size_t n = 0; n < raw.size(); ++n)
            CHECK(!decode_value<message>(std::span(raw).first(n), "test"));
        raw.push_back(std::byte{0});
        CHECK(!decode_value<message>(raw, "test"));
    });
}

TEST_CASE("messages: every phase has a name of its own") {
    std::set<std::string_view> names;
    for (int i = 0; i <= static_cast<int>(last_of(agent_phase{})); ++i)
        CHECK(names.insert(name_of(static_cast<agent_phase>(i))).second);
    CHECK(name_of(static_cast<agent_phase>(200)) == "unknown phase");
}
