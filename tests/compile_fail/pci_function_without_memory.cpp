// SPDX-License-Identifier: Apache-2.0
// A PCI function that does not say whether it claims an address is told what is missing.
// EXPECT: PciFunction: missing `bool memory_read(uint64_t, span<byte>) noexcept`
#include "ktstr/dev/pci/function.hpp"

struct silent_function {
    void config_read(std::uint32_t, std::span<std::byte>) noexcept {}
    void config_write(std::uint32_t, std::span<std::byte const>) noexcept {}
    void memory_read(std::uint64_t, std::span<std::byte>) noexcept {}
    void memory_write(std::uint64_t, std::span<std::byte const>) noexcept {}
};
static_assert(ktstr::explain_pci_function<ktstr::pci_host_bridge>());
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_pci_function<silent_function>());
#endif
