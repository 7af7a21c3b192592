// SPDX-License-Identifier: Apache-2.0
/// \file
/// x86_64 as a model of `Arch`.
#pragma once

#include "ktstr/arch/arch.hpp"
#include "ktstr/arch/x86_64/boot_state.hpp"
#include "ktstr/arch/x86_64/map.hpp"
#include "ktstr/base/units.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace ktstr {

/// The x86_64 architecture.
struct x86_64 {
    using regs_type = x86_regs;
    static constexpr std::string_view name = "x86_64";
    static constexpr std::uint64_t page_size = 4096;
    static constexpr gpa_range mmio_hole = x86_map::mmio_hole;
    /// The i8042's pulse of the reset line, and the FADT's reset register.
    static constexpr std::array<reset_write, 2> reset_writes{{
        {0x64, 0xfe, reset_cause::keyboard_controller},
        {0xcf9, 0x06, reset_cause::acpi_reset_register},
    }};
    [[nodiscard]] static constexpr gva pc(x86_regs const& regs) noexcept { return gva{regs.rip}; }
};
static_assert(Arch<x86_64>);

} // namespace ktstr
