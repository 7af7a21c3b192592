// SPDX-License-Identifier: Apache-2.0
// Any bytes as the memory of a guest with page tables in it: walks end, and a range says of each page what a single
// translation says.
#include "ktstr/arch/x86_64/paging.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace ktstr;
    if (size <= 24)
        return 0;
    std::uint64_t at = 0;
    std::uint64_t length = 0;
    std::uint64_t control = 0;
    std::memcpy(&at, data, 8);
    std::memcpy(&length, data + 8, 8);
    std::memcpy(&control, data + 16, 8);
    std::vector<std::byte> ram(size - 24);
    std::memcpy(ram.data(), data + 24, ram.size());
    buffer_memory const memory(ram);
    x86_page_tables const tables{gpa{control & 0xf000}, (control & 1) != 0};
    static_cast<void>(translate(memory, tables, gva{at}));
    std::uint64_t last = 0;
    bool any = false;
    static_cast<void>(walk_range(memory, tables, gva{at}, length, [&](x86_mapped_run const& run) {
        if (run.size == 0 || run.start.raw < at || run.size - 1 > length - 1 - (run.start.raw - at) || (any && run.start.raw <= last))
            __builtin_trap();
        last = run.start.raw + (run.size - 1);
        any = true;
        for (auto const where : {run.start, gva{last}}) {
            auto const one = translate(memory, tables, where);
            if (!one || one->address != run.address + (where - run.start) || one->writable != run.writable ||
                one->user != run.user || one->executable != run.executable)
                __builtin_trap();
        }
        return true;
    }, 20'000));
    return 0;
}
