// SPDX-License-Identifier: Apache-2.0
/// \file
/// APIC ids: the topology packed into bit fields, as CPUID's topology leaves describe them.
///
///     | package (node) | LLC in its node | core in its LLC | thread in its core | stride bits (0) |
///                      ^ package_shift   ^ llc_shift       ^ core_shift         ^ thread_shift
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/topo/topology.hpp"

#include <bit>
#include <cstdint>

namespace ktstr {

/// Ids from this one up cannot be addressed by an xAPIC (255 is its broadcast): the machine needs x2APIC.
inline constexpr std::uint32_t first_x2apic_id = 255;
/// KVM accepts vCPU ids (= APIC ids) below this (KVM_MAX_VCPU_IDS of linux 5.15 and later; older ones less).
inline constexpr std::uint32_t apic_id_limit = 4096;

/// How ids are spread. A stride of 128 gives four CPUs the ids 0, 128, 256, 384: x2APIC without hundreds of CPUs.
struct apic_id_options {
    std::uint32_t stride = 1; ///< A power of two; every id is a multiple of it.

    friend constexpr bool operator==(apic_id_options const&, apic_id_options const&) noexcept = default;
};

/// Bit positions of the fields in an id; each is the number of bits below the field. A field without a choice has no
/// bits, so neighbours may be equal.
struct apic_layout {
    unsigned thread_shift = 0;
    unsigned core_shift = 0;    ///< Ids equal above this bit are threads of one core.
    unsigned llc_shift = 0;     ///< Ids equal above this bit share one LLC.
    unsigned package_shift = 0; ///< Ids equal above this bit are in one package (node).
    unsigned width = 0;         ///< Bits of the whole id.

    friend constexpr bool operator==(apic_layout const&, apic_layout const&) noexcept = default;
};

/// The fields of a valid topology.
[[nodiscard]] constexpr apic_layout apic_layout_of(topology const& t, apic_id_options const& options = {}) noexcept {
    apic_layout out;
    out.thread_shift = bits_for(options.stride);
    out.core_shift = out.thread_shift + bits_for(t.threads);
    out.llc_shift = out.core_shift + bits_for(t.cores);
    out.package_shift = out.llc_shift + bits_for(llcs_per_node(t));
    out.width = out.package_shift + bits_for(t.nodes);
    return out;
}

/// The APIC id of CPU `cpu` of a valid topology; CPU 0 (the BSP) has id 0 and ids rise with the CPU number.
[[nodiscard]] constexpr std::uint32_t apic_id(topology const& t, std::uint32_t cpu, apic_id_options const& options = {}) noexcept {
    auto const fields = apic_layout_of(t, options);
    auto const at = place_of(t, cpu);
    return (at.node << fields.package_shift) | (at.llc % llcs_per_node(t) << fields.llc_shift) |
           (at.core << fields.core_shift) | (at.thread << fields.thread_shift);
}

/// The largest id of a valid topology.
[[nodiscard]] constexpr std::uint32_t max_apic_id(topology const& t, apic_id_options const& options = {}) noexcept {
    return apic_id(t, cpus(t) - 1, options);
}

/// Whether a valid topology has ids that only an x2APIC can address.
[[nodiscard]] constexpr bool needs_x2apic(topology const& t, apic_id_options const& options = {}) noexcept {
    return max_apic_id(t, options) >= first_x2apic_id;
}

/// Checks that a valid topology gets ids that KVM and the CPUID fields can hold: `invalid_argument` at
/// "apic_id.stride" for a stride that is no power of two, `out_of_range` there when the ids reach `apic_id_limit`;
/// the value is the stride.
[[nodiscard]] constexpr result<> validate(topology const& t, apic_id_options const& options) noexcept {
    if (!std::has_single_bit(options.stride))
        return fail(errc::invalid_argument, "apic_id.stride", options.stride);
    if (apic_layout_of(t, options).width > bits_for(apic_id_limit))
        return fail(errc::out_of_range, "apic_id.stride", options.stride);
    return {};
}

} // namespace ktstr
