// SPDX-License-Identifier: Apache-2.0
#include "ktstr/freeze/trigger.hpp"

#include "ktstr/freeze/state.hpp"

#include <doctest/doctest.h>
#include <set>
#include <string_view>

using namespace ktstr;

TEST_CASE("freeze triggers: every cause has its policy, its name and its tag") {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < freeze_causes; ++i)
        CHECK(names.insert(name_of(static_cast<freeze_cause>(i))).second);
    CHECK(name_of(static_cast<freeze_cause>(99)) == "unknown cause");
    CHECK(policy_of(static_cast<freeze_cause>(99)) == cause_policy{});
    CHECK(name_of(static_cast<publish_as>(9)) == "unknown place");
    CHECK(policy_of(freeze_cause::error_exit) == cause_policy{true, false, publish_as::main, false, true});
    CHECK(policy_of(freeze_cause::early) == cause_policy{false, true, publish_as::kept, false, false});
    CHECK(policy_of(freeze_cause::request) == cause_policy{false, true, publish_as::tagged, true, false});
    CHECK(policy_of(freeze_cause::watch) == cause_policy{false, true, publish_as::tagged, false, true});
    CHECK(policy_of(freeze_cause::periodic) == cause_policy{false, true, publish_as::tagged, false, true});
    CHECK(policy_of(freeze_cause::host) == cause_policy{false, true, publish_as::tagged, true, false});

    using t = dual_snapshot::trigger_type;
    CHECK(cause_of(t(periodic_due{7})) == freeze_cause::periodic);
    CHECK(tag_of(t(periodic_due{7})) == "periodic_007");
    CHECK(tag_of(t(periodic_due{1234})) == "periodic_1234");
    CHECK(tag_of(t(guest_request{1, "a"})) == "a");
    CHECK(tag_of(t(host_call{"b"})) == "b");
    CHECK(tag_of(t(watch_hit{1, "c"})) == "c");
    CHECK(tag_of(t(early_age{})) == "early");
    CHECK(tag_of(t(error_exit{})).empty());
    CHECK(cause_of(single_snapshot::trigger_type(host_call{})) == freeze_cause::host);
}

TEST_CASE("freeze triggers: the early one comes at half the watchdog's time") {
    CHECK(early_threshold(seconds(30)) == seconds(15));
    CHECK(early_threshold(nanos{1}) == nanos{0}); // whatever waits
    CHECK(early_threshold(std::nullopt) == seconds(2));
    CHECK(early_threshold(nanos{0}) == seconds(2));
    CHECK(early_threshold(seconds(-1)) == seconds(2));
}
