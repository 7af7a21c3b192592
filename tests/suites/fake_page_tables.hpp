// SPDX-License-Identifier: Apache-2.0
/// \file
/// Builds x86_64 page tables in a small guest memory, one mapping after the other.
#pragma once

#include "ktstr/arch/x86_64/paging.hpp"
#include "ktstr/mem/guest_memory.hpp"

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace ktstr::test {

/// Guest memory of so many pages from address 0; page 1 is the top table, further tables are taken from page 2 on.
class fake_page_tables {
public:
    explicit fake_page_tables(bool la57 = false, std::size_t pages = 64) : ram_(pages * 4096), la57_(la57) {}

    [[nodiscard]] buffer_memory memory() { return buffer_memory(ram_); }
    [[nodiscard]] x86_page_tables tables() const { return {gpa{0x1000}, la57_}; }
    [[nodiscard]] std::vector<std::byte>& ram() { return ram_; }

    /// Maps one page of `size` (4 KiB, 2 MiB, 1 GiB) with these low bits (present is added); `above` are the bits of the
    /// entries that lead to it.
    void map(gva at, gpa to, std::uint64_t size = 4096, std::uint64_t bits = x86::page_writable,
             std::uint64_t above = x86::page_writable | x86::page_user) {
        auto const stop = size == 4096 ? 1 : size == 2 * MiB ? 2 : 3;
        gpa table{0x1000};
        for (auto level = la57_ ? 5 : 4; level > stop; --level) {
            auto const where = entry_at(table, at, level);
            auto entry = load_guest<le64>(memory(), where).value().get();
            if ((entry & x86::page_present) == 0) {
                if ((next_ + 1) * 4096 > ram_.size())
                    throw std::runtime_error("no page left for a table");
                entry = next_++ * 4096 | above | x86::page_present;
                store(where, entry);
            }
            table = gpa{entry & x86::page_address};
        }
        store(entry_at(table, at, stop), to.raw | bits | x86::page_present | (stop > 1 ? x86::page_large : 0));
    }
    /// Overwrites the entry for `at` at `level` of the tables that are there.
    void set(gva at, int wanted, std::uint64_t entry) {
        gpa table{0x1000};
        for (auto level = la57_ ? 5 : 4; level > wanted; --level)
            table = gpa{load_guest<le64>(memory(), entry_at(table, at, level)).value().get() & x86::page_address};
        store(entry_at(table, at, wanted), entry);
    }

private:
    static gpa entry_at(gpa table, gva at, int level) { return table + (at.raw >> (12 + 9 * (level - 1)) & 511) * 8; }
    void store(gpa at, std::uint64_t entry) {
        if (!store_guest(memory(), at, le64(entry)))
            throw std::runtime_error("an entry outside memory");
    }

    std::vector<std::byte> ram_;
    std::uint64_t next_ = 2;
    bool la57_;
};

} // namespace ktstr::test
