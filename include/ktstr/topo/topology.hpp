// SPDX-License-Identifier: Apache-2.0
/// \file
/// The machine's shape as a value: NUMA nodes, last-level caches, cores and threads, its text form `NnNlNcNt`, and
/// where each CPU lies in it.
///
///     node 0                       node 1                         2n4l2c2t
///       llc 0        llc 1           llc 2        llc 3            nodes=2 llcs=4 (in all) cores=2 (per llc)
///       core 0 1     core 0 1        core 0 1     core 0 1         threads=2 (per core)
///        cpu 0,1 2,3  cpu 4,5 6,7     cpu 8,9 ..   cpu 12,13 ..     16 CPUs
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ktstr {

/// The largest number of CPUs a machine may have: what the ACPI tables and the 8-bit APIC id space were sized for.
inline constexpr std::uint32_t max_cpus = 252;
/// The largest number of NUMA nodes, memory-only ones included: SLIT and HMAT grow with its square.
inline constexpr std::uint32_t max_nodes = 64;

/// A regular machine: every node has the same number of LLCs, every LLC the same cores, every core the same threads.
/// Any value may be written here; only one that `validate` accepts may be given to the rest of the library.
struct topology {
    std::uint32_t nodes = 1;   ///< NUMA nodes with CPUs; each is one package.
    std::uint32_t llcs = 1;    ///< Last-level caches in the whole machine; a multiple of `nodes`.
    std::uint32_t cores = 1;   ///< Cores per LLC.
    std::uint32_t threads = 1; ///< Hardware threads per core.

    friend constexpr bool operator==(topology const&, topology const&) noexcept = default;
};

/// Checks that `t` can be built. Errors, all with the offending number as `value`: `invalid_argument` for a zero at
/// "topology.nodes" (llcs, cores, threads alike) and for LLCs that do not divide at "topology.llcs_per_node";
/// `out_of_range` for too many at "topology.nodes" and "topology.cpus".
[[nodiscard]] constexpr result<> validate(topology const& t) noexcept {
    if (t.nodes == 0)
        return fail(errc::invalid_argument, "topology.nodes", 0);
    if (t.llcs == 0)
        return fail(errc::invalid_argument, "topology.llcs", 0);
    if (t.cores == 0)
        return fail(errc::invalid_argument, "topology.cores", 0);
    if (t.threads == 0)
        return fail(errc::invalid_argument, "topology.threads", 0);
    if (t.nodes > max_nodes)
        return fail(errc::out_of_range, "topology.nodes", t.nodes);
    if (t.llcs % t.nodes != 0)
        return fail(errc::invalid_argument, "topology.llcs_per_node", t.llcs);
    std::uint64_t count = t.llcs;
    for (auto const factor : {t.cores, t.threads}) {
        if (count > (std::uint64_t{1} << 32) / factor)
            return fail(errc::out_of_range, "topology.cpus", ~std::uint64_t{0});
        count *= factor;
    }
    if (count > max_cpus)
        return fail(errc::out_of_range, "topology.cpus", count);
    return {};
}

/// The number of CPUs of a valid topology.
[[nodiscard]] constexpr std::uint32_t cpus(topology const& t) noexcept { return t.llcs * t.cores * t.threads; }
/// CPUs that share one LLC.
[[nodiscard]] constexpr std::uint32_t cpus_per_llc(topology const& t) noexcept { return t.cores * t.threads; }
/// LLCs in one node.
[[nodiscard]] constexpr std::uint32_t llcs_per_node(topology const& t) noexcept { return t.llcs / t.nodes; }
/// CPUs in one node.
[[nodiscard]] constexpr std::uint32_t cpus_per_node(topology const& t) noexcept {
    return llcs_per_node(t) * cpus_per_llc(t);
}

/// Where one CPU lies.
struct cpu_place {
    std::uint32_t node = 0;   ///< In the machine.
    std::uint32_t llc = 0;    ///< In the machine.
    std::uint32_t core = 0;   ///< In its LLC.
    std::uint32_t thread = 0; ///< In its core.

    friend constexpr bool operator==(cpu_place const&, cpu_place const&) noexcept = default;
};

/// The place of CPU `cpu` (below `cpus(t)`) of a valid topology; CPUs are counted threads first, then cores, LLCs.
[[nodiscard]] constexpr cpu_place place_of(topology const& t, std::uint32_t cpu) noexcept {
    auto const thread = cpu % t.threads;
    auto const core = cpu / t.threads % t.cores;
    auto const llc = cpu / (t.threads * t.cores);
    return {llc / llcs_per_node(t), llc, core, thread};
}

/// The CPU at `place`; the inverse of `place_of`. `place.node` is implied by the LLC and not read.
[[nodiscard]] constexpr std::uint32_t cpu_at(topology const& t, cpu_place const& place) noexcept {
    return (place.llc * t.cores + place.core) * t.threads + place.thread;
}

/// Reads `NnNlNcNt` ("1n2l4c2t"; letters in either case) and validates it. `bad_format` at "topology.text" with the
/// offset of the first character that does not fit; `out_of_range` at "topology.number" for more than nine digits;
/// otherwise the errors of `validate`.
[[nodiscard]] constexpr result<topology> parse_topology(std::string_view text) noexcept {
    std::array<std::uint32_t, 4> numbers{};
    constexpr std::string_view letters = "nlct";
    std::size_t at = 0;
    for (std::size_t field = 0; field < numbers.size(); ++field) {
        auto const start = at;
        std::uint32_t number = 0;
        while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
            if (at - start >= 9)
                return fail(errc::out_of_range, "topology.number", start);
            number = number * 10 + static_cast<std::uint32_t>(text[at] - '0');
            ++at;
        }
        bool const letter =
            at < text.size() && (text[at] == letters[field] || text[at] == static_cast<char>(letters[field] - 'a' + 'A'));
        if (at == start || !letter)
            return fail(errc::bad_format, "topology.text", at);
        ++at;
        numbers[field] = number;
    }
    if (at != text.size())
        return fail(errc::bad_format, "topology.text", at);
    topology const out{numbers[0], numbers[1], numbers[2], numbers[3]};
    KTSTR_CHECK(validate(out));
    return out;
}

/// The text of a topology in a buffer of its own.
class topology_text {
public:
    constexpr explicit topology_text(topology const& t) noexcept {
        put(t.nodes, 'n');
        put(t.llcs, 'l');
        put(t.cores, 'c');
        put(t.threads, 't');
    }
    [[nodiscard]] constexpr std::string_view view() const noexcept { return {chars_.data(), size_}; }

private:
    constexpr void put(std::uint32_t number, char letter) noexcept {
        std::array<char, 10> digits{};
        std::size_t n = 0;
        do {
            digits[n++] = static_cast<char>('0' + number % 10);
            number /= 10;
        } while (number != 0);
        while (n > 0)
            chars_[size_++] = digits[--n];
        chars_[size_++] = letter;
    }

    std::array<char, 44> chars_{};
    std::size_t size_ = 0;
};

/// `NnNlNcNt` of any topology value; `parse_topology` reads it back.
[[nodiscard]] constexpr topology_text to_text(topology const& t) noexcept { return topology_text(t); }

} // namespace ktstr
