// SPDX-License-Identifier: Apache-2.0
// [harness]
#include "ktstr/runner/presets.hpp"

#include <cstdio>
#include <string>

/// Keeps what the guest prints on COM1; every other exit is answered by the table of the architecture.
struct console_exits : ktstr::exit_defaults<ktstr::native_arch> {
    std::string text;
    ktstr::exit_verdict on_pio_out(ktstr::pio_exit const& e) noexcept {
        if (e.port == 0x3f8)
            text += static_cast<char>(e.data[0]);
        return exit_defaults::on_pio_out(e);
    }
};

/// One alias differs from the preset: another runner, specialised for it.
struct harness_traits : ktstr::scripted_runner_traits {
    using exits = console_exits;
};

int main() {
    using namespace ktstr;
    machine_shape const shape{{{{gpa{0}, bytes{1 * MiB}}, 0, bytes{0}}}, {0}};
    scripted_hypervisor::vm_options options;
    options.scripts = {{{.kind = exit_kind::pio_out, .address = 0x3f8, .value = 'h'},
                        {.kind = exit_kind::pio_out, .address = 0x3f8, .value = 'i'},
                        {.kind = exit_kind::pio_out, .address = 0x64, .value = 0xfe}}}; // reset by the i8042
    console_exits exits;
    auto machine = basic_runner<harness_traits>::make(shape, options);
    if (!machine)
        return 99;
    auto const end = machine->run(exits, {monotonic_clock{}.now(), seconds(10), nanos{}});
    std::printf("guest said: %s\n", exits.text.c_str());
    return end && end->end == guest_end::reset_i8042 && exits.text == "hi" ? 0 : 1;
}
// [/harness]
