// SPDX-License-Identifier: Apache-2.0
/// \file
/// A small virtio driver for tests: sets a device up in the order in which Linux does, over RAM that is one array.
#pragma once

#include "ktstr/abi/virtio.hpp"
#include "ktstr/abi/virtio_mmio.hpp"
#include "ktstr/abi/virtio_ring.hpp"
#include "ktstr/mem/guest_memory.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ktstr::test {

/// RAM for one test: zeroed, page-aligned, with a bump allocator. Guest addresses start at `base`.
class guest_ram {
public:
    static constexpr std::uint64_t base = 0x100000;
    guest_ram() : guest_ram(4 << 20) {}
    explicit guest_ram(std::size_t capacity)
        : store_(static_cast<std::byte*>(::operator new(capacity, std::align_val_t{4096}))), span_(store_.get(), capacity),
          memory(span_, gpa{base}) {
        reset();
    }

    /// `size` fresh bytes at a multiple of `alignment`.
    gpa allocate(std::size_t size, std::size_t alignment = 16) {
        at_ = (at_ + alignment - 1) / alignment * alignment;
        gpa const out{base + at_};
        at_ += size;
        return out;
    }
    gpa place(std::string_view text) {
        auto const at = allocate(text.size());
        (void)write_guest(memory, at, std::as_bytes(std::span(text)));
        return at;
    }
    std::string text(gpa at, std::size_t size) {
        std::string out(size, '\0');
        (void)read_guest(memory, at, std::as_writable_bytes(std::span(out)));
        return out;
    }
    std::span<std::byte> all() { return span_; }
    /// Zeroes everything and starts allocating from the bottom again.
    void reset() {
        std::memset(span_.data(), 0, span_.size());
        at_ = 0;
    }
    gpa end() const { return gpa{base + span_.size()}; }

private:
    struct release {
        void operator()(std::byte* p) const { ::operator delete(p, std::align_val_t{4096}); }
    };
    std::unique_ptr<std::byte, release> store_;
    std::span<std::byte> span_;
    std::size_t at_ = 0;

public:
    buffer_memory memory;
};

/// One buffer of a request.
struct buffer {
    gpa at{};
    std::uint32_t length = 0;
    bool device_writes = false;
};

/// The driver's side of one queue.
struct driver_queue {
    std::uint16_t size = 0;
    gpa desc{}, avail{}, used{};
    std::uint16_t next_desc = 0;
    std::uint16_t avail_idx = 0;
    std::uint16_t seen = 0;
};

/// Drives a device behind virtio-mmio registers.
template <class Mmio>
class driver {
public:
    driver(Mmio& mmio, guest_ram& ram) : mmio_(mmio), ram_(ram) {}

    std::uint32_t get(std::uint64_t offset) {
        std::array<std::byte, 4> raw{};
        mmio_.read(offset, raw);
        le32 value;
        std::memcpy(&value, raw.data(), 4);
        return value;
    }
    std::uint32_t get(virtio_mmio_reg reg) { return get(static_cast<std::uint64_t>(reg)); }
    void put(std::uint64_t offset, std::uint32_t value) {
        le32 const raw{value};
        mmio_.write(offset, bytes_of_le(raw));
    }
    void put(virtio_mmio_reg reg, std::uint32_t value) { put(static_cast<std::uint64_t>(reg), value); }

    std::uint8_t status() { return static_cast<std::uint8_t>(get(virtio_mmio_reg::status)); }
    void add_status(std::uint8_t bit) { put(virtio_mmio_reg::status, status() | std::uint32_t{bit}); }

    std::uint64_t offered() {
        put(virtio_mmio_reg::device_features_sel, 1);
        std::uint64_t const high = get(virtio_mmio_reg::device_features);
        put(virtio_mmio_reg::device_features_sel, 0);
        return high << 32 | get(virtio_mmio_reg::device_features);
    }

    /// Reset to FEATURES_OK with what both know (linux virtio_dev_probe); whether the device kept FEATURES_OK.
    bool negotiate(std::uint64_t wanted) {
        put(virtio_mmio_reg::status, 0);
        add_status(virtio_status::acknowledge);
        add_status(virtio_status::driver);
        auto const chosen = offered() & wanted;
        put(virtio_mmio_reg::driver_features_sel, 1);
        put(virtio_mmio_reg::driver_features, static_cast<std::uint32_t>(chosen >> 32));
        put(virtio_mmio_reg::driver_features_sel, 0);
        put(virtio_mmio_reg::driver_features, static_cast<std::uint32_t>(chosen));
        add_status(virtio_status::features_ok);
        return (status() & virtio_status::features_ok) != 0;
    }

