// SPDX-License-Identifier: Apache-2.0
/// \file
/// Plays a guest that does anything to a console on a PCI bus: ports, configuration, BAR, MSI-X. Input: one byte (bit 0:
/// begin with a live device), then steps of 8 bytes: kind, width exponent, offset le16, value le32.
#include "ktstr/dev/pci/bus.hpp"
#include "ktstr/virtio/console/device.hpp"
#include "ktstr/virtio/pci_transport.hpp"
#include "virtio/driver.hpp"
#include "virtio/pci_driver.hpp"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

using namespace ktstr;
using console = virtio_console<buffer_memory, null_port_host, test::counted_msix>;
using adapter = test::pci_as_mmio<console>;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    if (size == 0)
        return 0;
    static test::guest_ram ram(256 << 10);
    ram.reset();
    console device(ram.memory);
    adapter pci(device);
    pci_host_bridge bridge;
    pci_bus bus(bridge, pci.function());
    pci_ports ports(bus);
    pci_memory memory(bus, adapter::bar);
    test::driver guest(pci, ram);
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
        auto const part = std::span(access).first(std::size_t{1} << (raw[at + 1] % 4));
        auto const port = std::min<std::uint64_t>(offset % 8, 8 - part.size());
        switch (raw[at] % 9) {
        case 0: ports.read(port, part); break;
        case 1: (void)ports.write(port, part); break;
        case 2: pci.function().config_read(offset % 512, part); break;
        case 3: pci.function().config_write(offset % 512, part); break;
        case 4: memory.read(offset, part); break;
        case 5: (void)memory.write(offset, part); break;
        case 6: ram.all()[(offset * 16u + raw[at + 1]) % ram.all().size()] = access[0]; break;
        case 7: (void)device.push_input(raw[at + 1] % 3, std::span(noise).first(value % 256)); break;
        case 8: pci.queue_notify(value % 8); break;
        }
    }
    device.final_drain();
    // Whatever happened: with its BAR put back, a reset gives a device that works.
    std::array<std::byte, 4> place{};
    auto const bar = static_cast<std::uint32_t>(adapter::bar);
    std::memcpy(place.data(), &bar, 4);
    pci.function().config_write(pci::reg::bar0, place);
    pci.function().config_write(pci::reg::command, std::array{std::byte{pci::command_memory}});
    ram.reset();
    if (!guest.bring_up(~std::uint64_t{0}))
        std::abort();
    return 0;
}
