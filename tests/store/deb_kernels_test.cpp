// SPDX-License-Identifier: Apache-2.0
#include "ktstr/store/deb_kernels.hpp"
#include "ktstr/store/deb_control.hpp"

#include <doctest/doctest.h>
#include <string>
#include <string_view>

using namespace ktstr;

TEST_CASE("deb_control: stanzas, continued lines, comments, fields without case") {
    auto const all = parse_deb_control("Package: a\nDescription: one\n two\n\tthree\n\n\n# comment\nPackage:b\nnonsense\n:x\n"
                                       "version : 1 \n\n \n");
    REQUIRE(all.size() == 2);
    CHECK(all[0].get("package") == "a");
    CHECK(all[0].get("Description") == "one\ntwo\nthree");
    CHECK(all[0].get("Absent").empty());
    CHECK(all[1].get("Package") == "b");
    CHECK(all[1].get("Version") == "1");
    CHECK(parse_deb_control("").empty());
    CHECK(parse_deb_control(" leading\n").empty());
    auto const words = split_words("  a\tb\nc ");
    CHECK(words == std::vector<std::string_view>{"a", "b", "c"});
}

TEST_CASE("deb_kernels: the series of a version") {
    CHECK(kernel_series("7.3.4-1~bpo13+1") == "7.3");
    CHECK(kernel_series("6.1.176-1") == "6.1");
    CHECK(kernel_series("7.3~rc5-1") == "7.3");
    CHECK(kernel_series("7.3-1") == "7.3");
    CHECK(kernel_series("1:6.12.1-1") == "6.12");
    CHECK(kernel_series("").empty());
}

namespace {
std::string package(std::string_view name, std::string_view version) {
    return "Package: " + std::string(name) + "\nVersion: " + std::string(version) + "\n\n";
}
} // namespace

TEST_CASE("deb_kernels: newest first, cloud first, with the packages that belong together") {
    auto const kernels = find_deb_kernels(parse_deb_control(
        package("linux-image-6.1.0-50-cloud-amd64", "6.1.176-1") + package("linux-image-6.1.0-50-amd64", "6.1.176-1") +
        package("linux-image-6.1.0-50-cloud-amd64", "6.1.176-2") + package("linux-image-6.1.0-9-cloud-amd64", "6.1.27-1") +
        package("linux-image-6.12-amd64", "6.12.9-1") + package("linux-image-6.1.0-50-rt-amd64", "6.1.176-1") +
        package("linux-image-6.1.0-50-cloud-amd64-dbg", "6.1.176-1") + package("linux-image-amd64", "6.1.176-1") +
        package("linux-image-6.1.0-50-cloud-amd64-unsigned", "6.1.176-1") +
        package("linux-image-7.3.4+deb13-cloud-amd64", "7.3.4-1") + package("linux-binary-7.3.4+deb13-cloud-amd64", "7.3.4-1") +
        package("linux-modules-7.3.4+deb13-cloud-amd64", "7.3.4-1") + package("linux-base-7.3.4+deb13-cloud-amd64", "7.3.4-1") +
        package("linux-binary-7.0.13+deb13-cloud-amd64", "7.0.13-1") +
        package("linux-modules-7.0.13+deb13-cloud-amd64", "7.0.13-0") + package("linux-modules-9.9.9+deb13-amd64", "9.9.9-1")));
    REQUIRE(kernels.size() == 5);
    CHECK(kernels[0].release == "7.3.4+deb13-cloud-amd64");
    CHECK(kernels[0].cloud);
    CHECK(kernels[0].has_modules);
    CHECK(kernels[0].packages == std::vector<deb_package>{{"linux-binary-7.3.4+deb13-cloud-amd64", "7.3.4-1"},
                                                          {"linux-modules-7.3.4+deb13-cloud-amd64", "7.3.4-1"},
                                                          {"linux-base-7.3.4+deb13-cloud-amd64", "7.3.4-1"}});
    // Modules of another version than the image are not its modules.
    CHECK(kernels[1].release == "7.0.13+deb13-cloud-amd64");
    CHECK_FALSE(kernels[1].has_modules);
    CHECK(kernels[1].packages.size() == 1);
    CHECK(kernels[2].packages == std::vector<deb_package>{{"linux-image-6.1.0-50-cloud-amd64", "6.1.176-2"}});
    CHECK(kernels[2].has_modules);
    CHECK(kernels[3].release == "6.1.0-50-amd64");
    CHECK_FALSE(kernels[3].cloud);
    CHECK(kernels[4].release == "6.1.0-9-cloud-amd64");
    CHECK(find_deb_kernels({}).empty());
}

TEST_CASE("deb_kernels: of one version the cloud flavour comes first") {
    auto const kernels = find_deb_kernels(parse_deb_control(package("linux-image-6.16.12+deb13-amd64", "6.16.12-1") +
                                                            package("linux-image-6.16.12+deb13-cloud-amd64", "6.16.12-1")));
    REQUIRE(kernels.size() == 2);
    CHECK(kernels[0].cloud);
}
