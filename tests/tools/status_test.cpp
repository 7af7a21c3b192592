// SPDX-License-Identifier: Apache-2.0
#include "support/status.hpp"

#include <doctest/doctest.h>
#include <fstream>
#include <set>
#include <sstream>

using namespace ktstr::tool;
using ktstr::outcome_kind;
using ktstr::outcome_kinds;

namespace {
/// What each rendering says about success, failure or "not judged"; all five must say the same.
enum class sense { good, bad, unjudged };
sense from_code(exit_code c) {
    if (c == exit_code::pass)
        return sense::good;
    return c == exit_code::inconclusive || c == exit_code::missing ? sense::unjudged : sense::bad;
}
sense from_ktap(std::string_view s) {
    if (s.find("# SKIP") != std::string_view::npos)
        return sense::unjudged;
    return s.starts_with("not ok") ? sense::bad : sense::good;
}
sense from_junit(std::string_view s) { return s.empty() ? sense::good : s == "skipped" ? sense::unjudged : sense::bad; }
} // namespace

TEST_CASE("status: five renderings agree, strict or not") {
    for (bool const strict : {false, true}) {
        for (auto const& own : status_table) {
            CAPTURE(own.word);
            run_status const s{own.kind, own.kind == outcome_kind::interrupted ? 2 : 0, strict, ""};
            auto const& row = row_of(s);
            auto const expected = from_code(code_of(s));
            CHECK(from_ktap(row.ktap) == expected);
            CHECK(from_junit(row.junit) == expected);
            CHECK((row.json == "pass") == (expected == sense::good));
            CHECK((row.word == "PASS") == (expected == sense::good));
            CHECK(text_of(s).starts_with(row.word));
            if (strict)
                CHECK(expected != sense::unjudged);
        }
    }
}

TEST_CASE("status: the codes are the documented ones, the words differ") {
    std::set<int> codes;
    std::set<std::string_view> words;
    for (auto const& row : status_table) {
        codes.insert(static_cast<int>(code_of({row.kind, 0, false, ""})));
        words.insert(row.word);
        words.insert(row.json);
    }
    CHECK(codes == std::set<int>{0, 1, 2, 3, 77, 99, 124, 128, 255});
    CHECK(words.size() == 2 * outcome_kinds);
}

TEST_CASE("status: codes lead back to their kind") {
    for (auto const& row : status_table) {
        auto const code = code_of({row.kind, 2, false, ""});
        CHECK(code_of({kind_of(code), 2, false, ""}) == code);
    }
    CHECK(kind_of(ended_by_signal(2)) == outcome_kind::interrupted);
    CHECK(kind_of(ended_by_signal(15)) == outcome_kind::interrupted);
    CHECK(kind_of(static_cast<exit_code>(42)) == outcome_kind::host_error);
    CHECK(code_of({outcome_kind::interrupted, 15, false, ""}) == static_cast<exit_code>(143));
    CHECK(code_of(status_of(problem{ended_by_signal(2), "x", "", ""})) == static_cast<exit_code>(130));
}

TEST_CASE("status: strict turns 3 and 77 into 1 and says so") {
    run_status const s{outcome_kind::inconclusive, 0, true, ""};
    CHECK(code_of(s) == exit_code::fail);
    CHECK(text_of(s) == "FAIL (strict: INCONCLUSIVE)");
    CHECK(code_of({outcome_kind::skip, 0, true, ""}) == exit_code::fail);
    CHECK(code_of({outcome_kind::host_error, 0, true, ""}) == exit_code::harness);
}

TEST_CASE("status: docs/exit-codes.md has a row for every kind") {
    std::ifstream file(KTSTR_SOURCE_ROOT "/docs/exit-codes.md");
    std::stringstream content;
    content << file.rdbuf();
    auto const page = content.str();
    REQUIRE_FALSE(page.empty());
    for (auto const& row : status_table) {
        auto const code = static_cast<int>(code_of({row.kind, 0, false, ""}));
        auto const number = row.kind == outcome_kind::interrupted ? std::string("128+n") : std::to_string(code);
        auto const start = "| " + number + " | " + std::string(row.word) + " | `" + std::string(row.json) + "` |";
        CAPTURE(start);
        CHECK(page.find(start) != std::string::npos);
    }
}
