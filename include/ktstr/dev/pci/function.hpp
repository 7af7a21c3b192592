// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `PciFunction` policy: one function on a PCI bus.
///
/// Contract: `config_read` fills all of `data` from configuration space, `config_write` takes it; an offset beyond the 256
/// bytes reads all ones and is not written. `memory_read` and `memory_write` get any address of the bus's memory window
/// and say whether the function claims it: when its decoding is on and one of its BARs covers the whole access; an
/// unclaimed read leaves `data` alone. All may be called from any vCPU thread, several at once: the function locks itself,
/// never blocks for long and never allocates. Everything the guest passes is hostile, the place of the BARs included.
/// Models: `pci_host_bridge`, `virtio_pci` (virtio/pci_transport.hpp). Suite: tests/suites/pci_function_suite.hpp.
#pragma once

#include "ktstr/abi/pci.hpp"
#include "ktstr/dev/pci/config_space.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ktstr {

namespace detail {
template <class F>
concept pci_function_config = requires(F& f, std::uint32_t at, std::span<std::byte> in, std::span<std::byte const> out) {
    { f.config_read(at, in) } noexcept -> std::same_as<void>;
    { f.config_write(at, out) } noexcept -> std::same_as<void>;
};
template <class F>
concept pci_function_memory = requires(F& f, std::uint64_t at, std::span<std::byte> in, std::span<std::byte const> out) {
    { f.memory_read(at, in) } noexcept -> std::same_as<bool>;
    { f.memory_write(at, out) } noexcept -> std::same_as<bool>;
};
} // namespace detail

/// One function of a PCI device; see the contract at the top of this file.
template <class F>
concept PciFunction = detail::pci_function_config<F> && detail::pci_function_memory<F>;

/// Fails to compile with one sentence per requirement that `F` misses.
template <class F>
consteval bool explain_pci_function() {
    static_assert(detail::pci_function_config<F>,
                  "PciFunction: missing `void config_read(uint32_t, span<byte>) noexcept` or "
                  "`void config_write(uint32_t, span<byte const>) noexcept`");
    static_assert(detail::pci_function_memory<F>,
                  "PciFunction: missing `bool memory_read(uint64_t, span<byte>) noexcept` or "
                  "`bool memory_write(uint64_t, span<byte const>) noexcept`");
    return PciFunction<F>;
}

/// The bridge between processors and bus: nothing but its identity, by which Linux believes in mechanism 1.
class pci_host_bridge {
public:
    /// An id for which no kernel has a quirk.
    static constexpr std::uint16_t vendor = 0x1b36;
    static constexpr std::uint16_t device = 0x0008;

    void config_read(std::uint32_t offset, std::span<std::byte> data) noexcept { space.read(offset, data); }
    void config_write(std::uint32_t, std::span<std::byte const>) noexcept {}
    bool memory_read(std::uint64_t, std::span<std::byte>) noexcept { return false; }
    bool memory_write(std::uint64_t, std::span<std::byte const>) noexcept { return false; }

private:
    static constexpr pci_config_space space = [] {
        pci_config_space s;
        s.set(pci::reg::vendor, vendor);
        s.set(pci::reg::device, device);
        s.set(pci::reg::class_code + 2, std::uint8_t{0x06}); // a bridge, to the host
        return s;
    }();
};
static_assert(PciFunction<pci_host_bridge>);

} // namespace ktstr
