// SPDX-License-Identifier: Apache-2.0
/// \file
/// Sizes and times as people write them: 512M, 2s, 250us.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"

#include <charconv>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace ktstr::tool {

namespace detail {
/// The leading whole number of `text` and what follows it.
[[nodiscard]] inline result<std::uint64_t> leading_number(std::string_view text, std::string_view& unit) {
    std::uint64_t number = 0;
    auto const [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem == std::errc::result_out_of_range)
        return fail(errc::out_of_range, "quantity");
    if (problem != std::errc{})
        return fail(errc::bad_format, "quantity");
    unit = text.substr(static_cast<std::size_t>(end - text.data()));
    return number;
}
[[nodiscard]] constexpr result<std::uint64_t> times(std::uint64_t number, std::uint64_t factor, std::uint64_t limit) {
    if (number > limit / factor)
        return fail(errc::out_of_range, "quantity", number);
    return number * factor;
}
} // namespace detail

/// A size with its unit: K, M, G or T (powers of 1024; KiB, MB and the like are accepted), or B for bytes.
/// A bare number is `errc::bad_format`, because nobody knows its unit; above 2^63 - 1 bytes `errc::out_of_range`.
[[nodiscard]] inline result<bytes> parse_size(std::string_view text) {
    std::string_view unit;
    KTSTR_TRY(auto const number, detail::leading_number(text, unit));
    std::uint64_t factor = 0;
    if (unit == "B")
        factor = 1;
    else if (!unit.empty()) {
        auto const rest = unit.substr(1);
        if (rest.empty() || rest == "B" || rest == "iB") {
            switch (unit[0]) {
            case 'k':
            case 'K': factor = KiB; break;
            case 'm':
            case 'M': factor = MiB; break;
            case 'g':
            case 'G': factor = GiB; break;
            case 'T': factor = 1024 * GiB; break;
            default: break;
            }
        }
    }
    if (factor == 0)
        return fail(errc::bad_format, "quantity.size.unit");
    KTSTR_TRY(auto const total, detail::times(number, factor, std::numeric_limits<std::int64_t>::max()));
    return bytes{total};
}

/// A time with its unit: ns, us, ms, s, m (or min) or h. A bare number is `errc::bad_format`.
[[nodiscard]] inline result<nanos> parse_time(std::string_view text) {
    std::string_view unit;
    KTSTR_TRY(auto const number, detail::leading_number(text, unit));
    std::uint64_t factor = 0;
    if (unit == "ns")
        factor = 1;
    else if (unit == "us")
        factor = 1'000;
    else if (unit == "ms")
        factor = 1'000'000;
    else if (unit == "s")
        factor = 1'000'000'000;
    else if (unit == "m" || unit == "min")
        factor = 60'000'000'000;
    else if (unit == "h")
        factor = 3'600'000'000'000;
    if (factor == 0)
        return fail(errc::bad_format, "quantity.time.unit");
    KTSTR_TRY(auto const total, detail::times(number, factor, std::numeric_limits<std::int64_t>::max()));
    return nanos{static_cast<std::int64_t>(total)};
}

/// A size in the largest unit that shows it with at most one decimal: "512M", "1.5G", "17B".
[[nodiscard]] inline std::string size_text(std::uint64_t n) {
    constexpr char letters[] = {'K', 'M', 'G', 'T'};
    if (n < KiB)
        return std::to_string(n) + 'B';
    std::uint64_t unit = KiB;
    unsigned at = 0;
    while (at < 3 && n / unit >= 1024) {
        unit *= 1024;
        ++at;
    }
    auto whole = n / unit;
    auto tenth = (n % unit) * 10 / unit;
    auto out = std::to_string(whole);
    if (tenth != 0) {
        out += '.';
        out += static_cast<char>('0' + tenth);
    }
    return out + letters[at];
}

/// A time with three significant digits and its unit: "2s", "1.25s", "250us", "17ns", "-3ms".
[[nodiscard]] inline std::string time_text(nanos t) {
    struct step {
        std::uint64_t size;
        char const* unit;
    };
    constexpr step steps[] = {{1'000'000'000, "s"}, {1'000'000, "ms"}, {1'000, "us"}};
    auto const negative = t.raw < 0;
    auto const n = negative ? 0 - static_cast<std::uint64_t>(t.raw) : static_cast<std::uint64_t>(t.raw);
    std::string out = negative ? "-" : "";
    for (auto const& s : steps) {
        if (n < s.size)
            continue;
        auto const whole = n / s.size;
        unsigned const digits = whole >= 100 ? 0 : whole >= 10 ? 1 : 2;
        std::uint64_t scale = 1;
        for (unsigned i = 0; i < digits; ++i)
            scale *= 10;
        auto const part = (n % s.size) * scale / s.size;
        out += std::to_string(whole);
        if (part != 0) {
            auto decimals = std::to_string(part);
            decimals.insert(0, digits - decimals.size(), '0');
            while (decimals.back() == '0')
                decimals.pop_back();
            out += '.' + decimals;
        }
        return out + s.unit;
    }
    return out + std::to_string(n) + "ns";
}

} // namespace ktstr::tool
