// SPDX-License-Identifier: Apache-2.0
/// \file
/// Orders Debian package versions. Source: Debian Policy 4.6, section 5.6.12.
#pragma once

#include <compare>
#include <cstddef>
#include <string_view>

namespace ktstr {

namespace detail {
[[nodiscard]] constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
/// The weight of a character outside numbers: '~' before the end of the text, letters before everything else.
[[nodiscard]] constexpr int version_weight(std::string_view text, std::size_t at) noexcept {
    if (at >= text.size() || is_digit(text[at]))
        return 0;
    auto const c = text[at];
    if (c == '~')
        return -1;
    auto const letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return static_cast<int>(static_cast<unsigned char>(c)) + (letter ? 0 : 256);
}
/// Compares two upstream versions or two revisions.
[[nodiscard]] constexpr std::strong_ordering compare_version_part(std::string_view a, std::string_view b) noexcept {
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < a.size() || j < b.size()) {
        while ((i < a.size() && !is_digit(a[i])) || (j < b.size() && !is_digit(b[j]))) {
            auto const x = version_weight(a, i);
            auto const y = version_weight(b, j);
            if (x != y)
                return x <=> y;
            ++i;
            ++j;
        }
        while (i < a.size() && a[i] == '0')
            ++i;
        while (j < b.size() && b[j] == '0')
            ++j;
        auto first_difference = std::strong_ordering::equal;
        while (i < a.size() && is_digit(a[i]) && j < b.size() && is_digit(b[j])) {
            if (first_difference == std::strong_ordering::equal)
                first_difference = a[i] <=> b[j];
            ++i;
            ++j;
        }
        if (i < a.size() && is_digit(a[i]))
            return std::strong_ordering::greater;
        if (j < b.size() && is_digit(b[j]))
            return std::strong_ordering::less;
        if (first_difference != std::strong_ordering::equal)
            return first_difference;
    }
    return std::strong_ordering::equal;
}
} // namespace detail

/// A version taken apart: "epoch:upstream-revision".
struct deb_version {
    std::string_view epoch;    ///< Empty means 0.
    std::string_view upstream; ///< "7.3.4".
    std::string_view revision; ///< "1~bpo13+1"; may be empty.

    [[nodiscard]] static constexpr deb_version split(std::string_view text) noexcept {
        deb_version out;
        if (auto const colon = text.find(':'); colon != std::string_view::npos) {
            out.epoch = text.substr(0, colon);
            text.remove_prefix(colon + 1);
        }
        auto const dash = text.rfind('-');
        out.upstream = text.substr(0, dash);
        if (dash != std::string_view::npos)
            out.revision = text.substr(dash + 1);
        return out;
    }
};

/// The order of two package versions, as dpkg sees it. Any text is accepted.
[[nodiscard]] constexpr std::strong_ordering compare_deb_versions(std::string_view a, std::string_view b) noexcept {
    auto const x = deb_version::split(a);
    auto const y = deb_version::split(b);
    if (auto const order = detail::compare_version_part(x.epoch, y.epoch); order != std::strong_ordering::equal)
        return order;
    if (auto const order = detail::compare_version_part(x.upstream, y.upstream); order != std::strong_ordering::equal)
        return order;
    return detail::compare_version_part(x.revision, y.revision);
}

} // namespace ktstr
