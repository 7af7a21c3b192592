// SPDX-License-Identifier: Apache-2.0
/// \file
/// The CPUID answers of one vCPU as plain values, and the table in which they are put together.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace ktstr {

/// One CPUID answer. The same fields as KVM's `kvm_cpuid_entry2` without its padding.
struct cpuid_entry {
    std::uint32_t function = 0;
    std::uint32_t index = 0;
    std::uint32_t flags = 0; ///< Bit 0: `index` (ECX on input) selects the answer.
    std::uint32_t eax = 0;
    std::uint32_t ebx = 0;
    std::uint32_t ecx = 0;
    std::uint32_t edx = 0;

    friend constexpr bool operator==(cpuid_entry const&, cpuid_entry const&) noexcept = default;
};

/// `cpuid_entry::flags`: the index is significant (KVM_CPUID_FLAG_SIGNIFCANT_INDEX).
inline constexpr std::uint32_t cpuid_index_significant = 1;

/// The four registers of an answer.
struct cpuid_regs {
    std::uint32_t eax = 0;
    std::uint32_t ebx = 0;
    std::uint32_t ecx = 0;
    std::uint32_t edx = 0;
    friend constexpr bool operator==(cpuid_regs const&, cpuid_regs const&) noexcept = default;
};

/// Answers under change. Entries are unique by (function, index); the order is that of `take`.
class cpuid_table {
public:
    constexpr explicit cpuid_table(std::span<cpuid_entry const> from) : entries_(from.begin(), from.end()) {}

    /// The answer for (function, index), or null. The index of a leaf without significant index is 0.
    [[nodiscard]] constexpr cpuid_entry* find(std::uint32_t function, std::uint32_t index = 0) noexcept {
        for (auto& each : entries_)
            if (each.function == function && (each.index == index || (each.flags & cpuid_index_significant) == 0))
                return &each;
        return nullptr;
    }
    /// The answer for `function` index 0, made of zeros when there is none. Invalidated by the next change.
    [[nodiscard]] constexpr cpuid_entry& get(std::uint32_t function) {
        if (auto* known = find(function))
            return *known;
        entries_.push_back({.function = function});
        return entries_.back();
    }
    /// Replaces all answers for `function` by one that no index selects.
    constexpr void set(std::uint32_t function, cpuid_regs const& regs) {
        drop(function);
        entries_.push_back({function, 0, 0, regs.eax, regs.ebx, regs.ecx, regs.edx});
    }
    /// Replaces all answers for `function` by these, for indexes 0, 1, ...
    constexpr void set_indexed(std::uint32_t function, std::span<cpuid_regs const> answers) {
        drop(function);
        for (std::uint32_t i = 0; i < answers.size(); ++i)
            entries_.push_back({function, i, cpuid_index_significant, answers[i].eax, answers[i].ebx, answers[i].ecx, answers[i].edx});
    }
    /// Answers `function` with zeros for every index.
    constexpr void zero(std::uint32_t function) { set(function, {}); }
    /// Removes all answers for `function`.
    constexpr void drop(std::uint32_t function) {
        std::erase_if(entries_, [function](cpuid_entry const& each) { return each.function == function; });
    }
    /// Removes all answers for functions in `[first, last]`.
    constexpr void drop_range(std::uint32_t first, std::uint32_t last) {
        std::erase_if(entries_,
                      [=](cpuid_entry const& each) { return each.function >= first && each.function <= last; });
    }
    /// The answers, sorted by function and index.
    [[nodiscard]] constexpr std::vector<cpuid_entry> take() && {
        std::sort(entries_.begin(), entries_.end(), [](cpuid_entry const& a, cpuid_entry const& b) {
            return a.function != b.function ? a.function < b.function : a.index < b.index;
        });
        return std::move(entries_);
    }

private:
    std::vector<cpuid_entry> entries_;
};

/// Four characters as CPUID puts them into a register.
[[nodiscard]] constexpr std::uint32_t cpuid_chars(std::string_view text) noexcept {
    std::uint32_t out = 0;
    for (std::uint32_t i = 0; i < 4 && i < text.size(); ++i)
        out |= std::uint32_t{static_cast<unsigned char>(text[i])} << (8 * i);
    return out;
}

/// The vendor string that leaf 0 spells in EBX, EDX, ECX.
[[nodiscard]] constexpr std::array<char, 12> cpuid_vendor_of(cpuid_entry const& leaf) noexcept {
    std::array<char, 12> out{};
    std::size_t at = 0;
    for (auto const word : {leaf.ebx, leaf.edx, leaf.ecx})
        for (unsigned i = 0; i < 4; ++i)
            out[at++] = static_cast<char>(word >> (8 * i) & 0xff);
    return out;
}

} // namespace ktstr
