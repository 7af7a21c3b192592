// SPDX-License-Identifier: Apache-2.0
#include "ktstr-lab/cache.hpp"
#include "ktstr-lab/sha256.hpp"
#include "ktstr/sys/io.hpp"
#include "ktstr/sys/publish.hpp"
#include "support/xdg.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

namespace ktstr::lab {

namespace {
constexpr std::size_t block = 65536;

std::string identity(struct stat const& st) {
    auto const part = [](auto n) { return std::to_string(n) + ' '; };
    return part(st.st_size) + part(st.st_ino) + part(st.st_mtim.tv_sec) + part(st.st_mtim.tv_nsec) + part(st.st_ctim.tv_sec)
           + part(st.st_ctim.tv_nsec);
}

struct file_line {
    std::string digest, name;
    std::uint64_t size = 0;
};

std::vector<file_line> files_of(std::string const& manifest) {
    std::vector<file_line> out;
    for (std::size_t at = 0; at < manifest.size();) {
        auto const end = std::min(manifest.find('\n', at), manifest.size());
        auto const line = manifest.substr(at, end - at);
        at = end + 1;
        auto const space = line.find(' ', 65);
        if (line.size() < 67 || line[64] != ' ' || space == std::string::npos)
            continue;
        out.push_back({line.substr(0, 64), line.substr(space + 1), std::strtoull(line.c_str() + 65, nullptr, 10)});
    }
    return out;
}
} // namespace

outcome<file_lock> file_lock::take(signal_gate const& gate, std::string const& path, bool exclusive) {
    auto fd = unique_fd::open(path.c_str(), O_RDWR | O_CREAT, 0644);
    if (!fd)
        return std::unexpected(tool::problem_from(fd.error(), exit_code::harness, "cannot open the cache's lock", path,
                                                  "make the cache folder writable, or set XDG_CACHE_HOME"));
    while (::flock(fd->get(), (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return problem_of(exit_code::harness, std::string("cannot lock: ") + std::strerror(errno), path);
        if (auto const waited = gate.readable(-1, now_ns() + second / 20); !waited)
            return std::unexpected(waited.error());
    }
    file_lock out;
    out.fd_ = std::move(*fd);
    return out;
}

outcome<cache_draft> cache_draft::open(std::string const& cache, std::string_view name) {
    cache_draft out;
    out.cache_ = cache;
    out.name_ = name;
    auto path = cache + "/draft-" + std::to_string(::getpid()) + '-' + std::string(name);
    remove_tree(path);
    if (::mkdir(path.c_str(), 0755) != 0)
        return problem_of(exit_code::harness, std::string("cannot make a folder: ") + std::strerror(errno), path,
                          "make the cache folder writable, or set XDG_CACHE_HOME");
    out.path_ = std::move(path);
    return out;
}

cache_draft::~cache_draft() {
    if (!path_.empty())
        remove_tree(path_);
}

outcome<> cache_draft::publish(signal_gate const& gate, std::string const& head, std::vector<std::string> const& files) {
    auto manifest = head;
    std::string stamps;
    for (auto const& each : files) {
        auto const digest = digest_of(path_ + '/' + each);
        if (!digest)
            return std::unexpected(digest.error());
        struct stat st {};
        auto const fd = unique_fd::open((path_ + '/' + each).c_str(), O_RDONLY);
        if (!fd || ::fsync(fd->get()) != 0 || ::fstat(fd->get(), &st) != 0)
            return problem_of(exit_code::harness, std::string("cannot write to the cache: ") + std::strerror(errno), path_,
                              "check the free space of the cache folder");
        manifest += *digest + ' ' + std::to_string(st.st_size) + ' ' + each + '\n';
        stamps += identity(st) + *digest + '\n';
    }
    for (auto const& [file, text] : {std::pair{"/manifest", &manifest}, std::pair{"/stamps", &stamps}})
        if (auto const done = ktstr::publish(path_ + file, *text); !done)
            return std::unexpected(tool::problem_from(done.error(), exit_code::harness, "cannot write to the cache", path_,
                                                      "check the free space of the cache folder"));
    auto const target = cache_ + '/' + name_;
    auto const alone = file_lock::take(gate, cache_ + "/in-use.lock", true);
    if (!alone)
        return std::unexpected(alone.error());
    remove_tree(target);
    if (::rename(path_.c_str(), target.c_str()) != 0)
        return problem_of(exit_code::harness, std::string("cannot write to the cache: ") + std::strerror(errno), target);
    path_.clear();
    return {};
}

outcome<std::string> digest_of(std::string const& path) {
    auto const fd = unique_fd::open(path.c_str(), O_RDONLY);
    if (!fd)
        return std::unexpected(tool::problem_from(fd.error(), exit_code::harness, "cannot read a file", path));
    sha256 sum;
    std::vector<std::byte> buffer(block);
    for (off_t at = 0;;) {
        at = ::lseek(fd->get(), at, SEEK_DATA);
        if (at < 0) // ENXIO: only a hole is left
            break;
        at -= at % static_cast<off_t>(block);
        auto const n = ::pread(fd->get(), buffer.data(), buffer.size(), at);
        if (n < 0)
            return problem_of(exit_code::harness, std::string("cannot read a file: ") + std::strerror(errno), path);
        if (n == 0)
            break;
        auto const got = std::span(buffer).first(static_cast<std::size_t>(n));
        if (std::any_of(got.begin(), got.end(), [](std::byte each) { return each != std::byte{0}; })) {
            sum.update(std::to_string(at) + ' ');
            sum.update(got);
        }
        at += n;
    }
    return sum.finish();
}

bool entry_is_good(std::string const& folder) {
    auto const manifest = read_file((folder + "/manifest").c_str());
    if (!manifest)
        return false;
    auto const files = files_of(*manifest);
    std::string stamps;
    for (auto const& each : files) {
        struct stat st {};
        if (::stat((folder + '/' + each.name).c_str(), &st) != 0 || static_cast<std::uint64_t>(st.st_size) != each.size)
            return false;
        stamps += identity(st) + each.digest + '\n';
    }
    auto const known = read_file((folder + "/stamps").c_str());
    if (!known || *known != stamps) {
        for (auto const& each : files) {
            auto const digest = digest_of(folder + '/' + each.name);
            if (!digest || *digest != each.digest)
                return false;
        }
        (void)publish(folder + "/stamps", stamps);
    }
    ::utimensat(AT_FDCWD, folder.c_str(), nullptr, 0); // last use, for prune
    return !files.empty();
}

void remove_tree(std::string const& path) {
    ::nftw(
        path.c_str(),
        [](char const* each, struct stat const*, int type, FTW*) {
            if (type == FTW_DP || type == FTW_D)
                ::rmdir(each);
            else
                ::unlink(each);
            return 0;
        },
        16, FTW_DEPTH | FTW_PHYS);
}

void prune(std::string const& cache, std::string_view kind, std::size_t keep) {
    auto* const folder = ::opendir(cache.c_str());
    if (folder == nullptr)
        return;
    std::vector<std::pair<std::int64_t, std::string>> found;
    while (auto const* const each = ::readdir(folder)) {
        std::string const name = each->d_name;
        auto const path = cache + '/' + name;
        if (name.starts_with("draft-")) {
            // Only the holder of the build lock makes drafts, and that is us: older ones belong to killed builders.
            if (!name.starts_with("draft-" + std::to_string(::getpid()) + '-'))
                remove_tree(path);
            continue;
        }
        struct stat st {};
        if (name.starts_with(std::string(kind) + '-') && ::stat(path.c_str(), &st) == 0)
            found.emplace_back(st.st_mtim.tv_sec, path);
    }
    ::closedir(folder);
    std::sort(found.rbegin(), found.rend());
    for (std::size_t i = keep; i < found.size(); ++i)
        remove_tree(found[i].second);
}

} // namespace ktstr::lab
