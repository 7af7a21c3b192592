// SPDX-License-Identifier: Apache-2.0
#include "ktstr/store/apt_sources.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace ktstr;

namespace {
constexpr std::string_view deb822 = "Types: deb\n"
                                    "# a comment\n"
                                    "URIs: http://mirror.example/debian\n"
                                    "Suites: bookworm bookworm-updates\n"
                                    "Components: main\n"
                                    "Signed-By: /keys/debian.gpg\n\n"
                                    "Types: deb deb-src\n"
                                    "URIs: http://security.example/debian-security\n"
                                    "Suites: bookworm-security\n"
                                    "Components: main\n"
                                    "Signed-By:\n"
                                    " -----BEGIN PGP PUBLIC KEY BLOCK-----\n"
                                    " .\n"
                                    " key\n\n"
                                    "Types: deb\nEnabled: no\nURIs: http://off.example/\nSuites: trixie\n\n"
                                    "Types: deb-src\nURIs: http://source.example/\nSuites: trixie\n\n";
} // namespace

TEST_CASE("apt_sources: both formats") {
    auto const all = parse_apt_sources(deb822);
    REQUIRE(all.size() == 2);
    CHECK(all[0].uri == "http://mirror.example/debian");
    CHECK(all[0].suites == std::vector<std::string>{"bookworm", "bookworm-updates"});
    CHECK(all[0].signed_by == "/keys/debian.gpg");
    CHECK(all[1].signed_by == "\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n.\nkey");

    auto const lines = parse_apt_list("# deb http://no.example x main\n"
                                      "deb [ arch=amd64 signed-by=/k.gpg ] http://m.example/debian bookworm main # c\n"
                                      "deb http://m2.example/debian trixie main contrib\n"
                                      "deb-src http://m3.example trixie main\n"
                                      "deb [broken http://m4.example trixie main\n"
                                      "deb\ndeb x\n");
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].uri == "http://m.example/debian");
    CHECK(lines[0].suites == std::vector<std::string>{"bookworm"});
    CHECK(lines[0].signed_by == "/k.gpg");
    CHECK(lines[1].uri == "http://m2.example/debian");
    CHECK(lines[1].signed_by.empty());
}

TEST_CASE("apt_sources: the private file has the machine's mirrors and keys and our suites") {
    auto const machine = parse_apt_sources(deb822);
    auto const text = private_sources(machine, suites_for_series("6.12"));
    CHECK(text == "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie trixie-updates bookworm-backports\n"
                  "Components: main\nSigned-By: /keys/debian.gpg\n\n"
                  "Types: deb\nURIs: http://security.example/debian-security\nSuites: trixie-security bookworm-security\n"
                  "Components: main\nSigned-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n key\n\n");
    // What we write can be read again.
    auto const again = parse_apt_sources(text);
    REQUIRE(again.size() == 2);
    CHECK(again[1].signed_by == machine[1].signed_by);
}

TEST_CASE("apt_sources: other distributions and missing mirrors") {
    auto const foreign = parse_apt_list("deb http://archive.example/ubuntu jammy main\n"
                                        "deb http://packages.example/apt cloud-sdk-bookworm main\n");
    CHECK(private_sources(foreign, suites_for_series("7.3")).empty());
    auto const no_security = parse_apt_list("deb http://m.example/debian trixie main\n");
    auto const text = private_sources(no_security, suites_for_series("6.1"));
    CHECK(text.find("Suites: bookworm bookworm-updates\n") != std::string::npos);
    CHECK(text.find("security") == std::string::npos);
    CHECK(suites_for_series("9.9").size() == 8);
    CHECK(suites_for_series("7.3") == std::vector<std::string>{"trixie-backports"});
}
