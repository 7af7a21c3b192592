// SPDX-License-Identifier: Apache-2.0
/// \file
/// Conformance suite of the `FileSource` policy: what every model says about paths that are not there.
#pragma once

#include "ktstr/boot/initramfs_files.hpp"

#include <doctest/doctest.h>
#include <string>

namespace ktstr::test {

template <FileSource F>
void file_source_suite(F const& files) {
    static_assert(explain_file_source<F>());
    std::string const nowhere = "/there/is/no/such/path";
    REQUIRE_FALSE(files.look(nowhere));
    CHECK(files.look(nowhere).error().code == errc::not_found);
    CHECK_FALSE(files.target(nowhere));
    CHECK_FALSE(files.read(nowhere));
}

} // namespace ktstr::test
