// SPDX-License-Identifier: Apache-2.0
/// \file
/// Who the guest's CPU says it is: vendor, family and model, brand, and the features that only one vendor has.
///
/// A family is kept when kernels derive topology from the leaves we fill. AMD families before 0x17, and Zen 1 (0x17
/// models below 0x20), have the LLC hard-wired in Linux (arch/x86/kernel/cpu/cacheinfo.c:cacheinfo_amd_init_llc_id),
/// so those become a family 0x19 part. Such a made-up part says that it lacks the flaws that kernels work around on the
/// real one: the CPU below is another.
#pragma once

#include "ktstr/arch/x86_64/cpuid_table.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ktstr {

/// Whose CPUID a guest sees. `host` = the vendor of the host's CPU.
enum class cpu_vendor : std::uint8_t { host, intel, amd };

/// Reads "host", "intel" or "amd"; nothing for another text.
[[nodiscard]] constexpr std::optional<cpu_vendor> parse_cpu_vendor(std::string_view text) noexcept {
    if (text == "host")
        return cpu_vendor::host;
    if (text == "intel")
        return cpu_vendor::intel;
    if (text == "amd")
        return cpu_vendor::amd;
    return std::nullopt;
}

/// The text that `parse_cpu_vendor` reads.
[[nodiscard]] constexpr std::string_view name_of(cpu_vendor vendor) noexcept {
    switch (vendor) {
    case cpu_vendor::host: return "host";
    case cpu_vendor::intel: return "intel";
    case cpu_vendor::amd: return "amd";
    }
    return "unknown";
}

namespace detail {

inline constexpr std::string_view intel_name = "GenuineIntel";
inline constexpr std::string_view amd_name = "AuthenticAMD";

/// CPUID.1:EAX of the parts we make up: Sapphire Rapids (6, 0x8f, 8) and Milan (0x19, 1, 1).
inline constexpr std::uint32_t intel_signature = 0x000806f8;
inline constexpr std::uint32_t amd_signature = 0x00a00f11;

struct cpu_signature {
    std::uint32_t family;
    std::uint32_t model;
};

[[nodiscard]] constexpr cpu_signature decode_signature(std::uint32_t eax) noexcept {
    auto const base = eax >> 8 & 0xf;
    auto const family = base == 0xf ? base + (eax >> 20 & 0xff) : base;
    auto const model = (eax >> 4 & 0xf) | (base == 0xf || base == 6 ? eax >> 12 & 0xf0 : 0);
    return {family, model};
}

/// The vendor of the host's leaf 0. Others than the two have `cpu_vendor::host`: "neither".
[[nodiscard]] constexpr cpu_vendor vendor_of(cpuid_entry const& leaf0) noexcept {
    auto const name = cpuid_vendor_of(leaf0);
    std::string_view const text(name.data(), name.size());
    return text == intel_name ? cpu_vendor::intel : text == amd_name ? cpu_vendor::amd : cpu_vendor::host;
}

/// Whether kernels take the topology of this part from the leaves we fill.
[[nodiscard]] constexpr bool signature_is_usable(cpu_vendor vendor, std::uint32_t eax) noexcept {
    auto const [family, model] = decode_signature(eax);
    if (vendor == cpu_vendor::intel)
        return family == 6 || family >= 18;
    return family >= 0x19 || (family == 0x17 && model >= 0x20);
}

/// Writes the vendor string into leaf 0 or 0x80000000.
constexpr void put_vendor(cpuid_entry& leaf, cpu_vendor vendor) noexcept {
    auto const name = vendor == cpu_vendor::intel ? intel_name : amd_name;
    leaf.ebx = cpuid_chars(name.substr(0, 4));
    leaf.edx = cpuid_chars(name.substr(4, 4));
    leaf.ecx = cpuid_chars(name.substr(8, 4));
}

/// Replaces the brand string.
constexpr void put_brand(cpuid_table& table, cpu_vendor vendor) {
    std::array<char, 48> brand{};
    std::string_view const text = vendor == cpu_vendor::intel ? "ktstr virtual CPU (Intel)" : "ktstr virtual CPU (AMD)";
    for (std::size_t i = 0; i < text.size(); ++i)
        brand[i] = text[i];
    auto const word = [&](std::size_t at) { return cpuid_chars({&brand[at], 4}); };
    for (std::uint32_t leaf = 0; leaf < 3; ++leaf)
        table.set(0x80000002 + leaf, {word(leaf * 16), word(leaf * 16 + 4), word(leaf * 16 + 8), word(leaf * 16 + 12)});
}

/// Makes the features those of `vendor`. `made_up` = the signature is not the host's own.
constexpr void put_vendor_features(cpuid_table& table, cpu_vendor vendor, bool made_up, bool host_is_zen) {
    auto& extended = table.get(0x80000001);
    if (vendor == cpu_vendor::intel) {
        extended.eax = 0;
        extended.ebx = 0;
        extended.ecx &= 1U << 0 | 1U << 5 | 1U << 8;                           // LAHF, LZCNT, PREFETCHW
        extended.edx &= 1U << 11 | 1U << 20 | 1U << 26 | 1U << 27 | 1U << 29;  // SYSCALL, NX, 1 GiB pages, RDTSCP, LM
        table.set(2, {0x00feff01, 0, 0, 0}); // one round; caches: see leaf 4; TLBs: see leaf 0x18
        return;
    }
    auto const signature = table.get(1).eax;
    auto const common = table.get(1).edx;
    auto& amd = table.get(0x80000001); // the reference above may have moved
    amd.eax = signature;
    amd.ebx = 0;
    amd.edx |= common & 0x0183f3ff;                 // AMD repeats the bits of leaf 1
    amd.ecx |= 1U << 22;                            // topology extensions: 0x8000001D and 0x8000001E count
    amd.ecx &= ~(1U << 23 | 1U << 24 | 1U << 28);   // no performance counters
    if (auto* structured = table.find(7))
        structured->edx &= ~(1U << 29); // IA32_ARCH_CAPABILITIES is Intel's
    table.drop(2);
    table.drop(4);
    if (made_up && !host_is_zen) {
        auto& flaws = table.get(0x80000021);
        flaws.eax |= 1U << 29;          // SRSO_NO
        flaws.ecx |= 1U << 1 | 1U << 2; // TSA_SQ_NO, TSA_L1_NO
        table.get(0x80000008).ebx |= 1U << 29; // BTC_NO
    }
}

} // namespace detail
} // namespace ktstr
