// SPDX-License-Identifier: Apache-2.0
#include "ktstr/arch/arch.hpp"

#include "ktstr/arch/native.hpp"
#include "ktstr/arch/x86_64/x86_64.hpp"
#include "suites/arch_suite.hpp"

using namespace ktstr;

TEST_CASE_TEMPLATE("Arch: every model conforms", A, toy_arch, x86_64, native_arch) {
    arch_suite<A>();
}

TEST_CASE("x86_64: the program counter is rip, the hole ends at 4 GiB, both resets of a PC end the guest") {
    x86_64::regs_type regs{};
    regs.rip = 0xffffffff81000000;
    CHECK(x86_64::pc(regs) == gva{0xffffffff81000000});
    CHECK(x86_64::mmio_hole.end() == gpa{4 * GiB});
    bool keyboard = false;
    bool acpi = false;
    for (auto const& r : x86_64::reset_writes) {
        keyboard |= r.port == 0x64 && r.value == 0xfe && r.cause == reset_cause::keyboard_controller;
        acpi |= r.port == 0xcf9 && r.value == 6 && r.cause == reset_cause::acpi_reset_register;
    }
    CHECK(keyboard);
    CHECK(acpi);
}
