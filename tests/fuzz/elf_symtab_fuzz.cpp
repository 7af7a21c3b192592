// SPDX-License-Identifier: Apache-2.0
// Any bytes as an ELF file with symbols: no more of them than fit, and each can be found again.
#include "ktstr/introspect/symbols/elf_symtab.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace ktstr;
    auto const input = std::as_bytes(std::span(data, size));
    static_cast<void>(section_region(input, ".rodata"));
    auto const table = read_elf_symtab(input);
    if (!table)
        return 0;
    if (table->size() > size / sizeof(elf::sym))
        __builtin_trap();
    table->for_each([&](symbol const& each) {
        auto const found = table->find(each.name);
        if (!found || found->address > each.address || each.name.empty())
            __builtin_trap();
        return true;
    });
    return 0;
}
