// SPDX-License-Identifier: Apache-2.0
/// \file
/// Reads a kernel's .config, and finds the copy that CONFIG_IKCONFIG leaves in the image.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/boot/decompress.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ktstr {

/// What a .config says about one option.
enum class config_state : std::uint8_t { absent, module, built_in };

/// The value text of option `name` (without "CONFIG_") in `config`: "y", "m", "250", "\"text\""; empty when it is not
/// set or not mentioned. The last mention counts. Any input is fine.
[[nodiscard]] constexpr std::string_view config_value(std::string_view config, std::string_view name) noexcept {
    std::string_view out;
    while (!config.empty()) {
        auto const end = config.find('\n');
        auto line = config.substr(0, end);
        config.remove_prefix(end == std::string_view::npos ? config.size() : end + 1);
        constexpr std::string_view prefix = "CONFIG_";
        if (!line.starts_with(prefix) || !line.substr(prefix.size()).starts_with(name))
            continue;
        line.remove_prefix(prefix.size() + name.size());
        if (!line.empty() && line[0] == '=') {
            line.remove_prefix(1);
            if (!line.empty() && line.back() == '\r')
                line.remove_suffix(1);
            out = line;
        }
    }
    return out;
}

/// Option `name` as a tristate; a value that is a text or a number counts as built in.
[[nodiscard]] constexpr config_state config_option(std::string_view config, std::string_view name) noexcept {
    auto const value = config_value(config, name);
    if (value.empty() || value == "n")
        return config_state::absent;
    return value == "m" ? config_state::module : config_state::built_in;
}

/// The config embedded in an unpacked kernel (linux kernel/configs.c: gzip between "IKCFG_ST" and "IKCFG_ED").
/// `errc::not_found` when there is none; a damaged one gives the decompressor's error.
template <Decompressor D>
[[nodiscard]] result<std::string> embedded_config(std::span<std::byte const> vmlinux, D const& decompressor = {}) {
    auto const image = std::string_view(reinterpret_cast<char const*>(vmlinux.data()), vmlinux.size());
    constexpr std::string_view head = "IKCFG_ST\x1f\x8b";
    auto const start = image.find(head);
    if (start == std::string_view::npos)
        return fail(errc::not_found, "ikconfig");
    auto const end = image.find("IKCFG_ED", start + head.size());
    if (end == std::string_view::npos)
        return fail(errc::truncated, "ikconfig", start);
    constexpr std::uint64_t limit = 4U << 20;
    KTSTR_TRY(auto const raw, decompressor.unpack(vmlinux.subspan(start + 8, end - start - 8), 0, limit));
    return std::string(reinterpret_cast<char const*>(raw.data()), raw.size());
}

} // namespace ktstr
