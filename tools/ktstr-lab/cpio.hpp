// SPDX-License-Identifier: Apache-2.0
/// \file
/// A "newc" cpio archive in memory, as the kernel unpacks it (linux Documentation/driver-api/early-userspace/buffer-format.rst).
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace ktstr::lab {

/// Grows by entries; a folder comes before what is in it.
class cpio_archive {
public:
    void folder(std::string_view name) { entry(name, 0040755, 0, 0, {}); }
    void file(std::string_view name, unsigned mode, std::string_view content) { entry(name, 0100000U | mode, 0, 0, content); }
    void character_device(std::string_view name, unsigned major, unsigned minor) { entry(name, 0020600, major, minor, {}); }
    /// The archive with its end mark.
    [[nodiscard]] std::string finish() {
        entry("TRAILER!!!", 0, 0, 0, {});
        return std::move(out_);
    }

private:
    void entry(std::string_view name, unsigned mode, unsigned major, unsigned minor, std::string_view content) {
        char header[111];
        std::snprintf(header, sizeof header, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ++inode_, mode, 0U, 0U,
                      1U, 0U, static_cast<unsigned>(content.size()), 0U, 0U, major, minor, static_cast<unsigned>(name.size() + 1), 0U);
        out_.append(header, 110).append(name).push_back('\0');
        pad();
        out_.append(content);
        pad();
    }
    void pad() { out_.append((4 - out_.size() % 4) % 4, '\0'); }

    std::string out_;
    unsigned inode_ = 0;
};

} // namespace ktstr::lab
