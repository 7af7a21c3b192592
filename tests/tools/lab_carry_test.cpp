// SPDX-License-Identifier: Apache-2.0
#include "ktstr-run/lab_carry.hpp"

#include "ktstr-run/option_table.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <string>

using namespace ktstr::tool;

namespace {
carry_context context() { return {"/lib/ktstr-lab", "/bin/ktstr-run", "/home/u", "/store/k1", "", "", {}, {}}; }
invocation call(std::vector<std::pair<std::string, std::string>> options) {
    invocation out;
    out.command = "run";
    out.words = {"steady"};
    out.options = std::move(options);
    return out;
}
bool has(std::vector<std::string> const& words, std::string_view word) {
    return std::ranges::find(words, word) != words.end();
}
} // namespace

TEST_CASE("lab_carry: program, kernel, words and plain options") {
    auto const words =
        carry_into_lab(call({{"seed", "7"}, {"machine", "lab"}, {"kernel", "debian:7.3"}, {"strict", ""}}), context());
    REQUIRE(words);
    CHECK(*words == std::vector<std::string>{"/lib/ktstr-lab", "run", "--in", "/bin/ktstr-run:/ktstr-run", "--in",
                                             "/store/k1:/carry/in/0/k1", "--", "/ktstr-run", "run", "--machine=host",
                                             "--kernel=/carry/in/0/k1", "--seed=7", "--strict", "steady"});
}

TEST_CASE("lab_carry: out-files travel back to where the user wanted them") {
    auto const words = carry_into_lab(call({{"json", "out.json"}, {"dmesg", "/var/d.txt"}}), context());
    REQUIRE(words);
    CHECK(has(*words, "/home/u/out.json:/carry/out/1/out.json"));
    CHECK(has(*words, "--json=/carry/out/1/out.json"));
    CHECK(has(*words, "/var/d.txt:/carry/out/2/d.txt"));
    auto const piped = carry_into_lab(call({{"json", "-"}}), context());
    REQUIRE(piped);
    CHECK(has(*piped, "--json=-"));
    CHECK_FALSE(has(*piped, "--out"));
}

TEST_CASE("lab_carry: in-files keep their place in the guest") {
    auto const words =
        carry_into_lab(call({{"include", "/proc/self/exe:/bin/me"}, {"include", "/proc/version"}}), context());
    REQUIRE(words);
    CHECK(has(*words, "--include=/carry/in/1/exe:/bin/me"));
    CHECK(has(*words, "--include=/carry/in/2/version:/proc/version"));
    CHECK(carry_into_lab(call({{"include", "/nowhere"}}), context()).error().code == exit_code::bad_input);
}

TEST_CASE("lab_carry: a packed initramfs replaces what it was made of, and resolved options win") {
    auto c = context();
    c.initramfs = "/proc/version";
    c.resolved = {{"seed", "9"}, {"results", "/state/runs/1"}};
    auto const words = carry_into_lab(call({{"include", "/nowhere"}, {"seed", "7"}}), c);
    REQUIRE(words);
    CHECK(has(*words, "--initramfs=/carry/in/1/version"));
    CHECK(has(*words, "--seed=9"));
    CHECK_FALSE(has(*words, "--seed=7"));
    CHECK(has(*words, "/state/runs/1:/carry/out/2/1"));
    CHECK(std::ranges::none_of(*words, [](auto const& w) { return w.starts_with("--include"); }));
}

TEST_CASE("lab_carry: a named lab, a terminal, a command's tail") {
    invocation in = call({{"lab", "l1"}});
    in.command = "exec";
    in.words.clear();
    in.tail = {"ls", "-l"};
    auto c = context();
    c.lab_option = "-t";
    c.limit = ktstr::seconds(90);
    auto const words = carry_into_lab(in, c);
    REQUIRE(words);
    CHECK((*words)[1] == "exec");
    CHECK((*words)[2] == "l1");
    CHECK((*words)[3] == "-t");
    CHECK((*words)[4] == "--limit");
    CHECK((*words)[5] == "90");
    CHECK(std::vector<std::string>(words->end() - 3, words->end()) == std::vector<std::string>{"--", "ls", "-l"});
}

TEST_CASE("lab_carry: every option of a booting command has a rule") {
    for (auto const& row : option_rows) {
        if ((row.commands & on::run) == 0)
            continue;
        auto const argument = row.argument.empty() ? "" : row.kind == carry::in_dir ? "/proc" : "/proc/version";
        auto const words = carry_into_lab(call({{std::string(row.name), argument}}), context());
        CAPTURE(row.name);
        REQUIRE(words);
        auto const flag = "--" + std::string(row.name);
        auto const mentions =
            std::ranges::count_if(*words, [&](auto const& w) { return w == flag || w.starts_with(flag + "="); });
        CHECK(mentions == (row.name == "lab" ? 0 : 1));
        auto const ins = std::ranges::count(*words, "--in");
        auto const outs = std::ranges::count(*words, "--out");
        CHECK(ins == 2 + (row.kind == carry::in_file || row.kind == carry::in_dir ? 1 : 0));
        CHECK(outs == (row.kind == carry::out_file || row.kind == carry::out_dir ? 1 : 0));
    }
}
