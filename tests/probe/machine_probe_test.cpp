// SPDX-License-Identifier: Apache-2.0
#include "ktstr/probe/machine_probe.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace ktstr;

namespace {
machine_probe sample() {
    return {{kvm_verdict::emulated, kvm_reason::no_cmpxchg16b}, 1'295'638, 9304, stub_outcome::not_offered, stub_outcome::internal_error, 0, false};
}
} // namespace

TEST_CASE("probe_text: comes back as it was, marked as remembered") {
    auto const text = probe_text(sample(), "boot-1 user=0");
    auto const back = parse_probe(text, "boot-1 user=0");
    REQUIRE(back);
    auto expected = sample();
    expected.from_cache = true;
    CHECK(*back == expected);
}

TEST_CASE("parse_probe: other circumstances, and every text that is cut or changed, are not believed") {
    auto const text = probe_text(sample(), "boot-1");
    CHECK(parse_probe(text, "boot-2").error().code == errc::not_found);
    for (std::size_t n = 0; n + 1 < text.size(); ++n) // Without its last newline it says all there is.
        CHECK_FALSE(parse_probe(text.substr(0, n), "boot-1"));
    CHECK_FALSE(parse_probe(text + "x", "boot-1"));
    for (std::size_t at = 0; at < text.size(); ++at) {
        auto bad = text;
        bad[at] = '~';
        CHECK_FALSE(parse_probe(bad, "boot-1"));
    }
    auto verdict = text;
    verdict.replace(verdict.find("\n1\n"), 3, "\n9\n");
    CHECK(parse_probe(verdict, "boot-1").error().where == "probe.enum");
}

TEST_CASE("probe_circumstances: the boot and the user are in it, and it stands still") {
    auto const now = probe_circumstances();
    CHECK(now == probe_circumstances());
    CHECK(now.find(" user=" + std::to_string(::geteuid())) != std::string::npos);
    CHECK(now.size() > 36);
}
