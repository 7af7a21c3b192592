// SPDX-License-Identifier: Apache-2.0
/// \file
/// One stopped vCPU as plain values: its registers with names, whatever hypervisor and architecture it is of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ktstr {

/// Families of registers, in the order in which they are shown.
enum class register_group : std::uint8_t { general, segment, control, debug, interrupt, msr };
constexpr register_group last_of(register_group) noexcept { return register_group::msr; }

/// One register: a name of at most 23 bytes as the architecture's manual has it in lower case ("rax", "cr3", "cs.base",
/// "ttbr1_el1"), and its value.
struct register_value {
    std::string name;
    register_group group = register_group::general;
    std::uint64_t value = 0;
    static void describe(auto& io, auto& self) { io(self.name), io(self.group), io(self.value); } ///< for wire/codec.hpp
    friend bool operator==(register_value const&, register_value const&) = default;
};

/// What a vCPU was doing when it was frozen.
enum class vcpu_presence : std::uint8_t {
    parked,  ///< Out of the guest, nothing pending: its registers are exact.
    dead,    ///< Its loop had ended before; its registers are the last ones.
    missing, ///< It did not answer in time: its registers may be absent or stale.
};
constexpr vcpu_presence last_of(vcpu_presence) noexcept { return vcpu_presence::missing; }

/// One vCPU in a snapshot.
struct vcpu_record {
    std::uint32_t index = 0;
    std::uint32_t hardware_id = 0; ///< APIC id, MPIDR index.
    vcpu_presence presence = vcpu_presence::parked;
    std::vector<register_value> registers; ///< In the order of their groups; empty when they could not be had.
    std::vector<std::byte> fpu;            ///< The architecture's own FPU image (XSAVE area, V registers); may be empty.

    static void describe(auto& io, auto& self) { ///< for wire/codec.hpp
        io(self.index), io(self.hardware_id), io(self.presence), io(self.registers), io(self.fpu);
    }
    friend bool operator==(vcpu_record const&, vcpu_record const&) = default;

    /// The value of the register called `name`, or `otherwise`.
    [[nodiscard]] std::uint64_t value(std::string_view name, std::uint64_t otherwise = 0) const noexcept {
        for (auto const& r : registers)
            if (r.name == name)
                return r.value;
        return otherwise;
    }
};

} // namespace ktstr
