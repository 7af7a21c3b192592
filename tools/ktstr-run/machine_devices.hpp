// SPDX-License-Identifier: Apache-2.0
/// \file
/// The devices of a machine whose virtio transport the user chose: one of two types, and what both can do.
#pragma once

#include "ktstr-run/guest_ports.hpp"
#include "ktstr-run/run_machine_choices.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/kvm/x86_64/msi.hpp"
#include "ktstr/mem/mmap_memory.hpp"
#include "ktstr/run/either_exits.hpp"
#include "ktstr/runner/x86_64/pc_devices.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

namespace ktstr::tool {

/// The console behind either transport (borrowed).
template <class First, class Second>
class either_console {
public:
    explicit either_console(First& console) noexcept : first_(&console) {}
    explicit either_console(Second& console) noexcept : second_(&console) {}

    [[nodiscard]] result<std::size_t> push_input(std::uint32_t port, std::span<std::byte const> data) noexcept {
        return first_ ? first_->push_input(port, data) : second_->push_input(port, data);
    }
    void resume_output(std::uint32_t port) noexcept {
        return first_ ? first_->resume_output(port) : second_->resume_output(port);
    }
    void resize(console_size size) noexcept { return first_ ? first_->resize(size) : second_->resize(size); }

private:
    First* first_ = nullptr;
    Second* second_ = nullptr;
};

/// All devices of one machine, with virtio behind `made_over()`.
class machine_devices {
    using mmio = pc_devices<mmap_memory, guest_ports, serial_output, over_mmio>;
    using pci = pc_devices<mmap_memory, guest_ports, serial_output, over_pci<kvm::msi_port>>;

public:
    using console_type = either_console<mmio::console_type, pci::console_type>;
    using exits_type = either_exits<mmio::exits_type, pci::exits_type>;
    static constexpr std::uint32_t virtio_count = mmio::virtio_count;

    [[nodiscard]] static result<std::unique_ptr<machine_devices>> make(virtio_transport over, mmap_memory const& memory,
                                                                       guest_ports host, serial_output first,
                                                                       serial_output second) {
        if (over == virtio_transport::pci) {
            KTSTR_TRY(auto made, pci::make(memory, std::move(host), std::move(first), std::move(second)));
            return std::unique_ptr<machine_devices>(new machine_devices(nullptr, std::move(made)));
        }
        KTSTR_TRY(auto made, mmio::make(memory, std::move(host), std::move(first), std::move(second)));
        return std::unique_ptr<machine_devices>(new machine_devices(std::move(made), nullptr));
    }

    [[nodiscard]] virtio_transport made_over() const noexcept {
        return mmio_ ? virtio_transport::mmio : virtio_transport::pci;
    }
    [[nodiscard]] console_type& console() noexcept { return console_; }
    [[nodiscard]] exits_type& exits() noexcept { return exits_; }
    template <Vm V, class MakePark>
    [[nodiscard]] result<> connect(V& vm, MakePark make_park) {
        return mmio_ ? mmio_->connect(vm, std::move(make_park)) : pci_->connect(vm, std::move(make_park));
    }
    void finish() noexcept { return mmio_ ? mmio_->finish() : pci_->finish(); }
    [[nodiscard]] thread_service io_service() const noexcept { return mmio_ ? mmio_->io_service() : pci_->io_service(); }

private:
    machine_devices(std::unique_ptr<mmio> first, std::unique_ptr<pci> second)
        : mmio_(std::move(first)), pci_(std::move(second)),
          console_(mmio_ ? console_type(mmio_->console()) : console_type(pci_->console())),
          exits_(mmio_ ? exits_type(mmio_->exits()) : exits_type(pci_->exits())) {}

    std::unique_ptr<mmio> mmio_;
    std::unique_ptr<pci> pci_;
    console_type console_;
    exits_type exits_;
};

} // namespace ktstr::tool
