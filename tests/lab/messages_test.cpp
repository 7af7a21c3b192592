// SPDX-License-Identifier: Apache-2.0
#include "ktstr/lab/messages.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::lab;

namespace {
template <class M>
M round_trip(M const& m) {
    auto const raw = encode_message(m);
    REQUIRE(raw);
    auto const back = decode_message<M>(*raw);
    REQUIRE(back);
    // Every shorter payload is refused, and so is a longer one.
    for (std::size_t n = 0; n < raw->size(); ++n)
        CHECK_FALSE(decode_message<M>(std::span(*raw).first(n)));
    auto longer = *raw;
    longer.push_back(std::byte{0});
    CHECK_FALSE(decode_message<M>(longer));
    return *back;
}
} // namespace

TEST_CASE("lab messages: every message comes back as it went") {
    hello_message hello{1234567890123456789U, {}, "name"};
    hello.seed[31] = 9;
    auto const h = round_trip(hello);
    CHECK(h.wall_ns == hello.wall_ns);
    CHECK(h.seed == hello.seed);
    CHECK(h.name == "name");
    auto const r = round_trip(ready_message{2, 4ULL << 30, 1, "6.12"});
    CHECK(r.cpus == 2);
    CHECK(r.memory == 4ULL << 30);
    CHECK(r.has_kvm == 1);
    CHECK(r.release == "6.12");
    auto const p = round_trip(put_message{2, 0755, 70, 4096, 5, "/in/a", "b"});
    CHECK(p.kind == 2);
    CHECK(p.mode == 0755);
    CHECK(p.size == 70);
    CHECK(p.offset == 4096);
    CHECK(p.mtime_ns == 5);
    CHECK(p.path == "/in/a");
    CHECK(p.target == "b");
    auto const g = round_trip(get_message{1, 2, "/out"});
    CHECK(g.offset == 1);
    CHECK(g.end == 2);
    CHECK(g.path == "/out");
    auto const d = round_trip(done_message{28, "/x"});
    CHECK(d.error == 28);
    CHECK(d.where == "/x");
    auto const s = round_trip(spawn_message{1, 24, 80, 99, {"sh", "-c", ""}, {"A=b"}, "/in"});
    CHECK(s.tty == 1);
    CHECK(s.rows == 24);
    CHECK(s.columns == 80);
    CHECK(s.output_credit == 99);
    CHECK(s.argv == std::vector<std::string>{"sh", "-c", ""});
    CHECK(s.env == std::vector<std::string>{"A=b"});
    CHECK(s.cwd == "/in");
    CHECK(round_trip(credit_message{9, 5}).bytes == 5);
    CHECK(round_trip(signal_message{2}).number == 2);
    CHECK(round_trip(winsize_message{3, 4}).columns == 4);
    auto const e = round_trip(exited_message{137, 1, 2});
    CHECK(e.code == 137);
    CHECK(e.system_ns == 2);
    CHECK(round_trip(dial_message{7, "/run/x"}).path == "/run/x");
    auto const q = round_trip(request_message{0, 1, 2, 3, {"a"}, {}, {"/h:/l"}, {"/o:/out", ""}, "/"});
    CHECK(q.limit_ns == 3);
    CHECK(q.in == std::vector<std::string>{"/h:/l"});
    CHECK(q.out == std::vector<std::string>{"/o:/out", ""});
    CHECK(round_trip(outcome_message{2, "error"}).text == "error");
}

TEST_CASE("lab messages: the encoding's bytes are the documented ones") {
    auto const raw = encode_message(done_message{0x0102, "ab"});
    REQUIRE(raw);
    constexpr unsigned char expected[] = {2, 1, 0, 0, 2, 0, 0, 0, 'a', 'b'};
    REQUIRE(raw->size() == sizeof expected);
    for (std::size_t i = 0; i < sizeof expected; ++i)
        CHECK(std::to_integer<unsigned>((*raw)[i]) == expected[i]);
}

TEST_CASE("lab messages: a NUL in a string is refused") {
    auto raw = encode_message(done_message{0, "ab"});
    REQUIRE(raw);
    raw->back() = std::byte{0};
    auto const got = decode_message<done_message>(*raw);
    REQUIRE_FALSE(got);
    CHECK(got.error().where == "lab.message.string");
}

TEST_CASE("lab messages: a list cannot claim more strings than bytes are left for") {
    std::vector<std::byte> raw(1 + 2 + 2 + 8);
    for (int i = 0; i < 4; ++i)
        raw.push_back(std::byte{0xff});
    auto const got = decode_message<spawn_message>(raw);
    REQUIRE_FALSE(got);
    CHECK(got.error().where == "lab.message.list");
}

TEST_CASE("lab messages: what exceeds a frame is an error, not a cut message") {
    auto const got = encode_message(outcome_message{0, std::string(frame_payload_max, 'x')});
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::no_space);
}