    void put64(virtio_mmio_reg low, std::uint64_t value) {
        put(low, static_cast<std::uint32_t>(value));
        put(static_cast<std::uint64_t>(low) + 4, static_cast<std::uint32_t>(value >> 32));
    }

    /// linux vm_setup_vq
    bool set_up_queue(std::uint32_t index) {
        put(virtio_mmio_reg::queue_sel, index);
        if (get(virtio_mmio_reg::queue_ready) != 0 || get(virtio_mmio_reg::queue_num_max) == 0)
            return false;
        if (queues.size() <= index)
            queues.resize(index + 1);
        auto& q = queues[index];
        q = {};
        q.size = static_cast<std::uint16_t>(get(virtio_mmio_reg::queue_num_max));
        q.desc = ram_.allocate(virtq_desc_bytes(q.size), 4096);
        q.avail = ram_.allocate(virtq_avail_bytes(q.size), 2);
        q.used = ram_.allocate(virtq_used_bytes(q.size), 4096);
        put(virtio_mmio_reg::queue_num, q.size);
        put64(virtio_mmio_reg::queue_desc_low, q.desc.raw);
        put64(virtio_mmio_reg::queue_driver_low, q.avail.raw);
        put64(virtio_mmio_reg::queue_device_low, q.used.raw);
        put(virtio_mmio_reg::queue_ready, 1);
        return get(virtio_mmio_reg::queue_ready) == 1;
    }

    /// The whole way to DRIVER_OK with all queues.
    bool bring_up(std::uint64_t wanted) {
        if (!negotiate(wanted))
            return false;
        for (std::uint32_t i = 0; i < Mmio::queue_count(); ++i) {
            if (!set_up_queue(i))
                return false;
        }
        add_status(virtio_status::driver_ok);
        return status() == 0x0f;
    }

    virtq_desc descriptor(driver_queue const& q, std::uint16_t i) {
        return *load_guest<virtq_desc>(ram_.memory, q.desc + 16ull * i);
    }
    void set_descriptor(driver_queue const& q, std::uint16_t i, gpa at, std::uint32_t length, std::uint16_t flags,
                        std::uint16_t next = 0) {
        virtq_desc const d{at.raw, length, flags, next};
        (void)store_guest(ram_.memory, q.desc + 16ull * i, d);
    }
    void make_available(driver_queue& q, std::uint16_t head) {
        (void)store_guest(ram_.memory, q.avail + 4 + 2ull * (q.avail_idx % q.size), le16{head});
        set_avail_idx(q, static_cast<std::uint16_t>(q.avail_idx + 1));
    }
    void set_avail_idx(driver_queue& q, std::uint16_t idx) {
        q.avail_idx = idx;
        std::atomic_ref(word(q.avail + 2)).store(idx, std::memory_order_release);
    }
    void set_avail_flags(driver_queue& q, std::uint16_t flags) {
        (void)store_guest(ram_.memory, q.avail, le16{flags});
    }

    /// Makes a chain of `buffers` available without telling; its head.
    std::uint16_t add(driver_queue& q, std::initializer_list<buffer> buffers) {
        std::uint16_t const head = q.next_desc;
        std::size_t left = buffers.size();
        for (auto const& b : buffers) {
            --left;
            std::uint16_t const here = q.next_desc;
            q.next_desc = static_cast<std::uint16_t>((q.next_desc + 1) % q.size);
            auto const flags = (b.device_writes ? virtq_desc_flag::write : 0) | (left > 0 ? virtq_desc_flag::next : 0);
            set_descriptor(q, here, b.at, b.length, static_cast<std::uint16_t>(flags), q.next_desc);
        }
        make_available(q, head);
        return head;
    }
    void kick(std::uint32_t index) { put(virtio_mmio_reg::queue_notify, index); }

    struct used {
        std::uint32_t head = 0, length = 0;
    };
    /// The next chain that the device returned.
    std::optional<used> get_used(driver_queue& q) {
        if (std::atomic_ref(word(q.used + 2)).load(std::memory_order_acquire) == q.seen)
            return std::nullopt;
        auto const e = *load_guest<virtq_used_elem>(ram_.memory, q.used + 4 + 8ull * (q.seen % q.size));
        ++q.seen;
        return used{e.id, e.len};
    }

    std::vector<driver_queue> queues;

private:
    /// An index that the other side changes meanwhile.
    std::uint16_t& word(gpa at) { return *reinterpret_cast<std::uint16_t*>(ram_.memory.slice(at, 2)->data()); }
    static std::span<std::byte const> bytes_of_le(le32 const& v) { return std::as_bytes(std::span(&v, 1)); }
    Mmio& mmio_;
    guest_ram& ram_;
};

} // namespace ktstr::test
