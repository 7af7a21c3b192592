// SPDX-License-Identifier: Apache-2.0
/// \file
/// Plays a guest that does anything to a console behind virtio-mmio. Input: one byte (bit 0: begin with a live device),
/// then steps of 8 bytes: kind, width exponent, offset le16, value le32.
#include "ktstr/virtio/console/device.hpp"
#include "ktstr/virtio/mmio_transport.hpp"
#include "virtio/driver.hpp"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

using namespace ktstr;
using console = virtio_console<buffer_memory, null_port_host, counting_irq>;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    if (size == 0)
        return 0;
    static test::guest_ram ram(256 << 10);
    ram.reset();
    console device(ram.memory);
    virtio_mmio<console> mmio(device);
    test::driver guest(mmio, ram);
    if ((data[0] & 1) != 0 && !guest.bring_up(~std::uint64_t{0}))
        std::abort();
    std::array<std::byte, 256> const noise{};
    auto const raw = std::span(data, size).subspan(1);
    for (std::size_t at = 0; at + 8 <= raw.size() && at < 8 * 512; at += 8) {
        std::uint16_t offset = 0;
        std::uint32_t value = 0;
        std::memcpy(&offset, &raw[at + 2], 2);
        std::memcpy(&value, &raw[at + 4], 4);
        std::array<std::byte, 8> access{};
        std::memcpy(access.data(), &value, 4);
        auto const width = std::size_t{1} << (raw[at + 1] % 4);
        std::uint64_t const where = std::min<std::uint64_t>(offset % virtio_mmio_window, virtio_mmio_window - width);
        switch (raw[at] % 6) {
        case 0: mmio.read(where, std::span(access).first(width)); break;
        case 1: mmio.write(where, std::span(access).first(width)); break;
        case 2: guest.put(where & ~3ull, value); break;
        case 3: ram.all()[(offset * 16u + raw[at + 1]) % ram.all().size()] = access[0]; break;
        case 4: (void)device.push_input(raw[at + 1] % 3, std::span(noise).first(value % 256)); break;
        case 5: mmio.queue_notify(value % 8); break;
        }
    }
    device.final_drain();
    // Whatever happened: a reset gives a device that works.
    ram.reset();
    if (!guest.bring_up(~std::uint64_t{0}))
        std::abort();
    return 0;
}
