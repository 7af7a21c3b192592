// SPDX-License-Identifier: Apache-2.0
/// \file
/// Where the copies of a per-CPU variable lie: its symbol names none of them.
///
/// Source: linux 6.12 include/asm-generic/percpu.h (per_cpu_offset), arch/x86/kernel/setup_percpu.c. The same sum holds for
/// both kinds of kernels: those whose symbols are offsets (x86_64 before 6.15) and those whose symbols lie in a template
/// inside the image.
#pragma once

#include "ktstr/arch/x86_64/paging.hpp"
#include "ktstr/base/endian.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/introspect/symbols/source.hpp"
#include "ktstr/introspect/virtual_memory.hpp"
#include "ktstr/mem/guest_memory.hpp"

#include <cstdint>

namespace ktstr {

/// Whether `what`, a symbol of `symbols`, is a per-CPU variable: nothing that anybody uses lies at its own address.
template <SymbolSource S>
[[nodiscard]] bool is_per_cpu(S const& symbols, symbol const& what) noexcept {
    auto const start = symbols.find("__per_cpu_start");
    auto const end = symbols.find("__per_cpu_end");
    return start && end && what.address >= start->address && what.address < end->address;
}

/// Where CPU `cpu` of the running guest has its copy of the per-CPU variable `what`. `symbols` have the addresses of the
/// running kernel (`slid_symbols`). `errc::not_found` at "per_cpu.offsets" for a kernel without __per_cpu_offset (one CPU
/// only), `errc::out_of_range` at "per_cpu.cpu" for a CPU beyond what any kernel has, `errc::busy` at "per_cpu.early" when
/// the entry is 0, because the kernel has not made its copies yet, and the errors of `translate`. Whether the guest has that
/// CPU is not checked: the entry of one it lacks leads to the template (kernels before 6.15) or nowhere.
template <SymbolSource S, GuestMemory M>
[[nodiscard]] result<gva> per_cpu_address(S const& symbols, M const& memory, x86_page_tables const& tables, symbol const& what,
                                          std::uint32_t cpu) noexcept {
    constexpr std::uint32_t most = 8192; // CONFIG_NR_CPUS_RANGE_END of x86_64
    if (cpu >= most)
        return fail(errc::out_of_range, "per_cpu.cpu", cpu);
    auto const offsets = symbols.find("__per_cpu_offset");
    if (!offsets)
        return fail(errc::not_found, "per_cpu.offsets");
    KTSTR_TRY(auto const offset, load_virtual<le64>(memory, tables, offsets->address + std::uint64_t{cpu} * 8));
    if (offset == 0)
        return fail(errc::busy, "per_cpu.early", cpu);
    return what.address + offset;
}

} // namespace ktstr
