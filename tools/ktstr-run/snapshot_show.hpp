// SPDX-License-Identifier: Apache-2.0
/// \file
/// What `ktstr-run snapshot` says about one snapshot, and about the way from one to another.
#pragma once

#include "ktstr-run/snapshot_file.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace ktstr::tool {

/// Header, memory map and registers, for people.
[[nodiscard]] std::string snapshot_text(snapshot_file& file);
/// The same as JSON, schema "ktstr.snapshot/1.0".
[[nodiscard]] std::string snapshot_json(snapshot_file& file);

/// A register that has another value, or is on one side only.
struct register_change {
    std::uint32_t vcpu = 0;
    std::string name;
    std::optional<std::uint64_t> before;
    std::optional<std::uint64_t> after;
};

/// What is different between two snapshots.
struct snapshot_changes {
    std::vector<register_change> registers;
    std::vector<std::uint32_t> fpu;          ///< vCPUs whose FPU state differs.
    std::vector<std::uint32_t> vcpus_only_a; ///< vCPUs that the second lacks.
    std::vector<std::uint32_t> vcpus_only_b;
    std::vector<gpa_range> pages;            ///< RAM that both have and that differs, in whole pages; neighbours joined.
    std::uint64_t page_count = 0;
    bool same_ram = true;                    ///< Both have RAM at the same addresses.
    [[nodiscard]] bool none() const noexcept {
        return registers.empty() && fpu.empty() && vcpus_only_a.empty() && vcpus_only_b.empty() && pages.empty() && same_ram;
    }
};

/// Compares registers by name and RAM by page, reading only pages that take room in one of the files.
[[nodiscard]] result<snapshot_changes> compare_snapshots(snapshot_file& a, snapshot_file& b);
[[nodiscard]] std::string diff_text(snapshot_file const& a, snapshot_file const& b, snapshot_changes const& changes);
/// Schema "ktstr.snapshot-diff/1.0".
[[nodiscard]] std::string diff_json(snapshot_file const& a, snapshot_file const& b, snapshot_changes const& changes);

} // namespace ktstr::tool
