// SPDX-License-Identifier: Apache-2.0
/// \file
/// The only way to write a result or cache file: temporary file, fsync, rename, fsync of the folder.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/io.hpp"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace ktstr {

/// A file that appears under its name complete or not at all. Old content survives every failure.
class publication {
public:
    publication(publication&& other) noexcept
        : target_(std::move(other.target_)), temporary_(std::exchange(other.temporary_, {})), fd_(std::move(other.fd_)) {}
    publication& operator=(publication&&) = delete;
    ~publication() {
        if (!temporary_.empty())
            ::unlink(temporary_.c_str());
    }

    /// Opens a temporary file beside `target` (same folder, so that the rename is atomic). `errc::unsupported` when
    /// `target` is there and no regular file: a rename would replace /dev/null or a symbolic link instead of writing
    /// to it.
    [[nodiscard]] static result<publication> open(std::string target, mode_t mode = 0644) {
        struct stat st {};
        if (::lstat(target.c_str(), &st) == 0 && !S_ISREG(st.st_mode))
            return fail(errc::unsupported, "publish.target", st.st_mode);
        static std::atomic<std::uint32_t> serial{0};
        publication out;
        out.target_ = std::move(target);
        // A temporary file of a dead process with our id may be left over: try the next number then.
        for (int tries = 0;; ++tries) {
            char suffix[48];
            std::snprintf(suffix, sizeof suffix, ".tmp-%d-%u", static_cast<int>(::getpid()),
                          serial.fetch_add(1, std::memory_order_relaxed));
            auto name = out.target_ + suffix;
            auto fd = unique_fd::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, mode);
            if (!fd && fd.error().code == errc::already_exists && tries < 100)
                continue;
            if (!fd)
                return std::unexpected(fd.error());
            out.fd_ = *std::move(fd);
            out.temporary_ = std::move(name);
            return out;
        }
    }

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

    /// Makes the content durable and gives it its name. On failure the temporary file goes and the old content stays.
    [[nodiscard]] result<> commit() {
        if (::fsync(fd_.get()) != 0)
            return os_fail("fsync");
        if (::rename(temporary_.c_str(), target_.c_str()) != 0)
            return os_fail("rename");
        temporary_.clear();
        auto const slash = target_.rfind('/');
        auto const folder = slash == std::string::npos ? std::string(".") : target_.substr(0, slash + 1);
        KTSTR_TRY(auto const dir, unique_fd::open(folder.c_str(), O_RDONLY | O_DIRECTORY));
        if (::fsync(dir.get()) != 0 && errno != EINVAL)
            return os_fail("fsync.folder");
        return {};
    }

private:
    publication() = default;
    std::string target_;
    std::string temporary_;
    unique_fd fd_;
};

/// Replaces the file at `path` by `content`, all or nothing.
[[nodiscard]] inline result<> publish(std::string path, std::span<std::byte const> content, mode_t mode = 0644) {
    KTSTR_TRY(auto file, publication::open(std::move(path), mode));
    KTSTR_CHECK(write_all(file.fd(), content));
    return file.commit();
}

/// Replaces the file at `path` by `text`, all or nothing.
[[nodiscard]] inline result<> publish(std::string path, std::string_view text, mode_t mode = 0644) {
    return publish(std::move(path), std::as_bytes(std::span(text.data(), text.size())), mode);
}

} // namespace ktstr
