// SPDX-License-Identifier: Apache-2.0
// The vCPU path of one configuration as the compiler makes it: check_vcpu_path.py looks at the result.
#include "ktstr/arch/x86_64/x86_64.hpp"
#include "ktstr/dev/acpi_pm.hpp"
#include "ktstr/dev/bus.hpp"
#include "ktstr/dev/i8042.hpp"
#include "ktstr/dev/serial_16550.hpp"
#include "ktstr/freeze/rendezvous.hpp"
#include "ktstr/kvm/vcpu.hpp"
#include "ktstr/run/bus_exits.hpp"
#include "ktstr/run/exit_stats.hpp"
#include "ktstr/run/run_loop.hpp"

#include <utility>

using namespace ktstr;

using serial = serial_16550<null_byte_sink, eventfd_irq>;
using pio_bus = device_bus<bus_slot<serial>, bus_slot<i8042>, bus_slot<acpi_reset>, bus_slot<acpi_sleep>>;
using mmio_bus = device_bus<>;
using policy = bus_exits<x86_64, pio_bus, mmio_bus>;

/// The root that the script starts from.
extern "C" loop_end ktstr_codegen_vcpu_path(kvm::vcpu& cpu, policy& exits, exit_times& stats, run_control& control) {
    monotonic_clock const clock;
    timed_exits<policy, exit_times, monotonic_clock> timed(exits, stats, clock);
    return run_loop(cpu, timed, stats, control, vcpu_index{0});
}

/// The same loop of a machine that can be frozen.
extern "C" loop_end ktstr_codegen_freezable(kvm::vcpu& cpu, policy& exits, exit_times& stats, run_control& control,
                                            rendezvous<>& all) {
    monotonic_clock const clock;
    timed_exits<policy, exit_times, monotonic_clock> timed(exits, stats, clock);
    return run_loop(cpu, timed, stats, control, vcpu_index{0}, all.point(0));
}

#if defined(KTSTR_CODEGEN_SPOILED)
/// The bad twin: shows that the script sees what it looks for.
struct spoiler {
    virtual ~spoiler() = default;
    virtual int answer() = 0;
};
int* kept = nullptr; // keeps the compiler from leaving the allocation out
extern "C" int ktstr_codegen_spoiled(spoiler& s) {
    kept = new int(1);
    return s.answer();
}
#endif
