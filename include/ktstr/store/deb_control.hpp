// SPDX-License-Identifier: Apache-2.0
/// \file
/// Reads Debian control data: stanzas of "Field: value" lines, as apt prints them and deb822 sources are written.
///
/// Source: deb822(5). Field names compare without case; lines that start with a blank continue the field before; lines
/// that start with '#' are comments. Any input is fine: what cannot be a field is skipped.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktstr {

/// One stanza. A value keeps its continuation lines, joined by newlines, without their first blank.
struct deb_stanza {
    std::vector<std::pair<std::string, std::string>> fields; ///< In order.

    /// The value of field `name`; empty when it is not there.
    [[nodiscard]] std::string_view get(std::string_view name) const noexcept {
        auto const lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
        for (auto const& [key, value] : fields) {
            if (key.size() != name.size())
                continue;
            std::size_t i = 0;
            while (i < key.size() && lower(key[i]) == lower(name[i]))
                ++i;
            if (i == key.size())
                return value;
        }
        return {};
    }
};

/// All stanzas of `text`, without empty ones.
[[nodiscard]] inline std::vector<deb_stanza> parse_deb_control(std::string_view text) {
    std::vector<deb_stanza> out;
    deb_stanza now;
    auto const trimmed = [](std::string_view s) {
        constexpr std::string_view blank = " \t\r";
        auto const first = s.find_first_not_of(blank);
        return first == std::string_view::npos ? std::string_view{} : s.substr(first, s.find_last_not_of(blank) - first + 1);
    };
    auto const finish = [&] {
        if (!now.fields.empty())
            out.push_back(std::exchange(now, {}));
    };
    while (!text.empty()) {
        auto const end = text.find('\n');
        auto const line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.starts_with('#'))
            continue;
        auto const content = trimmed(line);
        if (content.empty()) {
            finish();
        } else if (line[0] == ' ' || line[0] == '\t') {
            if (!now.fields.empty())
                now.fields.back().second.append("\n").append(content);
        } else if (auto const colon = line.find(':'); colon != std::string_view::npos && colon != 0) {
            now.fields.emplace_back(trimmed(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
        }
    }
    finish();
    return out;
}

/// The words of `text`, which blanks and newlines part.
[[nodiscard]] inline std::vector<std::string_view> split_words(std::string_view text) {
    std::vector<std::string_view> out;
    constexpr std::string_view blank = " \t\r\n";
    for (auto at = text.find_first_not_of(blank); at != std::string_view::npos; at = text.find_first_not_of(blank, at)) {
        auto const end = text.find_first_of(blank, at);
        out.push_back(text.substr(at, end == std::string_view::npos ? end : end - at));
        if (end == std::string_view::npos)
            break;
        at = end;
    }
    return out;
}

} // namespace ktstr
