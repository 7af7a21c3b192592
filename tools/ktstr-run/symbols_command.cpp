// SPDX-License-Identifier: Apache-2.0
/// \file
/// `ktstr-run kernel symbols`: what a kernel of the store calls its functions and variables, and where they are linked.
#include "ktstr-run/kernel_tool.hpp"

#include "ktstr/introspect/symbols/elf_symtab.hpp"
#include "ktstr/introspect/symbols/kallsyms.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/io.hpp"
#include "ktstr/sys/mapping.hpp"
#include "support/near_miss.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <system_error>
#include <utility>
#include <vector>

namespace ktstr::tool {

namespace {

using json = nlohmann::ordered_json;

struct kernel_symbols {
    symbol_table table;
    std::string source;
};

/// The kernel's own table, or that of the ELF file where the kernel has none.
outcome<kernel_symbols> read_symbols(std::string const& path) {
    auto const unreadable = [&](error const& e) {
        return std::unexpected(problem_from(e, exit_code::harness, "cannot read the kernel", path));
    };
    auto const fd = unique_fd::open(path.c_str(), O_RDONLY);
    if (!fd)
        return unreadable(fd.error());
    auto const size = file_size(fd->get());
    if (!size)
        return unreadable(size.error());
    auto const file = mapping::map(static_cast<std::size_t>(*size), PROT_READ, MAP_PRIVATE, fd->get());
    if (!file)
        return unreadable(file.error());
    std::span<std::byte const> const image = file->span();
    auto const tables = locate_kallsyms(image);
    if (tables) {
        if (auto table = decode_kallsyms(*tables))
            return kernel_symbols{*std::move(table), "kallsyms, " + std::string(name_of(tables->encoding))};
    }
    if (auto table = read_elf_symtab(image))
        return kernel_symbols{*std::move(table), "symtab"};
    return std::unexpected(problem_from(tables ? error{errc::bad_format, 0, 0, "kallsyms"} : tables.error(), exit_code::missing,
                                        "this kernel carries no symbols", path,
                                        "it needs CONFIG_KALLSYMS (CONFIG_KALLSYMS_ALL for variables), or a .symtab"));
}

/// One line of the answer: a symbol, or an address inside one.
struct answer {
    ktstr::symbol symbol;
    std::optional<gva> asked{};
};

/// Known names that begin like `name`: enough to guess what was meant.
std::vector<std::string_view> similar(symbol_table const& table, std::string_view name) {
    std::vector<std::string_view> out;
    auto const stem = name.substr(0, std::min<std::size_t>(name.size(), 4));
    table.for_each([&](symbol const& each) {
        if (each.name.starts_with(stem))
            out.push_back(each.name);
        return out.size() < 5000;
    });
    return out;
}

outcome<std::vector<answer>> look_up(symbol_table const& table, std::span<std::string const> wanted, std::string const& kernel) {
    std::vector<answer> out;
    for (auto const& word : wanted) {
        auto const before = out.size();
        if (word.starts_with("0x")) {
            std::uint64_t at = 0;
            auto const [stop, failed] = std::from_chars(word.data() + 2, word.data() + word.size(), at, 16);
            if (failed != std::errc{} || stop != word.data() + word.size())
                return problem_of(exit_code::bad_input, "'" + word + "' is no address", "kernel symbols", "write it as 0xffffffff81000000");
            auto const found = table.nearest(gva{at});
            if (!found)
                return problem_of(exit_code::bad_input, "nothing of the kernel is linked at " + word, kernel);
            out.push_back({found->symbol, gva{at}});
            continue;
        }
        table.for_each([&](symbol const& each) {
            if (each.name == word)
                out.push_back({each});
            return true;
        });
        if (out.size() == before) {
            auto const near = near_miss(word, similar(table, word));
            return problem_of(exit_code::bad_input, "no symbol '" + word + "'", kernel,
                              near.empty() ? "see all of them: ktstr-run kernel symbols " + kernel
                                           : "did you mean '" + std::string(near) + "'?");
        }
    }
    return out;
}

std::string hex(gva at) {
    char text[20];
    std::snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(at.raw));
    return text;
}

void print_line(answer const& each) {
    std::printf("%016llx %c %.*s", static_cast<unsigned long long>(each.asked ? each.asked->raw : each.symbol.address.raw),
                each.symbol.type, static_cast<int>(each.symbol.name.size()), each.symbol.name.data());
    if (each.asked)
        std::printf("+0x%llx", static_cast<unsigned long long>(*each.asked - each.symbol.address));
    std::putchar('\n');
}

json to_json(answer const& each) {
    json out{{"name", each.symbol.name}, {"address", hex(each.symbol.address)}, {"type", std::string(1, each.symbol.type)},
             {"absolute", each.symbol.absolute}};
    if (each.asked)
        out["asked"] = hex(*each.asked);
    return out;
}

} // namespace

outcome<exit_code> show_kernel_symbols(std::string const& spec, std::span<std::string const> wanted, bool as_json, progress& show) {
    auto const kernel = resolve_kernel(spec, show);
    show.finish();
    if (!kernel)
        return std::unexpected(kernel.error());
    auto const symbols = read_symbols(kernel->vmlinux);
    if (!symbols)
        return std::unexpected(symbols.error());
    std::vector<answer> answers;
    if (wanted.empty()) {
        answers.reserve(symbols->table.size());
        symbols->table.for_each([&](symbol const& each) {
            answers.push_back({each});
            return true;
        });
    } else {
        auto found = look_up(symbols->table, wanted, kernel->key);
        if (!found)
            return std::unexpected(found.error());
        answers = *std::move(found);
    }
    if (!as_json) {
        for (auto const& each : answers)
            print_line(each);
        return exit_code::pass;
    }
    json rows = json::array();
    for (auto const& each : answers)
        rows.push_back(to_json(each));
    json const out{{"schema", "ktstr-symbols-1"}, {"key", kernel->key}, {"source", symbols->source},
                   {"count", symbols->table.size()}, {"symbols", std::move(rows)}};
    // Names are whatever bytes the image has.
    std::printf("%s\n", out.dump(wanted.empty() ? -1 : 2, ' ', false, json::error_handler_t::replace).c_str());
    return exit_code::pass;
}

} // namespace ktstr::tool
