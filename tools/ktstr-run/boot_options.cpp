// SPDX-License-Identifier: Apache-2.0
/// \file
/// Checking the options of the booting commands.
#include "ktstr-run/boot_options.hpp"

#include "ktstr-run/option_table.hpp"
#include "ktstr/topo/presets.hpp"
#include "support/near_miss.hpp"
#include "support/quantity.hpp"

#include <array>
#include <charconv>
#include <fmt/format.h>
#include <span>
#include <sys/stat.h>
#include <unistd.h>

namespace ktstr::tool {
namespace {

constexpr std::uint64_t least_memory = 32 * MiB;
constexpr std::uint64_t most_memory = std::uint64_t{1} << 40;

std::unexpected<problem> wrong(std::string what, std::string_view option, std::string remedy) {
    return problem_of(exit_code::bad_input, std::move(what), fmt::format("option --{}", option), std::move(remedy));
}

/// One of `words`, by its position; a word outside gets a hint.
outcome<std::size_t> read_word(invocation const& call, std::string_view option,
                               std::span<std::string_view const> words) {
    auto const given = call.value(option);
    if (!given)
        return 0;
    for (std::size_t i = 0; i < words.size(); ++i)
        if (words[i] == *given)
            return i;
    return wrong(fmt::format("'{}' is not a value of --{}", *given, option), option, hint(*given, words));
}

problem describe_topology_error(std::string_view text, error const& e) {
    problem out{exit_code::bad_input, {}, "option --topology", {}};
    if (e.where == "topology.text" || e.where == "topology.number") {
        std::vector<std::string_view> names;
        for (auto const& p : presets())
            names.push_back(p.name);
        out.what = fmt::format("'{}' is neither a preset nor NnNlNcNt (wrong at character {})", text, e.value + 1);
        out.remedy =
            near_miss(text, names).empty() ? "write it like 1n2l4c2t, or see 'ktstr-run presets'" : hint(text, names);
    } else if (e.where == "topology.llcs_per_node") {
        out.what = fmt::format("topology '{}' does not divide: {} LLCs cannot be spread evenly over its NUMA nodes",
                               text, e.value);
        out.remedy = "make the number of LLCs (in all) a multiple of the number of nodes";
    } else if (e.where == "topology.cpus") {
        out.what = e.value == ~std::uint64_t{0}
                       ? fmt::format("topology '{}' has far too many CPUs", text)
                       : fmt::format("topology '{}' has {} CPUs; {} are possible", text, e.value, max_cpus);
        out.remedy = "ask for fewer LLCs, cores or threads (CPUs = LLCs x cores x threads)";
    } else if (e.code == errc::invalid_argument) {
        out.what = fmt::format("topology '{}' has zero {}", text, e.where.substr(e.where.find('.') + 1));
        out.remedy = "every number must be at least 1";
    } else {
        out.what = fmt::format("topology '{}' is not possible: {}", text, describe(e));
        out.remedy = fmt::format("at most {} nodes", max_nodes);
    }
    return out;
}

outcome<include_file> read_include(std::string const& argument) {
    auto const colon = argument.rfind(':');
    include_file out{absolute_path(argument.substr(0, colon)),
                     colon == std::string::npos ? std::string() : argument.substr(colon + 1)};
    if (out.path.empty())
        out.path = out.file;
    if (!out.path.starts_with('/'))
        return wrong(fmt::format("'{}' is not an absolute path in the guest", out.path), "include",
                     "begin it with a slash");
    struct stat st{};
    if (::stat(out.file.c_str(), &st) != 0 || ::access(out.file.c_str(), R_OK) != 0)
        return wrong(fmt::format("cannot read '{}': {}", out.file, std::strerror(errno)), "include",
                     "name a file that is there and readable");
    if (!S_ISREG(st.st_mode))
        return wrong(fmt::format("'{}' is not a regular file", out.file), "include", "name each file by itself");
    return out;
}

/// The user's own memory and distances, on top of what the preset says.
outcome<> read_layout(invocation const& call, boot_options& into) {
    auto const place = [](error const& e) { return fmt::format("{} (number {})", e.where, e.value); };
    if (auto const text = call.value("node-memory")) {
        auto sizes = parse_node_memory(*text);
        if (!sizes)
            return wrong(fmt::format("'{}' is not a list of sizes: {}", *text, describe(sizes.error())), "node-memory",
                         "write it like 1G,512M,0");
        into.layout.memory = *std::move(sizes);
    }
    if (auto const text = call.value("distances")) {
        auto matrix = parse_distances(*text);
        if (!matrix)
            return wrong(fmt::format("'{}' is not a matrix: {}", *text, describe(matrix.error())), "distances",
                         "write rows between semicolons: '10,20;20,10'");
        into.layout.distances = *std::move(matrix);
    }
    if (auto const sound = validate(into.shape, into.layout); !sound)
        return problem_of(
            exit_code::bad_input, "the NUMA nodes are not possible: " + place(sound.error()),
            call.has("distances") ? "option --distances" : "option --node-memory",
            "one size a node (multiples of 1M, at least 16M or 0); a symmetric matrix, 10 on its diagonal");
    return {};
}

} // namespace

std::string absolute_path(std::string_view path) {
    if (path.starts_with('/'))
        return std::string(path);
    std::array<char, 4096> folder{};
    if (::getcwd(folder.data(), folder.size()) == nullptr)
        return std::string(path);
    return std::string(folder.data()) + '/' + std::string(path);
}

outcome<named_shape> read_topology(std::string_view text) {
    if (auto const* preset = find_preset(text); preset != nullptr) {
        auto layout = layout_of(*preset);
        if (!layout)
            return std::unexpected(
                problem_from(layout.error(), exit_code::harness, "a preset of ours is wrong", std::string(text)));
        return named_shape{preset->shape, *std::move(layout)};
    }
    auto const parsed = parse_topology(text);
    if (!parsed)
        return std::unexpected(describe_topology_error(text, parsed.error()));
    return named_shape{*parsed, {}};
}

outcome<std::uint64_t> read_number(std::string_view option, std::string_view text, std::uint64_t least,
                                   std::uint64_t most) {
    std::uint64_t number = 0;
    auto const [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (status != std::errc{} || end != text.data() + text.size())
        return wrong(fmt::format("'{}' is not a whole number", text), option, "write decimal digits only");
    if (number < least || number > most)
        return wrong(fmt::format("{} is out of range", number), option, fmt::format("from {} to {}", least, most));
    return number;
}

outcome<nanos> read_time(std::string_view option, std::string_view text) {
    auto const time = parse_time(text);
    if (!time)
        return wrong(fmt::format("'{}' is not a time", text), option, "write a number with its unit: 2s, 250ms, 10m");
    if (time->raw == 0)
        return wrong("the time is zero", option, "write more than zero");
    return *time;
}

outcome<boot_options> read_boot_options(invocation const& call) {
    constexpr std::string_view machines[] = {"auto", "host", "lab"};
    constexpr std::string_view switches[] = {"off", "on"};
    constexpr std::string_view vendors[] = {"host", "intel", "amd"};
    constexpr std::string_view resets[] = {"k", "a", "t"};
    constexpr std::string_view transports[] = {"auto", "mmio", "pci"};
    boot_options out;
    out.kernel = call.value_or("kernel", "");
    if (call.has("kernel") && out.kernel.empty())
        return wrong("the kernel's name is empty", "kernel", "see 'ktstr-run kernel list'");

    out.shape_name = call.value_or("topology", find_option("topology", on::run)->standard);
    auto const shape = read_topology(out.shape_name);
    if (!shape)
        return std::unexpected(shape.error());
    out.shape = shape->shape;
    out.layout = shape->layout;
    if (auto const layout = read_layout(call, out); !layout)
        return std::unexpected(layout.error());

    if (auto const memory = call.value_or("memory", "auto"); memory != "auto") {
        auto const size = parse_size(memory);
        if (!size)
            return wrong(fmt::format("'{}' is not a size", memory), "memory",
                         "write auto, or a number with its unit: 512M, 2G");
        if (size->raw < least_memory || size->raw > most_memory)
            return wrong(fmt::format("memory of {} is out of range", size_text(size->raw)), "memory",
                         fmt::format("from {} to {}", size_text(least_memory), size_text(most_memory)));
        if (size->raw % 4096 != 0)
            return wrong("memory is not a multiple of 4096 bytes", "memory", "round it up");
        if (!out.layout.memory.empty())
            return wrong("the topology or --node-memory already says how much memory there is", "memory",
                         "leave one of them out");
        out.memory = *size;
    }
    if (!out.layout.memory.empty()) {
        bytes sum{};
        for (auto const node : out.layout.memory)
            sum = sum + node;
        out.memory = sum;
    }

    auto const machine = read_word(call, "machine", machines);
    auto const kaslr = read_word(call, "kaslr", switches);
    auto const vendor = read_word(call, "cpu-vendor", vendors);
    auto const reset = read_word(call, "reboot", resets);
    auto const transport = read_word(call, "transport", transports);
    for (auto const* word : {&machine, &kaslr, &vendor, &reset, &transport})
        if (!*word)
            return std::unexpected(word->error());
    out.machine = static_cast<machine_wish>(*machine);
    if (call.has("lab")) { // Who names a lab wants it.
        if (out.machine == machine_wish::host)
            return wrong("a lab is named and the host is asked for", "lab", "leave --lab or --machine host out");
        out.machine = machine_wish::lab;
    }
    out.kaslr = *kaslr == 1;
    out.vendor = static_cast<vendor_choice>(*vendor);
    out.reset = static_cast<reset_choice>(*reset);
    out.transport = static_cast<transport_wish>(*transport);

    if (auto const text = call.value("apic-stride")) {
        auto const stride = read_number("apic-stride", *text, 1, 4096);
        if (!stride)
            return std::unexpected(stride.error());
        if ((*stride & (*stride - 1)) != 0)
            return wrong(fmt::format("{} is not a power of two", *stride), "apic-stride", "1, 2, 4, ... 4096");
        out.apic_stride = static_cast<std::uint32_t>(*stride);
    }

    auto const limit = read_time("timeout", call.value_or("timeout", find_option("timeout", on::run)->standard));
    if (!limit)
        return std::unexpected(limit.error());
    out.wall_limit = *limit;

    for (auto const& words : call.values("cmdline")) {
        if (words.find_first_of(std::string_view("\n\0", 2)) != std::string::npos)
            return wrong("the kernel command line has a line break in it", "cmdline", "write one line");
        out.cmdline += out.cmdline.empty() ? words : ' ' + words;
    }
    for (auto const& argument : call.values("include")) {
        auto const file = read_include(argument);
        if (!file)
            return std::unexpected(file.error());
        out.include.push_back(*file);
    }
    if (auto const file = call.value("initramfs")) {
        out.initramfs = absolute_path(*file);
        struct stat st{};
        if (::stat(out.initramfs.c_str(), &st) != 0 || !S_ISREG(st.st_mode) ||
            ::access(out.initramfs.c_str(), R_OK) != 0)
            return wrong(fmt::format("cannot read '{}'", out.initramfs), "initramfs", "name a readable file");
        if (st.st_size == 0)
            return wrong(fmt::format("'{}' is empty", out.initramfs), "initramfs", "name a cpio archive");
    }
    if (auto const file = call.value("dmesg"))
        out.dmesg = absolute_path(*file);
    out.console = call.has("console");
    out.quiet = call.has("quiet");
    return out;
}

} // namespace ktstr::tool
