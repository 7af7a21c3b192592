// SPDX-License-Identifier: Apache-2.0
#include "ktstr-run/options.hpp"

#include "ktstr-run/option_table.hpp"

#include <doctest/doctest.h>
#include <initializer_list>
#include <vector>

using namespace ktstr::tool;

namespace {
outcome<invocation> parse(std::initializer_list<char const*> words) {
    std::vector<char const*> const v(words);
    return parse_command_line("ktstr-run", v);
}
} // namespace

TEST_CASE("options: values by space and by equals, flags, words and the tail") {
    auto const call =
        parse({"run", "steady", "--seed", "7", "--memory=512M", "--strict", "--cmdline", "a b", "--cmdline=c"});
    REQUIRE(call);
    CHECK(call->command == "run");
    CHECK(call->words == std::vector<std::string>{"steady"});
    CHECK(call->value("seed") == "7");
    CHECK(call->value("memory") == "512M");
    CHECK(call->has("strict"));
    CHECK_FALSE(call->has("quiet"));
    CHECK(call->values("cmdline") == std::vector<std::string>{"a b", "c"});
    auto const exec = parse({"exec", "--quiet", "--", "ls", "--help", "--"});
    REQUIRE(exec);
    CHECK(exec->tail == std::vector<std::string>{"ls", "--help", "--"});
    CHECK_FALSE(exec->has("help"));
}

TEST_CASE("options: what is wrong is named, with a remedy and exit code 2") {
    struct row {
        std::initializer_list<char const*> words;
        char const* what;
        char const* remedy;
    };
    row const rows[] = {
        {{}, "no command given", "see 'ktstr-run help'"},
        {{"rn"}, "unknown command 'rn'", "did you mean 'run'?"},
        {{"run", "--topolgy", "x"}, "unknown option '--topolgy'", "did you mean 'topology'?"},
        {{"run", "--topolgy=x"}, "unknown option '--topolgy'", "did you mean 'topology'?"},
        {{"run", "--memory"}, "option --memory needs an argument: auto|SIZE", nullptr},
        {{"run", "--strict=1"}, "option --strict takes no argument", nullptr},
        {{"run", "--seed", "1", "--seed", "2"}, "option --seed is given twice", "give it once"},
        {{"run", "-x"}, "unknown option '-x'", nullptr},
        {{"run", "--", "ls"}, "arguments after '--' have no meaning here", nullptr},
        {{"doctor", "--kernel", "x"}, "unknown option '--kernel'", nullptr},
    };
    for (auto const& r : rows) {
        CAPTURE(r.what);
        auto const call = parse(r.words);
        REQUIRE_FALSE(call);
        CHECK(call.error().code == exit_code::bad_input);
        CHECK(call.error().what == r.what);
        CHECK_FALSE(call.error().remedy.empty());
        if (r.remedy != nullptr)
            CHECK(call.error().remedy == r.remedy);
    }
}

TEST_CASE("options: a beginning of a name is not the name") { CHECK_FALSE(parse({"run", "--mem", "1G"})); }

TEST_CASE("options: every command's help shows every option of the table and nothing else") {
    for (auto const& command : command_rows) {
        auto const help = help_text(command.name);
        for (auto const& option : option_rows) {
            auto const shown = help.find("\n  --" + std::string(option.name) + " ") != std::string::npos ||
                               help.find("\n  --" + std::string(option.name) + "\n") != std::string::npos;
            CAPTURE(command.name);
            CAPTURE(option.name);
            bool belongs = false;
            for (auto const& other : option_rows)
                belongs = belongs || (other.name == option.name && (other.commands & command.bit) != 0);
            CHECK(shown == (belongs && !option.about.empty()));
        }
        CHECK(help_text().find("  " + std::string(command.name)) != std::string::npos);
    }
}

TEST_CASE("options: --help and --version go before everything") {
    CHECK(parse({"--help"})->command == "help");
    CHECK(parse({"-h"})->command == "help");
    CHECK(parse({"--version"})->command == "version");
    CHECK(parse({"run", "--help"})->has("help"));
}
