// SPDX-License-Identifier: Apache-2.0
#include "ktstr-run/boot_options.hpp"

#include <doctest/doctest.h>
#include <initializer_list>

using namespace ktstr;
using namespace ktstr::tool;

namespace {
invocation call_with(std::initializer_list<std::pair<std::string, std::string>> options) {
    invocation out;
    out.command = "run";
    out.options = options;
    return out;
}
} // namespace

TEST_CASE("boot_options: defaults") {
    auto const o = read_boot_options(call_with({}));
    REQUIRE(o);
    CHECK(cpus(o->shape) == 2);
    CHECK_FALSE(o->memory);
    CHECK(o->machine == machine_wish::automatic);
    CHECK(o->wall_limit == seconds(600));
    CHECK(o->reset == reset_choice::keyboard);
    CHECK(o->transport == transport_wish::automatic);
    CHECK_FALSE(o->kaslr);
}

TEST_CASE("boot_options: everything given") {
    auto const o = read_boot_options(call_with({{"topology", "2n4l2c2t"},
                                                {"memory", "2G"},
                                                {"machine", "lab"},
                                                {"timeout", "90s"},
                                                {"kaslr", "on"},
                                                {"cpu-vendor", "amd"},
                                                {"reboot", "t"},
                                                {"transport", "pci"},
                                                {"cmdline", "a=1"},
                                                {"cmdline", "b"},
                                                {"include", "/proc/self/exe:/bin/me"},
                                                {"quiet", ""}}));
    REQUIRE(o);
    CHECK(cpus(o->shape) == 16);
    CHECK(o->memory->raw == 2 * GiB);
    CHECK(o->machine == machine_wish::lab);
    CHECK(o->vendor == vendor_choice::amd);
    CHECK(o->reset == reset_choice::triple_fault);
    CHECK(o->transport == transport_wish::pci);
    CHECK(o->cmdline == "a=1 b");
    CHECK(o->quiet);
    REQUIRE(o->include.size() == 1);
    CHECK(o->include[0].path == "/bin/me");
}

TEST_CASE("boot_options: presets bring their memory") {
    auto const o = read_boot_options(call_with({{"topology", "cxl-2llc"}}));
    REQUIRE(o);
    CHECK(o->memory->raw == 768 * MiB);
    CHECK_FALSE(read_boot_options(call_with({{"topology", "cxl-2llc"}, {"memory", "1G"}})));
    auto const own = read_boot_options(
        call_with({{"topology", "2n2l1c1t"}, {"node-memory", "256M,512M"}, {"distances", "10,30;30,10"}}));
    REQUIRE(own);
    CHECK(own->memory->raw == 768 * MiB);
}

TEST_CASE("boot_options: what is wrong is named with its option and a remedy") {
    struct row {
        std::initializer_list<std::pair<std::string, std::string>> options;
        char const* what;
        char const* where;
    };
    row const rows[] = {
        {{{"topology", "2n3l1c1t"}}, "does not divide", "option --topology"},
        {{{"topology", "1n0l1c1t"}}, "has zero llcs", "option --topology"},
        {{{"topology", "1n1l253c1t"}}, "has 253 CPUs; 252 are possible", "option --topology"},
        {{{"topology", "1n999999999l999999999c999999999t"}}, "far too many CPUs", "option --topology"},
        {{{"topology", "tiny-1lcl"}}, "neither a preset nor", "option --topology"},
        {{{"topology", ""}}, "neither a preset nor", "option --topology"},
        {{{"memory", "512"}}, "is not a size", "option --memory"},
        {{{"memory", "1M"}}, "is out of range", "option --memory"},
        {{{"memory", "33554433B"}}, "not a multiple of 4096", "option --memory"},
        {{{"machine", "hots"}}, "'hots' is not a value of --machine", "option --machine"},
        {{{"kaslr", "yes"}}, "is not a value", "option --kaslr"},
        {{{"timeout", "10"}}, "is not a time", "option --timeout"},
        {{{"timeout", "0s"}}, "is zero", "option --timeout"},
        {{{"include", "/nowhere/at/all"}}, "cannot read", "option --include"},
        {{{"include", "/proc/self/exe:bin/me"}}, "not an absolute path", "option --include"},
        {{{"include", "/tmp"}}, "not a regular file", "option --include"},
        {{{"initramfs", "/nowhere"}}, "cannot read", "option --initramfs"},
        {{{"cmdline", "a\nb"}}, "line break", "option --cmdline"},
        {{{"kernel", ""}}, "empty", "option --kernel"},
        {{{"node-memory", "1X"}}, "not a list of sizes", "option --node-memory"},
        {{{"distances", "10,20"}}, "not a matrix", "option --distances"},
        {{{"topology", "2n2l1c1t"}, {"node-memory", "256M"}}, "not possible", "option --node-memory"},
    };
    for (auto const& r : rows) {
        CAPTURE(r.what);
        auto const o = read_boot_options(call_with(r.options));
        REQUIRE_FALSE(o);
        CHECK(o.error().code == exit_code::bad_input);
        CHECK(o.error().what.find(r.what) != std::string::npos);
        CHECK(o.error().where == r.where);
        CHECK_FALSE(o.error().remedy.empty());
    }
    CHECK(read_boot_options(call_with({{"topology", "tiny-1lcl"}})).error().remedy == "did you mean 'tiny-1llc'?");
    CHECK(read_boot_options(call_with({{"machine", "hots"}})).error().remedy == "did you mean 'host'?");
}

TEST_CASE("boot_options: who names a lab wants it") {
    CHECK(read_boot_options(call_with({{"lab", "l1"}}))->machine == machine_wish::lab);
    CHECK(read_boot_options(call_with({{"lab", "l1"}, {"machine", "lab"}}))->machine == machine_wish::lab);
    auto const both = read_boot_options(call_with({{"lab", "l1"}, {"machine", "host"}}));
    REQUIRE_FALSE(both);
    CHECK(both.error().where == "option --lab");
}

TEST_CASE("boot_options: numbers") {
    CHECK(read_number("seed", "12", 0, 20) == 12);
    CHECK(read_number("seed", "x", 0, 20).error().what == "'x' is not a whole number");
    CHECK(read_number("seed", "1x", 0, 20).error().code == exit_code::bad_input);
    CHECK(read_number("workers", "0", 1, 20).error().what == "0 is out of range");
    CHECK(read_number("seed", "99999999999999999999", 0, ~std::uint64_t{0}).error().code == exit_code::bad_input);
}
