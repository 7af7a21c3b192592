// SPDX-License-Identifier: Apache-2.0
/// \file
/// Sends arbitrary control messages to a live console. Input: records of one length byte (modulo 16) and that many
/// bytes, each sent as one chain; a length of 0 posts a receive buffer instead.
#include "ktstr/virtio/console/device.hpp"
#include "ktstr/virtio/mmio_transport.hpp"
#include "virtio/driver.hpp"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

using namespace ktstr;

namespace {
/// Opening and closing must alternate on each port, and ports must exist.
struct strict_host {
    std::array<bool, 2> opened{};
    void on_output(std::uint32_t, std::span<std::byte const>) noexcept {}
    void on_open(std::uint32_t port, bool open) noexcept {
        if (port >= opened.size() || opened[port] == open)
            std::abort();
        opened[port] = open;
    }
};
using console = virtio_console<buffer_memory, strict_host, counting_irq>;
} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    static test::guest_ram ram(256 << 10);
    ram.reset();
    console device(ram.memory);
    virtio_mmio<console> mmio(device);
    test::driver guest(mmio, ram);
    if (!guest.bring_up(~std::uint64_t{0}))
        std::abort();
    auto const buffer = ram.allocate(4096);
    auto const message = ram.allocate(16);
    int posted = 0;
    for (std::size_t at = 0; at < size && at < 4096;) {
        std::size_t const length = std::min<std::size_t>(data[at] % 16, size - at - 1);
        ++at;
        if (length == 0) {
            guest.add(guest.queues[2], {{buffer, 64, true}});
            guest.kick(2);
            if (++posted % 16 == 0)
                while (guest.get_used(guest.queues[2]))
                    ;
            if (guest.status() != 0x0f)
                return 0; // more buffers than the queue holds
            continue;
        }
        (void)write_guest(ram.memory, message, std::as_bytes(std::span(data + at, length)));
        guest.add(guest.queues[3], {{message, static_cast<std::uint32_t>(length), false}});
        guest.kick(3);
        if (!guest.get_used(guest.queues[3]) || guest.status() != 0x0f)
            std::abort();
        at += length;
    }
    guest.put(virtio_mmio_reg::status, 0);
    if (device.host().opened[0] || device.host().opened[1])
        std::abort();
    return 0;
}
