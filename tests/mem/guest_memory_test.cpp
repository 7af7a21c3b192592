// SPDX-License-Identifier: Apache-2.0
#include "ktstr/mem/guest_memory.hpp"

#include "suites/guest_memory_suite.hpp"

#include <vector>

using namespace ktstr;

TEST_CASE("null_memory: conforms; nothing is mapped, not even for 0 bytes") {
    guest_memory_suite(null_memory{}, gpa{0}, 0);
    CHECK_FALSE(null_memory{}.slice(gpa{0}, 0));
    static_assert(std::is_empty_v<null_memory>);
}

TEST_CASE("buffer_memory: conforms at address 0, at a base, and at the top of the address space") {
    std::vector<std::byte> ram(4096);
    guest_memory_suite(buffer_memory(ram), gpa{0}, ram.size());
    guest_memory_suite(buffer_memory(ram, gpa{0x1'0000'0000}), gpa{0x1'0000'0000}, ram.size());
    buffer_memory const high(ram, gpa{0} + (std::uint64_t{0} - 8192));
    CHECK(high.slice(gpa{0} + (std::uint64_t{0} - 8192), 4096));
    CHECK_FALSE(high.slice(gpa{0} + (std::uint64_t{0} - 4096), 1));
}
