// SPDX-License-Identifier: Apache-2.0
// [harness]
#include "ktstr/arch/x86_64/boot_state.hpp"
#include "ktstr/kvm/x86_64/regs.hpp"
#include "ktstr/runner/presets.hpp"

#include <array>
#include <cstdio>
#include <string>

struct console_exits : ktstr::exit_defaults<ktstr::native_arch> {
    std::string text;
    ktstr::exit_verdict on_pio_out(ktstr::pio_exit const& e) noexcept {
        if (e.port == 0x3f8)
            text += static_cast<char>(e.data[0]);
        return exit_defaults::on_pio_out(e);
    }
};
struct harness_traits : ktstr::default_runner_traits {
    using exits = console_exits; // a real vCPU this time; everything else is the preset's
};

int main() {
    using namespace ktstr;
    // mov edx, 0x3f8; mov al, 'K'; out dx, al; mov edx, 0x64; mov al, 0xfe; out dx, al
    constexpr std::array<std::uint8_t, 16> code{0xba, 0xf8, 3, 0, 0, 0xb0, 'K', 0xee, 0xba, 0x64, 0, 0, 0, 0xb0, 0xfe, 0xee};
    console_exits exits;
    auto machine = basic_runner<harness_traits>::make({{{{gpa{0}, bytes{1 * MiB}}, 0, bytes{0}}}, {0}}, {.irqchip = false});
    if (!machine)
        return machine.error().code == errc::permission || machine.error().code == errc::not_found ? 77 : 99;
    if (!write_boot_tables(machine->memory()) || !write_guest(machine->memory(), gpa{0x30000}, std::as_bytes(std::span(code))) ||
        !kvm::set_boot_state(machine->vcpu(0).fd(), x86_long_mode_entry(gpa{0x30000}, x86_map::zero_page)))
        return 99;
    auto const end = machine->run(exits, {monotonic_clock{}.now(), seconds(10), nanos{}});
    std::printf("guest said: %s\n", exits.text.c_str());
    return end && end->bsp == bsp_exit_reason::shutdown && exits.text == "K" ? 0 : 1;
}
// [/harness]
