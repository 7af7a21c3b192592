// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `FileSource` policy: where files for the initramfs are read from.
///
/// Contract: all paths are absolute and without "." and ".." components. `look(path)` says what stands at `path` itself
/// (a symbolic link is not followed; its parents are) and is `errc::not_found` for nothing; `target(path)` gives the text
/// of a symbolic link; `read(path)` gives a regular file's bytes. Calls may block on a disk. Models: `host_files` (this
/// machine), `no_files` (empty). Suite: tests/suites/file_source_suite.hpp.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/io.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace ktstr {

/// What a path is.
enum class file_kind : std::uint8_t { regular, directory, symlink, other };

/// A path's kind and permission bits.
struct file_look {
    file_kind kind = file_kind::other;
    std::uint32_t permissions = 0;
};

namespace detail {
template <class F>
concept file_source_look = requires(F const& f, std::string const& path) {
    { f.look(path) } -> std::same_as<result<file_look>>;
};
template <class F>
concept file_source_target = requires(F const& f, std::string const& path) {
    { f.target(path) } -> std::same_as<result<std::string>>;
};
template <class F>
concept file_source_read = requires(F const& f, std::string const& path) {
    { f.read(path) } -> std::same_as<result<std::vector<std::byte>>>;
};
} // namespace detail

/// A place that files come from; see the contract at the top of this file.
template <class F>
concept FileSource = detail::file_source_look<F> && detail::file_source_target<F> && detail::file_source_read<F>;

/// Fails to compile with one sentence per requirement that `F` misses.
template <class F>
consteval bool explain_file_source() {
    static_assert(detail::file_source_look<F>, "FileSource: missing `result<file_look> look(std::string const&) const`");
    static_assert(detail::file_source_target<F>, "FileSource: missing `result<std::string> target(std::string const&) const`");
    static_assert(detail::file_source_read<F>,
                  "FileSource: missing `result<std::vector<std::byte>> read(std::string const&) const`");
    return FileSource<F>;
}

/// Nothing anywhere.
struct no_files {
    [[nodiscard]] result<file_look> look(std::string const&) const { return fail(errc::not_found, "files.look"); }
    [[nodiscard]] result<std::string> target(std::string const&) const { return fail(errc::not_found, "files.target"); }
    [[nodiscard]] result<std::vector<std::byte>> read(std::string const&) const { return fail(errc::not_found, "files.read"); }
};
static_assert(FileSource<no_files>);

/// The files of this machine. A file larger than `largest` is refused with `errc::no_space`.
struct host_files {
    bytes largest{512 * MiB};

    [[nodiscard]] result<file_look> look(std::string const& path) const {
        struct stat st {};
        if (::lstat(path.c_str(), &st) != 0)
            return os_fail("files.look", 0, errno == ENOTDIR ? ENOENT : errno);
        auto const kind = S_ISREG(st.st_mode)   ? file_kind::regular
                          : S_ISDIR(st.st_mode) ? file_kind::directory
                          : S_ISLNK(st.st_mode) ? file_kind::symlink
                                                : file_kind::other;
        return file_look{kind, static_cast<std::uint32_t>(st.st_mode) & 07777U};
    }
    [[nodiscard]] result<std::string> target(std::string const& path) const {
        std::string out(4096, '\0');
        auto const n = ::readlink(path.c_str(), out.data(), out.size());
        if (n < 0)
            return os_fail("files.target");
        out.resize(static_cast<std::size_t>(n));
        return out;
    }
    [[nodiscard]] result<std::vector<std::byte>> read(std::string const& path) const {
        KTSTR_TRY(auto const fd, unique_fd::open(path.c_str(), O_RDONLY | O_NOCTTY));
        KTSTR_TRY(auto const size, file_size(fd.get()));
        if (size > largest.raw)
            return fail(errc::no_space, "files.read", size);
        std::vector<std::byte> out(static_cast<std::size_t>(size));
        KTSTR_TRY(auto const n, read_full(fd.get(), out));
        out.resize(n); // Shorter when somebody cuts the file meanwhile.
        return out;
    }
};
static_assert(FileSource<host_files>);

} // namespace ktstr
