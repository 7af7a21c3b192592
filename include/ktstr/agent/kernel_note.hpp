// SPDX-License-Identifier: Apache-2.0
/// \file
/// Where the running kernel keeps its VMCOREINFO note. Source: linux kernel/ksysfs.c, vmcoreinfo_show().
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/sys/io.hpp"
#include "ktstr/wire/messages.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace ktstr::agent {

/// Reads "0xADDRESS SIZE\n", both hexadecimal, as /sys/kernel/vmcoreinfo has it; `errc::bad_format` for anything else.
[[nodiscard]] inline result<wire::kernel_note> parse_kernel_note(std::string const& text) {
    char* end = nullptr;
    auto const address = std::strtoull(text.c_str(), &end, 16);
    if (end == text.c_str() || *end != ' ')
        return fail(errc::bad_format, "vmcoreinfo.address");
    char const* const second = end;
    auto const size = std::strtoull(second, &end, 16);
    if (end == second || (*end != '\n' && *end != '\0') || size == 0)
        return fail(errc::bad_format, "vmcoreinfo.size");
    return wire::kernel_note{address, size};
}

/// The note of this kernel; a kernel without CONFIG_VMCORE_INFO has none.
[[nodiscard]] inline result<wire::kernel_note> read_kernel_note() {
    KTSTR_TRY(auto const text, read_file("/sys/kernel/vmcoreinfo", 256));
    return parse_kernel_note(text);
}

} // namespace ktstr::agent
