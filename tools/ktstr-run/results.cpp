// SPDX-License-Identifier: Apache-2.0
/// \file
/// Making the results folder and writing into it.
#include "ktstr-run/results.hpp"

#include "ktstr/sys/publish.hpp"
#include "support/xdg.hpp"

#include <cerrno>
#include <ctime>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ktstr::tool {
namespace {

std::string utc_now() {
    auto const now = ::time(nullptr);
    tm parts{};
    ::gmtime_r(&now, &parts);
    char text[32];
    auto const n = ::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
    return std::string(text, n);
}

outcome<> write_failed(error const& e, std::string const& path, std::string_view option) {
    auto const full = e.code == errc::no_space;
    return std::unexpected(problem_from(e, exit_code::harness, full ? "the disk is full" : "cannot write a result",
                                        option.empty() ? path : fmt::format("{} (option --{})", path, option),
                                        full ? "free some space; an older file of this name is unchanged"
                                             : "see whether the folder is there and writable for you"));
}

} // namespace

outcome<results_folder> results_folder::make_new(std::uint64_t id) {
    auto state = xdg_make(xdg_folder::state);
    if (!state)
        return std::unexpected(state.error());
    auto const runs = *state + "/runs";
    if (auto made = make_folders(runs); !made)
        return std::unexpected(made.error());
    for (std::uint64_t again = 0; again < 64; ++again) {
        auto const path = fmt::format("{}/{}-{:06x}", runs, utc_now(), (id + again) & 0xff'ffff);
        if (::mkdir(path.c_str(), 0700) == 0)
            return results_folder(path);
        if (errno != EEXIST)
            return problem_of(exit_code::harness, std::string("cannot make a results folder: ") + std::strerror(errno),
                              path, "free some space, or name another folder with --results");
    }
    return problem_of(exit_code::harness, "no free name for a results folder", runs);
}

outcome<results_folder> results_folder::use(std::string path) {
    if (auto made = make_folders(path); !made)
        return std::unexpected(made.error());
    if (::access(path.c_str(), W_OK | X_OK) != 0)
        return problem_of(exit_code::bad_input, fmt::format("cannot write into '{}': {}", path, std::strerror(errno)),
                          "option --results", "name a folder that is writable for you");
    return results_folder(std::move(path));
}

outcome<> results_folder::put(std::string_view name, std::string_view content) const {
    auto const path = path_ + '/' + std::string(name);
    if (auto done = publish(path, content); !done)
        return write_failed(done.error(), path, {});
    return {};
}

void results_folder::remove_if_empty() const noexcept { ::rmdir(path_.c_str()); }

outcome<> put_file(std::string const& path, std::string_view content, std::string_view option) {
    struct stat st{};
    auto const special = path != "-" && ::stat(path.c_str(), &st) == 0 && !S_ISREG(st.st_mode);
    if (path == "-" || special) { // A pipe or /dev/full cannot be replaced by rename.
        auto fd = result<unique_fd>(unique_fd());
        if (special)
            fd = unique_fd::open(path.c_str(), O_WRONLY);
        if (!fd)
            return write_failed(fd.error(), path, option);
        if (auto done = write_all(special ? fd->get() : STDOUT_FILENO, content); !done)
            return write_failed(done.error(), path, option);
        return {};
    }
    if (auto done = publish(path, content); !done)
        return write_failed(done.error(), path, option);
    return {};
}

outcome<> check_writable(std::string const& path, std::string_view option) {
    if (path == "-")
        return {};
    auto const where = fmt::format("option --{}", option);
    struct stat st{};
    if (::stat(path.c_str(), &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return problem_of(exit_code::bad_input, fmt::format("'{}' is a folder", path), where, "name a file");
        if (::access(path.c_str(), W_OK) != 0)
            return problem_of(exit_code::bad_input, fmt::format("cannot write '{}': {}", path, std::strerror(errno)),
                              where, "name a file that is writable for you");
    }
    auto const slash = path.rfind('/');
    auto const folder = slash == std::string::npos ? std::string(".") : path.substr(0, slash + 1);
    if (::access(folder.c_str(), W_OK | X_OK) != 0 && !(::stat(path.c_str(), &st) == 0 && !S_ISREG(st.st_mode)))
        return problem_of(exit_code::bad_input,
                          fmt::format("no file can be made in '{}': {}", folder, std::strerror(errno)), where,
                          "name a folder that is there and writable for you");
    return {};
}

} // namespace ktstr::tool
