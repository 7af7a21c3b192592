// SPDX-License-Identifier: Apache-2.0
/// \file
/// The interrupt line of a virtio device behind PCI: an MSI-X table, and which vector each cause has.
#pragma once

#include "ktstr/abi/virtio_pci.hpp"
#include "ktstr/dev/irq_line.hpp"
#include "ktstr/dev/pci/msix.hpp"
#include "ktstr/hv/msi.hpp"
#include "ktstr/virtio/core.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace ktstr {

/// Two vectors are what Linux asks for when it cannot have one for each queue: one for the configuration, one that all
/// queues share. More would cost a guest four exits each at boot. The device's lock guards all of it.
template <MsiSink Sink, std::uint16_t Queues = 64, std::uint16_t Vectors = 2>
class virtio_msix_irq {
public:
    static constexpr std::uint16_t queues = Queues;
    using table_type = msix_table<Sink, Vectors>;

    virtio_msix_irq() noexcept : virtio_msix_irq(Sink{}) {}
    explicit virtio_msix_irq(Sink sink) noexcept : table_(std::move(sink)) { clear_vectors(); }

    [[nodiscard]] table_type& table() noexcept { return table_; }

    void pulse() noexcept { pulse_config(); }
    void pulse_used(std::size_t queue) noexcept { table_.fire(queue_vector(queue)); }
    void pulse_config() noexcept { table_.fire(config_vector_); }

    [[nodiscard]] std::uint16_t config_vector() const noexcept { return config_vector_; }
    [[nodiscard]] std::uint16_t queue_vector(std::size_t queue) const noexcept {
        return queue < Queues ? queue_vectors_[queue] : virtio_no_vector;
    }
    /// Gives a cause a vector. One that does not exist becomes `virtio_no_vector`, which is how the driver sees it.
    void set_config_vector(std::uint16_t vector) noexcept { config_vector_ = existing(vector); }
    void set_queue_vector(std::size_t queue, std::uint16_t vector) noexcept {
        if (queue < Queues)
            queue_vectors_[queue] = existing(vector);
    }
    /// No cause has a vector: after a reset of the device. The table is the function's and stays.
    void clear_vectors() noexcept {
        config_vector_ = virtio_no_vector;
        queue_vectors_.fill(virtio_no_vector);
    }

private:
    [[nodiscard]] static constexpr std::uint16_t existing(std::uint16_t vector) noexcept {
        return vector < Vectors ? vector : virtio_no_vector;
    }

    table_type table_;
    std::array<std::uint16_t, Queues> queue_vectors_{};
    std::uint16_t config_vector_ = virtio_no_vector;
};
static_assert(CausedIrqLine<virtio_msix_irq<null_msi>>);

} // namespace ktstr
