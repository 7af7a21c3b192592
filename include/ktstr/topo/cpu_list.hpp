// SPDX-License-Identifier: Apache-2.0
/// \file
/// A set of CPU or node numbers, and the list form ("0-3,8") that the kernel reads and writes.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ktstr {

/// A set of numbers below `capacity`. A number outside is never in the set, and adding it is a bug of the caller.
class cpu_list {
public:
    static constexpr std::uint32_t capacity = 1024;

    constexpr cpu_list() noexcept = default;
    /// The numbers `[first, last]`.
    [[nodiscard]] static constexpr cpu_list range(std::uint32_t first, std::uint32_t last) noexcept {
        cpu_list out;
        for (auto each = first; each <= last && each < capacity; ++each)
            out.add(each);
        return out;
    }

    constexpr void add(std::uint32_t number) noexcept { words_[number / 64 % words_.size()] |= std::uint64_t{1} << number % 64; }
    [[nodiscard]] constexpr bool has(std::uint32_t number) const noexcept {
        return number < capacity && (words_[number / 64] >> number % 64 & 1) != 0;
    }
    [[nodiscard]] constexpr std::uint32_t count() const noexcept {
        std::uint32_t out = 0;
        for (auto const word : words_)
            out += static_cast<std::uint32_t>(std::popcount(word));
        return out;
    }
    [[nodiscard]] constexpr bool empty() const noexcept { return count() == 0; }
    /// The smallest number of the set that is at least `from`.
    [[nodiscard]] constexpr std::optional<std::uint32_t> next(std::uint32_t from = 0) const noexcept {
        for (auto each = from; each < capacity; ++each)
            if (has(each))
                return each;
        return std::nullopt;
    }
    /// The smallest number that only one of the two sets has.
    [[nodiscard]] constexpr std::optional<std::uint32_t> first_difference(cpu_list const& other) const noexcept {
        for (std::uint32_t i = 0; i < words_.size(); ++i)
            if (auto const odd = words_[i] ^ other.words_[i]; odd != 0)
                return i * 64 + static_cast<std::uint32_t>(std::countr_zero(odd));
        return std::nullopt;
    }
    /// Whether every number of this set is in `other`.
    [[nodiscard]] constexpr bool inside(cpu_list const& other) const noexcept {
        for (std::size_t i = 0; i < words_.size(); ++i)
            if ((words_[i] & ~other.words_[i]) != 0)
                return false;
        return true;
    }
    friend constexpr bool operator==(cpu_list const&, cpu_list const&) noexcept = default;

private:
    std::array<std::uint64_t, capacity / 64> words_{};
};

/// Reads "0-3,8" with an optional newline at the end; an empty list is an empty set. `bad_format` at "cpu_list.text"
/// with the offset of what does not fit (a range that falls included), `out_of_range` there for a number that is too
/// large.
[[nodiscard]] constexpr result<cpu_list> parse_cpu_list(std::string_view text) noexcept {
    constexpr std::string_view where = "cpu_list.text";
    if (text.ends_with('\n'))
        text.remove_suffix(1);
    cpu_list out;
    std::size_t at = 0;
    auto const number = [&]() -> result<std::uint32_t> {
        auto const start = at;
        std::uint32_t value = 0;
        while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
            value = value * 10 + static_cast<std::uint32_t>(text[at] - '0');
            if (value >= cpu_list::capacity)
                return fail(errc::out_of_range, where, start);
            ++at;
        }
        if (at == start)
            return fail(errc::bad_format, where, at);
        return value;
    };
    while (at < text.size()) {
        auto const start = at;
        KTSTR_TRY(auto const first, number());
        auto last = first;
        if (at < text.size() && text[at] == '-') {
            ++at;
            KTSTR_TRY(auto const end, number());
            last = end;
        }
        if (last < first)
            return fail(errc::bad_format, where, start);
        for (auto each = first; each <= last; ++each)
            out.add(each);
        if (at == text.size())
            break;
        if (text[at] != ',' || at + 1 == text.size())
            return fail(errc::bad_format, where, at);
        ++at;
    }
    return out;
}

/// The list form of a set; `parse_cpu_list` reads it back.
[[nodiscard]] inline std::string to_text(cpu_list const& set) {
    std::string out;
    for (auto first = set.next(); first;) {
        auto last = *first;
        while (set.has(last + 1))
            ++last;
        if (!out.empty())
            out += ',';
        out += std::to_string(*first);
        if (last != *first)
            out.append("-").append(std::to_string(last));
        first = set.next(last + 1);
    }
    return out;
}

} // namespace ktstr
