// SPDX-License-Identifier: Apache-2.0
#include "ktstr/ktstr.hpp"

#include <cstdio>

std::string_view version_seen_by_b();

int main() {
    if (ktstr::library_version != version_seen_by_b()) {
        std::puts("two translation units disagree about the version");
        return 1;
    }
    return 0;
}
