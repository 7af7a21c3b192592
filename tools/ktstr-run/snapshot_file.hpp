// SPDX-License-Identifier: Apache-2.0
/// \file
/// A snapshot on disk, whichever of the two formats it has.
#pragma once

#include "ktstr/introspect/symbols/table.hpp"
#include "ktstr/snapshot/compress_zstd.hpp"
#include "ktstr/snapshot/read_core.hpp"
#include "ktstr/snapshot/reader.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/mapping.hpp"
#include "support/problem.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace ktstr::tool {

/// An open snapshot. The file is mapped, so it must not be truncated while this lives.
class snapshot_file {
public:
    /// Opens `path`. A file that is missing, of no format we know or damaged is `exit_code::bad_input`.
    [[nodiscard]] static outcome<snapshot_file> open(std::string path);

    [[nodiscard]] std::string const& path() const noexcept { return path_; }
    [[nodiscard]] kept_header const& header() const noexcept;
    /// "ktstr" or "core", as `--snapshot-format` names them.
    [[nodiscard]] char const* format() const noexcept;
    /// Null for a core.
    [[nodiscard]] basic_snapshot_reader<zstd_chunks>* own() noexcept { return std::get_if<reader_type>(&content_); }
    /// Null for our own format.
    [[nodiscard]] core_file const* core() const noexcept { return std::get_if<core_file>(&content_); }

    /// The page of RAM at `at`, a multiple of 4096; valid until the next call.
    [[nodiscard]] result<std::span<std::byte const>> page(gpa at);
    /// The first page at or above `at` that takes room in the file.
    [[nodiscard]] std::optional<gpa> next_stored(gpa at) const;
    /// How many pages take room in the file.
    [[nodiscard]] std::uint64_t stored_pages() const;
    /// The guest kernel's own symbols, at the addresses they had: decoded from its memory. Nothing when the snapshot does
    /// not know where the kernel is, or does not hold its memory.
    [[nodiscard]] std::optional<symbol_table> symbols();

private:
    using reader_type = basic_snapshot_reader<zstd_chunks>;
    snapshot_file(std::string path, unique_fd fd, mapping bytes, std::variant<reader_type, core_file> content)
        : path_(std::move(path)), fd_(std::move(fd)), bytes_(std::move(bytes)), content_(std::move(content)) {}

    std::string path_;
    unique_fd fd_;
    mapping bytes_;
    std::variant<reader_type, core_file> content_;
    std::array<std::byte, 4096> page_{};
};

/// The value of `key` in a VMCOREINFO text ("OSRELEASE"), or "".
[[nodiscard]] std::string vmcoreinfo_value(std::string_view text, std::string_view key);

} // namespace ktstr::tool
