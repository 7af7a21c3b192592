// SPDX-License-Identifier: Apache-2.0
#include "ktstr/agent/snapshot_call.hpp"

#include "agent/host_end.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::agent;

namespace {
void answer(fake::host_end& host, wire::guest_message const& m) {
    auto const* const r = std::get_if<wire::snapshot_request>(&m);
    if (r == nullptr)
        return;
    host.send(wire::go{});
    host.send(wire::snapshot_reply{r->request_id + 7, true, ""}); // somebody else's
    if (r->kind == wire::snapshot_kind::capture)
        host.send(wire::snapshot_reply{r->request_id, true, ""});
    else
        host.send(wire::snapshot_reply{r->request_id, false, "no free watchpoint"});
}
} // namespace

TEST_CASE("snapshot_call: blocks until the answer with its own id; other messages are kept") {
    session guest;
    fake::host_end host(guest, answer);
    snapshot_caller call(guest, 0xfffffffe); // ids wrap
    auto const first = call.snapshot("before");
    REQUIRE(first);
    CHECK(first->ok);
    CHECK(first->reason.empty());
    CHECK(guest.asked().go);
    auto const second = call.watch("panic_cpu:4!=-1");
    REQUIRE(second);
    CHECK(!second->ok);
    CHECK(second->reason == "no free watchpoint");
    REQUIRE(call.snapshot("after"));
    auto const seen = host.all<wire::snapshot_request>();
    REQUIRE(seen.size() == 3);
    CHECK(seen[0].request_id == 0xfffffffe);
    CHECK(seen[2].request_id == 0);
    CHECK(seen[1].kind == wire::snapshot_kind::watch);
    CHECK(seen[1].tag == "panic_cpu:4!=-1");
}

TEST_CASE("snapshot_call: no answer is a timeout, a gone host and no port are said at once, a long name is not sent") {
    session guest;
    fake::host_end host(guest);
    snapshot_caller call(guest);
    CHECK(call.snapshot("x", nanos{1}).error() == error{errc::timeout, 0, 1, "snapshot.reply"});
    CHECK(call.snapshot(std::string(64, 'a')).error() == error{errc::out_of_range, 0, 64, "snapshot.tag"});
    CHECK(call.watch("").error().code == errc::out_of_range);
    host.close();
    CHECK(call.snapshot("x").error().code == errc::not_found);
    session none;
    CHECK(snapshot_caller(none).snapshot("x").error().code == errc::not_found);
}

TEST_CASE("snapshot_call: an answer that comes too late does not answer the next request") {
    session guest;
    fake::host_end host(guest);
    snapshot_caller call(guest);
    CHECK(!call.snapshot("one", nanos{1}));
    host.send(wire::snapshot_reply{1, true, ""});
    host.send(wire::snapshot_reply{2, false, "two"});
    auto const two = call.snapshot("two");
    REQUIRE(two);
    CHECK(two->reason == "two");
    CHECK(guest.asked().snapshot_replies.empty());
}

TEST_CASE("session: a host that answers what nobody asked does not fill the guest's memory") {
    session guest;
    fake::host_end host(guest);
    for (std::uint32_t i = 0; i < 200; ++i)
        host.send(wire::snapshot_reply{i, true, ""});
    host.send(wire::go{});
    while (!guest.asked().go)
        guest.pump(1000);
    CHECK(guest.asked().snapshot_replies.size() == 64);
}
