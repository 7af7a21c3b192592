// SPDX-License-Identifier: Apache-2.0
/// \file
/// The file systems pid 1 needs, and standard descriptors that lead somewhere.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/sys/fd.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ktstr::agent {

/// One mount: where, which type, with what data, and whether the agent can do without it.
struct mount_point {
    char const* path;
    char const* type;
    unsigned long flags;
    char const* data;
    bool required;
};

/// In mounting order.
inline constexpr std::array<mount_point, 12> mount_table{{
    {"/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "", true},
    {"/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "", true},
    {"/dev", "devtmpfs", MS_NOSUID, "mode=0755", true},
    {"/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666", false},
    {"/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777", false},
    {"/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777", true},
    {"/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755", true},
    {"/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, "", true},
    {"/sys/fs/bpf", "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700", false},
    {"/sys/kernel/debug", "debugfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "", false},
    {"/sys/kernel/tracing", "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "", false},
    {"/sys/kernel/security", "securityfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "", false},
}};

/// Mounts the table. A place that is mounted already is fine. `detail` names the place that failed.
[[nodiscard]] inline result<> mount_all(std::string& detail) {
    for (auto const& m : mount_table) {
        ::mkdir(m.path, 0755);
        if (::mount(m.type, m.path, m.type, m.flags, m.data) == 0 || errno == EBUSY || !m.required)
            continue;
        detail = m.path;
        return os_fail("mount");
    }
    [[maybe_unused]] auto const a = ::symlink("/proc/self/fd", "/dev/fd");
    [[maybe_unused]] auto const b = ::symlink("/proc/self/fd/0", "/dev/stdin");
    [[maybe_unused]] auto const c = ::symlink("/proc/self/fd/1", "/dev/stdout");
    [[maybe_unused]] auto const d = ::symlink("/proc/self/fd/2", "/dev/stderr");
    return {};
}

/// Opens /dev/console (or /dev/null) on descriptors 0, 1 and 2 as far as they are closed.
inline void fill_standard_descriptors() noexcept {
    for (int wanted = 0; wanted < 3; ++wanted) {
        if (::fcntl(wanted, F_GETFD) >= 0)
            continue;
        int fd = ::open("/dev/console", O_RDWR | O_NOCTTY);
        if (fd < 0)
            fd = ::open("/dev/null", O_RDWR);
        if (fd >= 0 && fd != wanted) {
            ::dup2(fd, wanted);
            ::close(fd);
        }
    }
}

} // namespace ktstr::agent
