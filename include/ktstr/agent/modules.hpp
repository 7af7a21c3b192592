// SPDX-License-Identifier: Apache-2.0
/// \file
/// Loads the kernel modules that the initramfs brought, in the order of their names.
#pragma once

#include "ktstr/agent/folder.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/sys/fd.hpp"

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <sys/syscall.h>
#include <unistd.h>

namespace ktstr::agent {

/// MODULE_INIT_COMPRESSED_FILE of linux/module.h (since 5.17).
inline constexpr int module_init_compressed_file = 4;

/// The finit_module(2) flags for a file of this name.
[[nodiscard]] constexpr int module_flags(std::string_view name) noexcept {
    return name.ends_with(".xz") || name.ends_with(".zst") || name.ends_with(".gz") ? module_init_compressed_file : 0;
}

/// Loads every file of `folder`; a module that is there already is fine, a folder that is missing too.
/// The number loaded. On failure `detail` names the module.
[[nodiscard]] inline result<std::uint32_t> load_modules(char const* folder, std::string& detail) {
    auto const names = list_folder(folder);
    if (!names)
        return names.error().code == errc::not_found ? result<std::uint32_t>(0) : std::unexpected(names.error());
    std::uint32_t loaded = 0;
    for (auto const& name : *names) {
        detail = name;
        auto const path = std::string(folder) + "/" + name;
        KTSTR_TRY(auto const fd, unique_fd::open(path.c_str(), O_RDONLY));
        if (::syscall(SYS_finit_module, fd.get(), "", module_flags(name)) != 0 && errno != EEXIST)
            return os_fail("finit_module");
        ++loaded;
    }
    detail.clear();
    return loaded;
}

} // namespace ktstr::agent
