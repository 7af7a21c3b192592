// SPDX-License-Identifier: Apache-2.0
#include "ktstr/ktstr.hpp"

std::string_view version_seen_by_b();

std::string_view version_seen_by_b() {
    return ktstr::library_version;
}
