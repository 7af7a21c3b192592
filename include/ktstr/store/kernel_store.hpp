// SPDX-License-Identifier: Apache-2.0
/// \file
/// The folder of kernels: one subfolder an entry, made aside and renamed into place, so that an entry is there complete
/// or not at all.
///
/// Several processes may use one store at once. Adding, removing and the clean-up of what a killed process left behind
/// happen under an exclusive lock on `.lock`; opening takes no lock of the store, only one on the entry itself.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/scope_exit.hpp"
#include "ktstr/store/deb_version.hpp"
#include "ktstr/store/manifest.hpp"
#include "ktstr/store/stored_kernel.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/io.hpp"
#include "ktstr/sys/publish.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <utility>
#include <vector>

namespace ktstr {

/// Removes a folder with everything in it; a folder that is not there is fine. Symbolic links are not followed.
[[nodiscard]] inline result<> remove_tree(std::string const& path) {
    auto const one = [](char const* name, struct stat const*, int, FTW*) { return ::remove(name); };
    if (::nftw(path.c_str(), one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        return os_fail("remove_tree");
    return {};
}

/// An entry that is being made in a folder of its own. Without `commit` it disappears again.
class kernel_staging {
public:
    kernel_staging(kernel_staging&& other) noexcept
        : dir_(std::exchange(other.dir_, {})), target_(std::move(other.target_)), lock_path_(std::move(other.lock_path_)),
          manifest_(std::move(other.manifest_)) {}
    kernel_staging& operator=(kernel_staging&&) = delete;
    ~kernel_staging() {
        if (!dir_.empty())
            static_cast<void>(remove_tree(dir_));
    }

    /// The facts to be recorded; `files` is filled by `put`.
    [[nodiscard]] kernel_manifest& manifest() noexcept { return manifest_; }
    /// Where the files are while the entry is being made.
    [[nodiscard]] std::string const& dir() const noexcept { return dir_; }

    /// Writes a file of the entry and records its checksum. `name` may have one folder in front.
    [[nodiscard]] result<> put(std::string_view role, std::string const& name, std::span<std::byte const> content) {
        if (auto const slash = name.find('/'); slash != std::string::npos)
            if (::mkdir((dir_ + '/' + name.substr(0, slash)).c_str(), 0755) != 0 && errno != EEXIST)
                return os_fail("store.mkdir");
        auto const path = dir_ + '/' + name;
        KTSTR_TRY(auto const fd, unique_fd::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644));
        KTSTR_CHECK(write_sparse(fd.get(), content));
        if (::fsync(fd.get()) != 0)
            return os_fail("store.fsync");
        struct stat st {};
        if (::fstat(fd.get(), &st) != 0)
            return os_fail("store.fstat");
        manifest_.files.push_back({std::string(role), name, content.size(), detail::mtime_of(st), sha256_hex(content)});
        return {};
    }

    /// Gives the entry its name; an older entry of that name is replaced in one step.
    [[nodiscard]] result<> commit() {
        KTSTR_CHECK(publish(dir_ + "/manifest", write_manifest(manifest_)));
        KTSTR_TRY(auto const lock, unique_fd::open(lock_path_.c_str(), O_RDWR | O_CREAT, 0644));
        if (::flock(lock.get(), LOCK_EX) != 0)
            return os_fail("store.lock");
        // After an exchange our folder holds the old entry, and the destructor removes it.
        if (::renameat2(AT_FDCWD, dir_.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) == 0)
            return {};
        if (errno != ENOENT) { // a file system that cannot exchange
            auto const aside = dir_ + ".old";
            if (::rename(target_.c_str(), aside.c_str()) != 0 && errno != ENOENT)
                return os_fail("store.rename");
            scope_exit const clean([&]() noexcept { static_cast<void>(remove_tree(aside)); });
            if (::rename(dir_.c_str(), target_.c_str()) == 0) {
                dir_.clear();
                return {};
            }
            auto const number = errno;
            static_cast<void>(::rename(aside.c_str(), target_.c_str()));
            return os_fail("store.rename", 0, number);
        }
        if (::rename(dir_.c_str(), target_.c_str()) != 0)
            return os_fail("store.rename");
        dir_.clear();
        return {};
    }

private:
    friend class kernel_store;
    /// Writes `content` with holes instead of blocks of zeros, of which a vmlinux is full: a loader skips them.
    [[nodiscard]] static result<> write_sparse(int fd, std::span<std::byte const> content) {
        constexpr std::size_t block = 64 * 1024;
        if (::ftruncate(fd, static_cast<off_t>(content.size())) != 0)
            return os_fail("store.truncate");
        for (std::size_t at = 0; at < content.size(); at += block) {
            auto const piece = content.subspan(at, std::min(block, content.size() - at));
            if (piece[0] == std::byte{0} && std::memcmp(piece.data(), piece.data() + 1, piece.size() - 1) == 0)
                continue;
            if (::lseek(fd, static_cast<off_t>(at), SEEK_SET) < 0)
                return os_fail("store.seek");
            KTSTR_CHECK(write_all(fd, piece));
        }
        return {};
    }
    kernel_staging(std::string dir, std::string target, std::string lock_path)
        : dir_(std::move(dir)), target_(std::move(target)), lock_path_(std::move(lock_path)) {}
    std::string dir_;
    std::string target_;
    std::string lock_path_;
    kernel_manifest manifest_;
};

/// The store in one folder. Cheap to make; keeps nothing open.
class kernel_store {
public:
    /// `root`: absolute path of the store ("~/.cache/ktstr/kernels"); made when the first entry is.
    explicit kernel_store(std::string root) : root_(std::move(root)) {}

    [[nodiscard]] std::string const& root() const noexcept { return root_; }
    [[nodiscard]] std::string dir_of(std::string_view key) const { return root_ + '/' + std::string(key); }

    /// The keys of all entries, damaged ones included, sorted. An absent store is an empty one.
    [[nodiscard]] result<std::vector<std::string>> keys() const {
        std::vector<std::string> out;
        auto* const folder = ::opendir(root_.c_str());
        if (folder == nullptr) {
            if (errno == ENOENT)
                return out;
            return os_fail("store.open");
        }
        scope_exit const end([&]() noexcept { ::closedir(folder); });
        while (auto const* const entry = ::readdir(folder)) {
            std::string name = entry->d_name;
            struct stat st {};
            if (name[0] != '.' && ::stat((root_ + '/' + name).c_str(), &st) == 0 && S_ISDIR(st.st_mode))
                out.push_back(std::move(name));
        }
        std::sort(out.begin(), out.end());
        return out;
    }

    /// The manifest of an entry; its files are not looked at.
    [[nodiscard]] result<kernel_manifest> manifest_of(std::string_view key) const {
        KTSTR_TRY(auto const text, read_file((dir_of(key) + "/manifest").c_str(), 4U << 20));
        return read_manifest(text);
    }

    /// The key that `spec` means: a key itself, a release, or an alias ("debian:7.3"; the newest version of several).
    /// `errc::not_found` when there is none.
    [[nodiscard]] result<std::string> find(std::string_view spec) const {
        KTSTR_TRY(auto const all, keys());
        std::string best;
        std::string best_version;
        for (auto const& key : all) {
            if (key == spec)
                return key;
            auto const manifest = manifest_of(key);
            if (!manifest)
                continue;
            auto const named = manifest->release == spec ||
                               std::find(manifest->aliases.begin(), manifest->aliases.end(), spec) != manifest->aliases.end();
            if (named && (best.empty() || compare_deb_versions(manifest->version, best_version) > 0)) {
                best = key;
                best_version = manifest->version;
            }
        }
        if (best.empty())
            return fail(errc::not_found, "store.find");
        return best;
    }

    /// Opens the entry that `spec` means: whatever `find` understands, or the folder of an entry (also one outside this
    /// store: how the lab carries a kernel). Errors as `find` and `open_stored_kernel`.
    [[nodiscard]] result<stored_kernel> resolve(std::string_view spec, verify how = verify::quick) const {
        if (spec.starts_with('/'))
            return open_stored_kernel(std::string(spec), how);
        KTSTR_TRY(auto const key, find(spec));
        return open_stored_kernel(dir_of(key), how);
    }

    /// A place to make entry `key` in. Also clears away what killed processes left behind.
    [[nodiscard]] result<kernel_staging> stage(std::string_view key) const {
        if (!detail::is_inner_path(key) || key.find('/') != std::string_view::npos || key.front() == '.')
            return fail(errc::invalid_argument, "store.key");
        KTSTR_CHECK(make_root());
        KTSTR_TRY(auto const lock, lock_store());
        clear_leftovers();
        static std::atomic<unsigned> serial{0};
        char name[64];
        std::snprintf(name, sizeof name, "/.tmp-%d-%u", static_cast<int>(::getpid()),
                      serial.fetch_add(1, std::memory_order_relaxed));
        auto const dir = root_ + name;
        if (::mkdir(dir.c_str(), 0755) != 0)
            return os_fail("store.mkdir");
        kernel_staging out(dir, dir_of(key), root_ + "/.lock");
        out.manifest_.key = std::string(key);
        return out;
    }

    /// Removes an entry. `errc::not_found` when there is none, `errc::busy` while somebody has it open.
    [[nodiscard]] result<> remove(std::string_view key) const {
        auto const dir = dir_of(key);
        struct stat st {};
        if (!detail::is_inner_path(key) || ::stat(dir.c_str(), &st) != 0)
            return fail(errc::not_found, "store.remove");
        KTSTR_TRY(auto const lock, lock_store());
        if (auto const pin = unique_fd::open((dir + "/manifest").c_str(), O_RDONLY))
            if (::flock(pin->get(), LOCK_EX | LOCK_NB) != 0)
                return fail(errc::busy, "store.remove");
        auto const aside = root_ + "/.tmp-" + std::to_string(::getpid()) + "-rm";
        if (::rename(dir.c_str(), aside.c_str()) != 0)
            return os_fail("store.rename");
        return remove_tree(aside);
    }

private:
    /// Makes the root and its parents; marks it as a cache (https://bford.info/cachedir/).
    [[nodiscard]] result<> make_root() const {
        for (std::size_t at = root_.find('/', 1);; at = root_.find('/', at + 1)) {
            auto const part = root_.substr(0, at);
            if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST)
                return os_fail("store.mkdir");
            if (at == std::string::npos)
                break;
        }
        auto const tag = root_ + "/CACHEDIR.TAG";
        if (::access(tag.c_str(), F_OK) == 0)
            return {};
        return publish(tag, "Signature: 8a477f597d28d172789f06886806bc55\n# Kernels kept by ktstr-run; safe to delete.\n");
    }
    [[nodiscard]] result<unique_fd> lock_store() const {
        KTSTR_TRY(auto lock, unique_fd::open((root_ + "/.lock").c_str(), O_RDWR | O_CREAT, 0644));
        while (::flock(lock.get(), LOCK_EX) != 0)
            if (errno != EINTR)
                return os_fail("store.lock");
        return lock;
    }
    /// Removes `.tmp-PID-N` folders whose process is gone.
    void clear_leftovers() const {
        auto* const folder = ::opendir(root_.c_str());
        if (folder == nullptr)
            return;
        scope_exit const end([&]() noexcept { ::closedir(folder); });
        while (auto const* const entry = ::readdir(folder)) {
            auto const name = std::string_view(entry->d_name);
            if (!name.starts_with(".tmp-"))
                continue;
            auto const pid = std::atoi(entry->d_name + 5);
            if (pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH)
                static_cast<void>(remove_tree(root_ + '/' + entry->d_name));
        }
    }

    std::string root_;
};

} // namespace ktstr
