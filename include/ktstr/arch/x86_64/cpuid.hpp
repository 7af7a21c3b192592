// SPDX-License-Identifier: Apache-2.0
/// \file
/// What CPUID answers on each vCPU: the host's features, our topology, no PMU, and a hypervisor that says so.
#pragma once

#include "ktstr/arch/x86_64/apic_id.hpp"
#include "ktstr/arch/x86_64/cpuid_identity.hpp"
#include "ktstr/arch/x86_64/cpuid_table.hpp"
#include "ktstr/arch/x86_64/cpuid_topology.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/topo/topology.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace ktstr {

/// KVM_FEATURE_MSI_EXT_DEST_ID of leaf 0x40000001 EAX (linux Documentation/virt/kvm/x86/cpuid.rst).
inline constexpr std::uint32_t kvm_feature_msi_ext_dest_id = 1U << 15;

/// Choices about CPUID that the host's features do not settle.
struct cpuid_options {
    cpu_vendor vendor = cpu_vendor::host;
    apic_id_options ids{};
    /// The vCPUs' local APICs have the TSC-deadline timer (KVM_CAP_TSC_DEADLINE_TIMER with an in-kernel APIC).
    bool tsc_deadline = true;
    /// The guest may see VMX or SVM.
    bool nested = false;
    /// MSIs reach ids above 255 (KVM_CAP_X2APIC_API): Linux needs it to start CPUs beyond id 255 without an IOMMU.
    bool extended_destination = false;
    /// Bits to clear in leaf 0x40000001 EAX, KVM's paravirtual features.
    std::uint32_t hidden_kvm_features = 0;
    /// The KVM leaves are there at all; without them a guest has no kvmclock.
    bool kvm_leaves = true;
};

namespace detail {

inline constexpr std::uint32_t kvm_leaf = 0x40000000;
inline constexpr std::uint32_t kvm_feature_clocksource2 = 1U << 3;

/// Features of leaves 1 and 7 that are the machine's business, not the CPU's.
constexpr void put_machine_features(cpuid_table& table, cpu_identity const& id, cpuid_options const& options, bool intel) {
    auto& basic = table.get(1);
    auto const ids = intel ? 1U << std::min(id.fields.package_shift, 8U) : id.per_package();
    auto const clflush = (basic.ebx & 0xff00) != 0 ? basic.ebx & 0xff00 : cache_line / 8 << 8;
    basic.ebx = capped(id.apic & 0xff, 8) << 24 | capped(ids, 8) << 16 | clflush;
    basic.ecx |= 1U << 31 | 1U << 21;                                      // hypervisor, x2APIC
    basic.ecx &= ~(1U << 2 | 1U << 3 | 1U << 4 | 1U << 15 | 1U << 24 | 1U << 27); // debug store, MONITOR, PDCM, TSC deadline, OSXSAVE
    if (options.tsc_deadline)
        basic.ecx |= 1U << 24;
    if (!options.nested)
        basic.ecx &= ~(1U << 5 | 1U << 6); // VMX, SMX
    basic.edx &= ~(1U << 21 | 1U << 28);   // debug store, HTT
    if (id.per_package() > 1)
        basic.edx |= 1U << 28;
    auto& extended = table.get(0x80000001);
    if (!options.nested)
        extended.ecx &= ~(1U << 2); // SVM
    extended.ecx &= ~(1U << 1);
    if (!intel && cpus(id.shape) > 1 && id.per_package() > 1)
        extended.ecx |= 1U << 1; // CmpLegacy
    if (auto* structured = table.find(7)) {
        structured->ebx &= ~(1U << 2 | 1U << 25);  // SGX, processor trace
        structured->edx &= ~(1U << 15 | 1U << 19); // hybrid, architectural LBR
    }
}

/// The leaves in which the vendors describe caches and topology.
constexpr void put_topology(cpuid_table& table, cpu_identity const& id, bool intel) {
    for (auto const leaf : {4U, 0xbU, 0x1fU, 0x8000001dU, 0x8000001eU, 0x80000026U})
        table.zero(leaf);
    table.set_indexed(0xb, leaf_0b(id));
    auto& sizes = table.get(0x80000008);
    if ((sizes.eax & 0xffff) == 0)
        sizes.eax = 48U << 8 | 40U; // virtual and physical address bits of the smallest part in use
    sizes.ecx = 0;
    sizes.edx = 0;
    if (intel) {
        table.set_indexed(4, cache_leaves(id, true));
        table.set_indexed(0x1f, leaf_1f(id));
        table.zero(0x80000005);
        table.set(0x80000006, {0, 0, amd_l2(guest_caches[2]), 0}); // Intel fills ECX alone, in the same layout
        return;
    }
    sizes.ecx = capped(id.per_package() - 1, 8) | capped(id.fields.package_shift, 4) << 12;
    auto& l1 = table.get(0x80000005);
    l1.ecx = amd_l1(guest_caches[0]);
    l1.edx = amd_l1(guest_caches[1]);
    auto& l23 = table.get(0x80000006);
    l23.ecx = amd_l2(guest_caches[2]);
    l23.edx = amd_l3(guest_caches[3]);
    table.set_indexed(0x8000001d, cache_leaves(id, false));
    table.set(0x8000001e, leaf_8000001e(id));
    table.set_indexed(0x80000026, leaf_80000026(id));
}

/// The hypervisor's own leaves. The last one of the host's is kept, Hyper-V's and others' are not.
constexpr void put_kvm(cpuid_table& table, cpuid_options const& options) {
    auto features = cpuid_regs{kvm_feature_clocksource2, 0, 0, 0};
    if (auto const* known = table.find(kvm_leaf + 1))
        features = {known->eax, known->ebx, known->ecx, known->edx};
    table.drop_range(kvm_leaf, kvm_leaf + 0x0fffffff);
    if (!options.kvm_leaves)
        return;
    features.eax &= ~options.hidden_kvm_features;
    features.eax &= ~kvm_feature_msi_ext_dest_id;
    if (options.extended_destination)
        features.eax |= kvm_feature_msi_ext_dest_id;
    table.set(kvm_leaf, {kvm_leaf + 1, cpuid_chars("KVMK"), cpuid_chars("VMKV"), cpuid_chars("M")});
    table.set(kvm_leaf + 1, features);
}

} // namespace detail

