// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a kernel module says about itself, and the order in which modules must be loaded.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/boot/elf_sections.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ktstr {

/// `name` with every '-' as '_': file names and module names differ in that only.
[[nodiscard]] inline std::string module_name(std::string_view name) {
    std::string out(name);
    std::replace(out.begin(), out.end(), '-', '_');
    return out;
}

/// What `.modinfo` of a module holds.
struct module_info {
    std::string name;                 ///< With '_'; empty if the module does not say (before linux 4.14).
    std::string vermagic;             ///< "7.3.4 SMP preempt mod_unload modversions".
    std::vector<std::string> depends; ///< Modules that must be loaded before, with '_'.
};

/// Reads the `.modinfo` section of an unpacked module. Errors as `find_section`; unknown keys are skipped.
[[nodiscard]] inline result<module_info> read_module_info(std::span<std::byte const> module) {
    KTSTR_TRY(auto const section, find_section(module, ".modinfo"));
    auto rest = std::string_view(reinterpret_cast<char const*>(section.data()), section.size());
    module_info out;
    while (!rest.empty()) {
        auto const end = rest.find('\0');
        auto const line = rest.substr(0, end);
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
        if (line.starts_with("name="))
            out.name = module_name(line.substr(5));
        else if (line.starts_with("vermagic="))
            out.vermagic = line.substr(9);
        else if (line.starts_with("depends=")) {
            auto list = line.substr(8);
            while (!list.empty()) {
                auto const comma = list.find(',');
                if (auto const one = list.substr(0, comma); !one.empty())
                    out.depends.push_back(module_name(one));
                list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
            }
        }
    }
    return out;
}

/// A module of a kernel in the store.
struct stored_module {
    std::string name;                 ///< With '_'.
    std::string file;                 ///< Path; relative to the entry in a manifest, absolute in a `stored_kernel`.
    std::vector<std::string> depends; ///< Direct dependencies.
    friend bool operator==(stored_module const&, stored_module const&) = default;
};

/// Indices into `modules` of everything that `names` need, each after what it depends on. Names that are not there are
/// taken for built into the kernel. `errc::bad_format` at "modules.cycle" when dependencies go round.
[[nodiscard]] inline result<std::vector<std::size_t>> module_load_order(std::span<stored_module const> modules,
                                                                        std::span<std::string_view const> names) {
    enum class mark : std::uint8_t { fresh, open, done };
    struct frame {
        std::size_t index;
        std::size_t next;
    };
    std::vector<mark> marks(modules.size(), mark::fresh);
    std::vector<std::size_t> out;
    auto const find = [&](std::string_view name) {
        std::size_t i = 0;
        while (i < modules.size() && modules[i].name != name)
            ++i;
        return i;
    };
    for (auto const name : names) {
        std::vector<frame> stack;
        auto const enter = [&](std::string_view wanted) -> result<> {
            auto const i = find(wanted);
            if (i == modules.size() || marks[i] == mark::done)
                return {};
            if (marks[i] == mark::open)
                return fail(errc::bad_format, "modules.cycle", i);
            marks[i] = mark::open;
            stack.push_back({i, 0});
            return {};
        };
        KTSTR_CHECK(enter(module_name(name)));
        while (!stack.empty()) {
            auto& top = stack.back();
            auto const& module = modules[top.index];
            if (top.next < module.depends.size()) {
                KTSTR_CHECK(enter(module.depends[top.next++]));
                continue;
            }
            marks[top.index] = mark::done;
            out.push_back(top.index);
            stack.pop_back();
        }
    }
    return out;
}

} // namespace ktstr
