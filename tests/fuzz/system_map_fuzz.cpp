// SPDX-License-Identifier: Apache-2.0
// Any text as a System.map: what is accepted has printable types and can be found again.
#include "ktstr/introspect/symbols/system_map.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace ktstr;
    auto const table = read_system_map({reinterpret_cast<char const*>(data), size});
    if (!table)
        return 0;
    if (table->size() == 0 || table->size() > size / 4)
        __builtin_trap();
    table->for_each([&](symbol const& each) {
        auto const found = table->find(each.name);
        if (!found || found->name != each.name || found->address > each.address || each.type <= ' ' || each.type > '~')
            __builtin_trap();
        return true;
    });
    return 0;
}