/// The CPUID answers of vCPU `cpu` of a machine shaped like `t`, sorted by function and index, from what the host's KVM
/// supports (KVM_GET_SUPPORTED_CPUID). Topology and caches are those of `t` in the words of the vendor; leaves of the
/// other vendor and topology leaves that stay empty are zero; there is no PMU.
/// Errors: `validate`'s for the topology and the ids; `out_of_range` at "cpuid.cpu"; `invalid_argument` at
/// "cpuid.host" (value = the leaf) when the host's list has no leaf 0, 1 or 0x80000000; `unsupported` at "cpuid.vendor" when the host is
/// neither Intel nor AMD and no vendor was chosen.
[[nodiscard]] constexpr result<std::vector<cpuid_entry>> make_cpuid(std::span<cpuid_entry const> host_supported, topology const& t,
                                                                    std::uint32_t cpu, cpuid_options const& options) {
    KTSTR_CHECK(validate(t));
    KTSTR_CHECK(validate(t, options.ids));
    if (cpu >= cpus(t))
        return fail(errc::out_of_range, "cpuid.cpu", cpu);
    cpuid_table table(host_supported);
    for (auto const leaf : {0U, 1U, 0x80000000U})
        if (table.find(leaf) == nullptr)
            return fail(errc::invalid_argument, "cpuid.host", leaf);

    auto const host_vendor = detail::vendor_of(table.get(0));
    auto const vendor = options.vendor == cpu_vendor::host ? host_vendor : options.vendor;
    if (vendor == cpu_vendor::host)
        return fail(errc::unsupported, "cpuid.vendor", table.get(0).ebx);
    bool const intel = vendor == cpu_vendor::intel;

    auto const host_signature = table.get(1).eax;
    bool const made_up = vendor != host_vendor || !detail::signature_is_usable(vendor, host_signature);
    if (made_up) {
        table.get(1).eax = intel ? detail::intel_signature : detail::amd_signature;
        detail::put_brand(table, vendor);
    }
    bool const host_is_zen = host_vendor == cpu_vendor::amd && detail::decode_signature(host_signature).family >= 0x17;
    detail::put_vendor_features(table, vendor, made_up, host_is_zen);

    detail::cpu_identity const id{t, apic_layout_of(t, options.ids), apic_id(t, cpu, options.ids), place_of(t, cpu)};
    detail::put_machine_features(table, id, options, intel);
    detail::put_topology(table, id, intel);
    detail::put_kvm(table, options);

    // Performance counters, tracing, enclaves, and (unless asked for) virtualisation: not there.
    for (auto const leaf : {0x5U, 0xaU, 0x12U, 0x14U, 0x1aU, 0x1cU, 0x23U, 0x8000001bU, 0x8000001fU, 0x80000022U})
        table.zero(leaf);
    if (!options.nested)
        table.zero(0x8000000a);

    auto& basic = table.get(0);
    basic.eax = std::max(basic.eax, intel ? 0x1fU : 0xdU);
    detail::put_vendor(basic, vendor);
    auto& extended = table.get(0x80000000);
    extended.eax = intel ? 0x80000008 : 0x80000026;
    detail::put_vendor(extended, vendor);
    if (intel)
        table.drop_range(0x80000009, 0x8fffffff);
    else
        table.drop_range(0x80000027, 0x8fffffff);
    table.drop_range(0xc0000000, 0xffffffff);
    return std::move(table).take();
}

} // namespace ktstr
