// SPDX-License-Identifier: Apache-2.0
/// \file
/// The options a kernel must have to be a guest of ours, as a table, and what a given .config lacks.
#pragma once

#include "ktstr/boot/kernel_config.hpp"
#include "ktstr/store/manifest.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace ktstr {

/// One need: any of `options` fulfils it (separated by '|'); `module_ok` when a module will do.
struct kernel_need {
    std::string_view options;
    bool module_ok;
    bool vital; ///< Without it the guest cannot work at all; otherwise a note is enough.
    std::string_view why;
};

/// What the guest side of ktstr relies on.
inline constexpr kernel_need kernel_needs[] = {
    {"X86_64", false, true, "a 64-bit kernel for x86_64"},
    {"BLK_DEV_INITRD", false, true, "the guest's files come in an initramfs"},
    {"BINFMT_ELF", false, true, "to start the agent"},
    {"VIRTIO_MMIO|VIRTIO_PCI", true, true, "the transport of the console and the message port"},
    {"VIRTIO_CONSOLE", true, true, "the console and the message port"},
    {"DEVTMPFS", false, true, "device files"},
    {"PROC_FS", false, true, "/proc"},
    {"SYSFS", false, true, "/sys"},
    {"CGROUPS", false, true, "workers run in cgroups"},
    {"CPUSETS", false, true, "the checks of cpuset isolation"},
    {"FAIR_GROUP_SCHED", false, true, "the cpu controller"},
    {"ACPI", false, true, "the machine is described by ACPI tables"},
    {"PRINTK", false, true, "panics and warnings are read from the log"},
    {"TMPFS", false, false, "folders of files that programs in the guest write"},
    {"SCHED_INFO", false, false, "run delay of each worker (/proc/PID/schedstat)"},
    {"SMP", false, false, "more than one CPU"},
    {"NUMA", false, false, "topologies of more than one node"},
    {"ACPI_NUMA", false, false, "topologies of more than one node"},
    {"SERIAL_8250_CONSOLE", false, false, "messages before the virtio console is up"},
    {"HYPERVISOR_GUEST", false, false, "the KVM clock"},
    {"SCHED_CLASS_EXT", false, false, "sched_ext schedulers"},
};

/// What `config` lacks.
struct kernel_lacks {
    std::vector<std::string> vital; ///< "CONFIG_CPUSETS (why)"; empty: the kernel will do.
    std::vector<std::string> notes; ///< The same for what only some uses need.
};

/// Holds `config`, the text of a .config, against the table.
[[nodiscard]] inline kernel_lacks check_kernel_config(std::string_view config) {
    kernel_lacks out;
    for (auto const& need : kernel_needs) {
        bool met = false;
        std::string named;
        auto rest = need.options;
        while (!rest.empty()) {
            auto const bar = rest.find('|');
            auto const option = rest.substr(0, bar);
            rest.remove_prefix(bar == std::string_view::npos ? rest.size() : bar + 1);
            auto const state = config_option(config, option);
            met = met || state == config_state::built_in || (need.module_ok && state == config_state::module);
            named.append(named.empty() ? "CONFIG_" : " or CONFIG_").append(option);
        }
        if (!met)
            (need.vital ? out.vital : out.notes).push_back(named.append(" (").append(need.why).append(")"));
    }
    auto const modular = config_option(config, "VIRTIO_CONSOLE") == config_state::module ||
                         (config_option(config, "VIRTIO_MMIO") != config_state::built_in &&
                          config_option(config, "VIRTIO_PCI") != config_state::built_in);
    if (modular && config_option(config, "MODULES") == config_state::absent)
        out.vital.emplace_back("CONFIG_MODULES (its virtio drivers are modules)");
    return out;
}

/// The drivers as `config` has them.
[[nodiscard]] constexpr kernel_drivers drivers_of_config(std::string_view config) noexcept {
    return {config_option(config, "VIRTIO_MMIO"), config_option(config, "VIRTIO_PCI"),
            config_option(config, "VIRTIO_CONSOLE")};
}

/// The formats of initramfs that `config` can unpack, as a manifest lists them.
[[nodiscard]] inline std::string initramfs_formats(std::string_view config) {
    struct format {
        std::string_view option;
        std::string_view name;
    };
    constexpr format formats[] = {{"RD_ZSTD", "zstd"}, {"RD_LZ4", "lz4"}, {"RD_GZIP", "gzip"}, {"RD_XZ", "xz"}};
    std::string out;
    for (auto const& one : formats)
        if (config_option(config, one.option) == config_state::built_in)
            out.append(out.empty() ? "" : " ").append(one.name);
    return out;
}

} // namespace ktstr
