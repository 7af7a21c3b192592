// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a Linux kernel concludes from CPUID: own re-statement of the rules of two kernel generations, for tests.
///
/// "Old" is 6.1 to 6.8 (arch/x86/kernel/cpu/{topology,amd,cacheinfo}.c), "new" is 6.9 and later (topology_ext.c,
/// topology_amd.c, cacheinfo.c). Only what reaches sysfs is modelled.
#pragma once

#include "ktstr/arch/x86_64/cpuid.hpp"

#include <bit>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

namespace ktstr::test {

enum class kernel_age { old, recent };

/// Answers CPUID like KVM does.
class guest_cpuid {
public:
    explicit guest_cpuid(std::vector<cpuid_entry> entries) : entries_(std::move(entries)) {}
    cpuid_regs operator()(std::uint32_t function, std::uint32_t index = 0) const {
        for (auto const& each : entries_)
            if (each.function == function && ((each.flags & 1) == 0 || each.index == index))
                return {each.eax, each.ebx, each.ecx, each.edx};
        if (function == 0xb || function == 0x1f)
            for (auto const& each : entries_)
                if (each.function == function && each.index == 1)
                    return {0, 0, index & 0xff, each.edx};
        return {};
    }
    std::vector<cpuid_entry> const& entries() const { return entries_; }

private:
    std::vector<cpuid_entry> entries_;
};

/// What the kernel keeps for one CPU.
struct linux_cpu {
    std::uint32_t apic = 0;
    std::uint32_t package = 0;
    std::uint32_t core = 0; ///< core_id of sysfs: unique in its package
    std::uint32_t smt_width = 0;
    std::uint32_t smt_count = 0;
    std::uint32_t core_level = 0; ///< CPUs at the level of type "core"
    bool groups = false;          ///< the kernel looks for neighbours at all (has_mp of smpboot.c)
    std::uint32_t llc = 0;
    std::uint32_t l2_first = 0; ///< ids in [first, last] share the L2
    std::uint32_t l2_last = 0;
    unsigned caches = 0;
};

inline unsigned count_order(std::uint32_t n) { return n <= 1 ? 0 : static_cast<unsigned>(std::bit_width(n - 1)); }

inline std::uint32_t family_of(guest_cpuid const& cpuid) { return detail::decode_signature(cpuid(1).eax).family; }
inline std::uint32_t model_of(guest_cpuid const& cpuid) { return detail::decode_signature(cpuid(1).eax).model; }

/// The subleaves of one extended topology leaf: (shift, count) of threads, and the widest shift = package.
inline bool parse_levels(guest_cpuid const& cpuid, std::uint32_t leaf, linux_cpu& out, unsigned& package_shift) {
    std::uint32_t index = 0;
    for (;; ++index) {
        auto const level = cpuid(leaf, index);
        auto const type = level.ecx >> 8 & 0xff;
        if ((level.ebx & 0xffff) == 0 || type == 0)
            break;
        if ((level.ecx & 0xff) != index)
            throw std::runtime_error("subleaf number is not echoed");
        if (index == 0) {
            if (type != 1)
                return false;
            out.apic = level.edx;
            out.smt_width = level.eax & 0x1f;
            out.smt_count = level.ebx & 0xffff;
        } else if (out.apic != level.edx) {
            throw std::runtime_error("APIC id mismatch between subleaves");
        }
        if (type == 2)
            out.core_level = level.ebx & 0xffff;
        package_shift = level.eax & 0x1f;
    }
    return index > 0;
}

inline linux_cpu linux_parse(guest_cpuid const& cpuid, kernel_age age) {
    linux_cpu out;
    auto const name = cpuid_vendor_of({.ebx = cpuid(0).ebx, .ecx = cpuid(0).ecx, .edx = cpuid(0).edx});
    bool const amd = name[0] == 'A';
    auto const top = cpuid(0).eax;
    auto const extended_top = cpuid(0x80000000).eax;
    unsigned package_shift = 0;
    bool found = top >= 0x1f && parse_levels(cpuid, 0x1f, out, package_shift);
    if (!found && age == kernel_age::recent && extended_top >= 0x80000026)
        found = parse_levels(cpuid, 0x80000026, out, package_shift);
    if (!found)
        found = top >= 0xb && parse_levels(cpuid, 0xb, out, package_shift);
    if (!found)
        throw std::runtime_error("no extended topology leaf");
    bool const topoext = amd && (cpuid(0x80000001).ecx >> 22 & 1) != 0;
    if (amd) {
        if (!topoext)
            throw std::runtime_error("AMD without topology extensions");
        auto const leaf = cpuid(0x8000001e);
        if (leaf.eax != out.apic)
            throw std::runtime_error("0x8000001E disagrees about the id");
        if ((leaf.ebx >> 8 & 0xff) + 1 != out.smt_count)
            throw std::runtime_error("0x8000001E disagrees about threads");
    }
    // Until 6.8 a CPU whose "core" level has one core, and no siblings, is alone, whatever its package holds.
    out.groups = age == kernel_age::recent || out.smt_count > 1 || out.core_level / out.smt_count > 1;
    out.package = out.apic >> package_shift;
    out.core = (out.apic & ((1U << package_shift) - 1)) >> out.smt_width;

    auto const cache_leaf = amd ? 0x8000001dU : 4U;
    for (std::uint32_t index = 0;; ++index) {
        auto const cache = cpuid(cache_leaf, index);
        if ((cache.eax & 0x1f) == 0)
            break;
        ++out.caches;
        auto const level = cache.eax >> 5 & 7;
        auto const sharing = (cache.eax >> 14 & 0xfff) + 1;
        auto const order = count_order(sharing);
        if (level == 3)
            out.llc = out.apic >> order;
        if (level == 2) {
            out.l2_first = amd ? out.apic - out.apic % sharing : out.apic >> order << order;
            out.l2_last = out.l2_first + (amd ? sharing : 1U << order) - 1;
        }
    }
    if (amd) {
        if (cpuid(0x80000006).edx == 0)
            throw std::runtime_error("no L3 in 0x80000006");
        if (family_of(cpuid) < 0x17)
            out.llc = cpuid(0x8000001e).ecx & 0xff;
        else if (family_of(cpuid) == 0x17 && model_of(cpuid) <= 0x1f)
            out.llc = out.apic >> 3;
    }
    return out;
}

} // namespace ktstr::test
