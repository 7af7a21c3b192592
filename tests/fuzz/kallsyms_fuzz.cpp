// SPDX-License-Identifier: Apache-2.0
// Any bytes as a piece of a kernel image: tables that are found lie inside it, and the ways to read them agree.
#include "ktstr/introspect/symbols/kallsyms.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace ktstr;
    auto const input = std::as_bytes(std::span(data, size));
    static_cast<void>(decode_kallsyms(input)); // as an ELF file
    image_region const region{gva{0xffffffff82000000}, input};
    auto const tables = locate_kallsyms(std::span(&region, 1), gva{0xffffffff81000000});
    if (!tables)
        return 0;
    auto const table = decode_kallsyms(*tables);
    if (!table || table->size() > tables->count)
        __builtin_trap();
    std::uint64_t last = 0;
    table->for_each([&](symbol const& each) {
        if (each.address.raw < last || each.name.empty())
            __builtin_trap();
        last = each.address.raw;
        return true;
    });
    if (table->size() == 0)
        return 0;
    auto const first = table->at(0);
    auto const by_name = table->find(first.name);
    if (!by_name || by_name->address != first.address || !table->nearest(first.address))
        __builtin_trap();
    static_cast<void>(find_kallsyms(*tables, first.name));
    return 0;
}
