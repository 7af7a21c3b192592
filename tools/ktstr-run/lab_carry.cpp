// SPDX-License-Identifier: Apache-2.0
/// \file
/// The carrying itself.
#include "ktstr-run/lab_carry.hpp"

#include "ktstr-run/option_table.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <sys/stat.h>

namespace ktstr::tool {
namespace {

constexpr std::string_view inside_program = "/ktstr-run";
constexpr std::string_view inside_in = "/carry/in";
constexpr std::string_view inside_out = "/carry/out";

std::string absolute(std::string const& path, std::string const& folder) {
    return path.starts_with('/') ? path : folder + '/' + path;
}

std::string base_name(std::string path) {
    while (path.size() > 1 && path.ends_with('/'))
        path.pop_back();
    auto const slash = path.rfind('/');
    return slash == std::string::npos ? path : path.substr(slash + 1);
}

/// "FILE:PATH" in its two halves; without a colon the path is the file's own.
struct include_parts {
    std::string file;
    std::string path;
};
include_parts split_include(std::string const& argument, std::string const& folder) {
    auto const colon = argument.rfind(':');
    if (colon == std::string::npos)
        return {absolute(argument, folder), absolute(argument, folder)};
    return {absolute(argument.substr(0, colon), folder), argument.substr(colon + 1)};
}

class carrier {
public:
    explicit carrier(carry_context const& context) : context_(context) {}

    outcome<> option(option_row const& row, std::string const& argument) {
        auto const flag = "--" + std::string(row.name);
        switch (row.kind) {
        case carry::host:
        case carry::kernel: return {}; // Replaced by what they resolve to.
        case carry::plain: inside_.push_back(row.argument.empty() ? flag : flag + '=' + argument); return {};
        case carry::in_file:
        case carry::in_dir: {
            auto parts = split_include(argument, context_.folder);
            if (row.name != "include")
                parts = {absolute(argument, context_.folder), {}};
            struct stat st{};
            if (::stat(parts.file.c_str(), &st) != 0)
                return problem_of(exit_code::bad_input,
                                  fmt::format("cannot read '{}': {}", parts.file, std::strerror(errno)),
                                  fmt::format("option {}", flag), "name a file that is there");
            if (S_ISDIR(st.st_mode) != (row.kind == carry::in_dir))
                return problem_of(exit_code::bad_input,
                                  fmt::format("'{}' is {}a folder", parts.file, S_ISDIR(st.st_mode) ? "" : "not "),
                                  fmt::format("option {}", flag));
            auto const there = in(parts.file);
            inside_.push_back(flag + '=' + there + (parts.path.empty() ? "" : ':' + parts.path));
            return {};
        }
        case carry::out_file:
        case carry::out_dir:
            inside_.push_back(flag + '=' + (argument == "-" ? argument : out(absolute(argument, context_.folder))));
            return {};
        }
        return {};
    }

    std::string in(std::string const& path) {
        auto const there = fmt::format("{}/{}/{}", inside_in, count_++, base_name(path));
        outside_.insert(outside_.end(), {"--in", path + ':' + there});
        return there;
    }
    std::string out(std::string const& path) {
        auto const there = fmt::format("{}/{}/{}", inside_out, count_++, base_name(path));
        outside_.insert(outside_.end(), {"--out", path + ':' + there});
        return there;
    }
    void inside(std::string word) { inside_.push_back(std::move(word)); }

    std::vector<std::string> outside_;
    std::vector<std::string> inside_;

private:
    carry_context const& context_;
    unsigned count_ = 0;
};

} // namespace

outcome<std::vector<std::string>> carry_into_lab(invocation const& call, carry_context const& context) {
    auto const* command = find_command(call.command);
    if (command == nullptr)
        return problem_of(exit_code::harness, fmt::format("command '{}' cannot run in the lab", call.command));
    carrier c(context);
    c.outside_.insert(c.outside_.end(), {"--in", context.own_program + ':' + std::string(inside_program)});
    c.inside(std::string(inside_program));
    c.inside(call.command);
    c.inside("--machine=host");
    if (!context.kernel_folder.empty())
        c.inside("--kernel=" + c.in(context.kernel_folder));
    if (!context.initramfs.empty())
        c.inside("--initramfs=" + c.in(context.initramfs));
    auto const replaced = [&](std::string_view name) {
        return (name == "initramfs" && !context.initramfs.empty()) ||
               (name == "include" && !context.initramfs.empty()) ||
               std::ranges::any_of(context.resolved, [&](auto const& r) { return r.first == name; });
    };
    auto const carry_one = [&](std::string const& name, std::string const& argument) -> outcome<> {
        auto const* row = find_option(name, command->bit);
        if (row == nullptr)
            return problem_of(exit_code::harness, fmt::format("option --{} is not in the table", name));
        return c.option(*row, argument);
    };
    for (auto const& [name, argument] : context.resolved)
        if (auto done = carry_one(name, argument); !done)
            return std::unexpected(done.error());
    for (auto const& [name, argument] : call.options)
        if (!replaced(name))
            if (auto done = carry_one(name, argument); !done)
                return std::unexpected(done.error());

    std::vector<std::string> words{context.lab_program};
    if (auto const name = call.value("lab"))
        words.insert(words.end(), {"exec", *name});
    else
        words.emplace_back("run");
    if (!context.lab_option.empty())
        words.push_back(context.lab_option);
    if (context.limit.raw > 0)
        words.insert(words.end(), {"--limit", std::to_string(context.limit.raw / 1'000'000'000)});
    words.insert(words.end(), c.outside_.begin(), c.outside_.end());
    words.emplace_back("--");
    words.insert(words.end(), c.inside_.begin(), c.inside_.end());
    words.insert(words.end(), call.words.begin(), call.words.end());
    if (!call.tail.empty()) {
        words.emplace_back("--");
        words.insert(words.end(), call.tail.begin(), call.tail.end());
    }
    return words;
}

} // namespace ktstr::tool
