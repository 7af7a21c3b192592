// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the console adds to the bytes it moves: a ring full of 4 KiB and of 64 B writes through the device, against two
/// plain copies of the same bytes (the guest's buffer to ours, ours to the host's), in one run, in pairs.
#include "bench_statistics.hpp"

#include "ktstr/base/clock.hpp"
#include "ktstr/virtio/console/device.hpp"
#include "ktstr/virtio/mmio_transport.hpp"
#include "virtio/driver.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

using namespace ktstr;

namespace {
std::array<std::byte, 65536> host_buffer;

/// Copies what it gets, as any host does.
struct copying_host {
    void on_output(std::uint32_t, std::span<std::byte const> data) noexcept {
        std::memcpy(host_buffer.data(), data.data(), std::min(data.size(), host_buffer.size()));
        asm volatile("" ::: "memory");
    }
    void on_open(std::uint32_t, bool) noexcept {}
};
using console = virtio_console<buffer_memory, copying_host, null_irq>;

constexpr int chains = 128;
constexpr int rounds = 50;
double ns_per_chain(std::int64_t ns) { return static_cast<double>(ns) / (chains * rounds); }
} // namespace

int main(int argc, char** argv) {
    int const pairs = argc > 1 ? std::atoi(argv[1]) : 101;
    test::guest_ram ram;
    auto device = std::make_unique<console>(ram.memory);
    virtio_mmio<console> mmio(*device);
    test::driver guest(mmio, ram);
    if (!guest.bring_up(~std::uint64_t{0}))
        return 99;
    auto const at = ram.allocate(chains * 4096, 4096);
    auto& queue = guest.queues[5];
    std::array<std::byte, 4096> between;
    for (std::uint32_t const size : {4096u, 64u}) {
        std::vector<double> ratios, ours, floor;
        for (int i = 0; i < pairs; ++i) {
            std::int64_t device_ns = 0;
            std::int64_t copy_ns = 0;
            for (int r = 0; r < rounds; ++r) {
                for (std::uint16_t c = 0; c < chains; ++c)
                    guest.add(queue, {{at + c * 4096u, size, false}});
                auto const begin = monotonic_clock{}.now();
                mmio.queue_notify(5);
                auto const middle = monotonic_clock{}.now();
                for (int c = 0; c < chains; ++c) {
                    auto const from = *ram.memory.slice(at + static_cast<std::uint64_t>(c) * 4096, size);
                    std::memcpy(between.data(), from.data(), size);
                    asm volatile("" ::: "memory");
                    std::memcpy(host_buffer.data(), between.data(), size);
                    asm volatile("" ::: "memory");
                }
                auto const end = monotonic_clock{}.now();
                while (guest.get_used(queue))
                    ;
                device_ns += (middle - begin).raw;
                copy_ns += (end - middle).raw;
            }
            ours.push_back(ns_per_chain(device_ns));
            floor.push_back(ns_per_chain(copy_ns));
            ratios.push_back(ours.back() / floor.back());
        }
        if (device->core().faults() != 0 || device->report(1).from_guest == 0)
            return 99;
        auto const ci = bench::median_interval(ratios);
        std::printf("virtio_output %u B: %.1f ns per chain, copies alone %.1f ns\n", size, bench::median(ours),
                    bench::median(floor));
        std::printf("ratio virtio_output_%u %.3f [%.3f, %.3f]\n", size, bench::median(ratios), ci.low, ci.high);
    }
    return 0;
}
