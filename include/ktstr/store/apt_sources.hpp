// SPDX-License-Identifier: Apache-2.0
/// \file
/// Where this machine gets Debian packages from, and what a private apt must be told to get kernels from there.
///
/// Source: sources.list(5), both formats.
#pragma once

#include "ktstr/store/deb_control.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktstr {

/// An archive of binary packages that the machine uses.
struct apt_source {
    std::string uri;
    std::vector<std::string> suites; ///< "bookworm", "bookworm-updates".
    std::string signed_by;           ///< Path of a keyring, or a whole key; empty: apt's trusted keys.
};

/// The releases of Debian whose kernels we know to look for, newest first.
inline constexpr std::array<std::string_view, 2> debian_releases{"trixie", "bookworm"};

namespace detail {
/// Whether `suite` belongs to Debian, by name: other distributions use other names.
[[nodiscard]] inline bool is_debian_suite(std::string_view suite) {
    constexpr std::array<std::string_view, 14> names{"buster",    "bullseye",  "bookworm",     "trixie", "forky",
                                                     "duke",      "sid",       "experimental", "stable", "oldstable",
                                                     "testing",   "unstable",  "oldoldstable", "stretch"};
    auto const base = suite.substr(0, suite.find_first_of("-/"));
    return std::find(names.begin(), names.end(), base) != names.end();
}
/// One line "deb [options] uri suite component..." of the older format.
inline void add_one_line(std::string_view line, std::vector<apt_source>& out) {
    apt_source source;
    if (auto const open = line.find('['); open != std::string_view::npos) {
        auto const close = line.find(']', open);
        if (close == std::string_view::npos)
            return;
        for (auto const option : split_words(line.substr(open + 1, close - open - 1)))
            if (option.starts_with("signed-by="))
                source.signed_by = option.substr(10);
        auto const words = split_words(line.substr(close + 1));
        if (words.size() < 2)
            return;
        source.uri = words[0];
        source.suites.emplace_back(words[1]);
    } else {
        auto const words = split_words(line);
        if (words.size() < 3)
            return;
        source.uri = words[1];
        source.suites.emplace_back(words[2]);
    }
    out.push_back(std::move(source));
}
} // namespace detail

/// The sources of binary packages in `text`, a file in the one-line format (".list"). Broken lines are skipped.
[[nodiscard]] inline std::vector<apt_source> parse_apt_list(std::string_view text) {
    std::vector<apt_source> out;
    while (!text.empty()) {
        auto const end = text.find('\n');
        auto line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        line = line.substr(0, line.find('#'));
        auto const words = split_words(line);
        if (!words.empty() && words[0] == "deb")
            detail::add_one_line(line, out);
    }
    return out;
}

/// The same for the deb822 format (".sources"). Disabled stanzas are left out; one entry for each URI.
[[nodiscard]] inline std::vector<apt_source> parse_apt_sources(std::string_view text) {
    std::vector<apt_source> out;
    for (auto const& stanza : parse_deb_control(text)) {
        auto const types = split_words(stanza.get("Types"));
        if (std::find(types.begin(), types.end(), "deb") == types.end() || stanza.get("Enabled") == "no")
            continue;
        for (auto const uri : split_words(stanza.get("URIs"))) {
            apt_source source;
            source.uri = uri;
            for (auto const suite : split_words(stanza.get("Suites")))
                source.suites.emplace_back(suite);
            source.signed_by = stanza.get("Signed-By");
            out.push_back(std::move(source));
        }
    }
    return out;
}

/// The suites that may hold kernels of `series` ("7.3"); all of them for a series we do not know.
[[nodiscard]] inline std::vector<std::string> suites_for_series(std::string_view series) {
    if (series == "6.1")
        return {"bookworm", "bookworm-updates", "bookworm-security"};
    if (series == "6.12")
        return {"trixie", "trixie-updates", "trixie-security", "bookworm-backports", "bookworm-security"};
    auto const known_backports = {"6.16", "6.17", "6.18", "6.19", "7.0", "7.1", "7.2", "7.3"};
    if (std::find(known_backports.begin(), known_backports.end(), series) != known_backports.end())
        return {"trixie-backports"};
    std::vector<std::string> out;
    for (auto const release : debian_releases)
        for (auto const suffix : {"", "-updates", "-security", "-backports"})
            out.push_back(std::string(release) + suffix);
    return out;
}

/// A deb822 file for a private apt that reads `suites` from the mirrors and with the keys of `machine`; empty when the
/// machine has no Debian source. Security suites are left out when the machine has no security mirror.
[[nodiscard]] inline std::string private_sources(std::vector<apt_source> const& machine,
                                                 std::vector<std::string> const& suites) {
    auto const is_security = [](std::string_view suite) { return suite.find("-security") != std::string_view::npos; };
    auto const find = [&](bool security) -> apt_source const* {
        for (auto const& source : machine)
            for (auto const& suite : source.suites)
                if (detail::is_debian_suite(suite) && is_security(suite) == security)
                    return &source;
        return nullptr;
    };
    std::string out;
    for (auto const security : {false, true}) {
        auto const* const source = find(security);
        std::string names;
        for (auto const& suite : suites)
            if (is_security(suite) == security)
                names.append(" ").append(suite);
        if (source == nullptr || names.empty())
            continue;
        out.append("Types: deb\nURIs: ").append(source->uri).append("\nSuites:").append(names);
        out.append("\nComponents: main\n");
        if (!source->signed_by.empty()) {
            out += "Signed-By: ";
            for (char const c : source->signed_by)
                c == '\n' ? out.append("\n ") : out.append(1, c);
            out += '\n';
        }
        out += '\n';
    }
    return out;
}

} // namespace ktstr
