// SPDX-License-Identifier: Apache-2.0
/// \file
/// The device's side of a split virtqueue over guest memory that may contain anything.
///
/// Source: VIRTIO 1.2 section 2.7. Every index, address, length and flag is checked before it is used, each descriptor
/// is copied once, and every walk has a budget; a queue that breaks a rule yields `errc::guest_fault`, after which the
/// device asks for a reset. Not checked, because it harms the guest only: buffers that overlap each other or the rings,
/// and heads that the driver makes available twice.
#pragma once

#include "ktstr/abi/virtio_ring.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/mem/guest_memory.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace ktstr {

static_assert(std::endian::native == std::endian::little, "rings are little-endian and are read in place");

/// The most entries a queue of ours may have.
inline constexpr std::uint16_t virtq_max_size = 256;
/// The most bytes that one chain may carry: no driver of ours needs more, and it bounds the work one chain can ask for.
inline constexpr std::uint64_t virtq_max_chain_bytes = 1 * MiB;

/// One request of the driver: first the buffers that the device reads, then those that it writes. The bytes belong to
/// the guest and may change while we look.
class descriptor_chain {
public:
    [[nodiscard]] std::uint16_t head() const noexcept { return head_; }
    [[nodiscard]] std::span<std::span<std::byte> const> readable() const noexcept {
        return std::span(segments_).first(readable_);
    }
    [[nodiscard]] std::span<std::span<std::byte> const> writable() const noexcept {
        return std::span(segments_).subspan(readable_, count_ - readable_);
    }
    /// Bytes that the device may read or write.
    [[nodiscard]] std::uint64_t readable_bytes() const noexcept { return readable_bytes_; }
    [[nodiscard]] std::uint64_t writable_bytes() const noexcept { return total_ - readable_bytes_; }

    /// Copies from the front of the readable part; the number of bytes copied.
    std::size_t copy_out(std::span<std::byte> to) const noexcept {
        std::size_t done = 0;
        for (auto const& segment : readable()) {
            auto const n = std::min(segment.size(), to.size() - done);
            if (n != 0)
                std::memcpy(to.data() + done, segment.data(), n);
            done += n;
        }
        return done;
    }

private:
    friend class split_queue;
    // Twice the entries: a buffer that crosses from one piece of host memory to the next becomes two segments.
    std::array<std::span<std::byte>, 2 * virtq_max_size> segments_;
    std::size_t count_ = 0;
    std::size_t readable_ = 0;
    std::uint64_t readable_bytes_ = 0;
    std::uint64_t total_ = 0;
    std::uint16_t head_ = 0;
};

/// Where a driver says that its queue is.
struct virtq_layout {
    std::uint16_t size = 0; ///< entries; a power of two
    gpa desc{};             ///< descriptor table
    gpa avail{};            ///< available ring
    gpa used{};             ///< used ring
};

/// One queue. All calls from one thread at a time (the device's lock). Holds host views of the three rings while
/// enabled: memory must outlive it.
class split_queue {
public:
    /// Starts over at index 0 with the rings at `layout`. `errc::guest_fault` when the size is not a power of two up to
    /// `max_size`, or a ring is misaligned or outside RAM; the queue is then disabled.
    template <GuestMemory Memory>
    [[nodiscard]] result<> enable(Memory const& memory, virtq_layout const& layout, std::uint16_t max_size) noexcept {
        disable();
        if (layout.size == 0 || layout.size > std::min(max_size, virtq_max_size) || !std::has_single_bit(layout.size))
            return fail(errc::guest_fault, "virtq.size", layout.size);
        KTSTR_TRY(auto const desc, ring_at(memory, layout.desc, virtq_desc_bytes(layout.size), 16, "virtq.desc"));
        KTSTR_TRY(auto const avail, ring_at(memory, layout.avail, virtq_avail_bytes(layout.size), 2, "virtq.avail"));
        KTSTR_TRY(auto const used, ring_at(memory, layout.used, virtq_used_bytes(layout.size), 4, "virtq.used"));
        desc_ = desc;
        avail_ = avail;
        used_ = used;
        size_ = layout.size;
        return {};
    }

    /// Forgets the rings; nothing is available from now on.
    void disable() noexcept { *this = split_queue{}; }
    [[nodiscard]] bool enabled() const noexcept { return size_ != 0; }
    /// Entries; 0 when disabled.
    [[nodiscard]] std::uint16_t size() const noexcept { return size_; }

    /// How many chains wait. `errc::guest_fault` when the driver's index runs further ahead than the ring is long.
    [[nodiscard]] result<std::uint16_t> waiting() const noexcept {
        if (!enabled())
            return std::uint16_t{0};
        // Pairs with the driver's write barrier between filling the ring and moving idx.
        auto const idx = load(avail_, virtq_ring_offset::idx, std::memory_order_acquire);
        auto const ahead = static_cast<std::uint16_t>(idx - last_avail_);
        if (ahead > size_)
            return fail(errc::guest_fault, "virtq.avail.idx", idx);
        return ahead;
    }

    /// Takes the next chain into `chain`; false when none waits. `errc::guest_fault` when the chain breaks a rule.
    template <GuestMemory Memory>
    [[nodiscard]] result<bool> pop(Memory const& memory, descriptor_chain& chain) noexcept {
        KTSTR_TRY(auto const ahead, waiting());
        if (ahead == 0)
            return false;
        auto const slot = virtq_ring_offset::ring + 2ull * (last_avail_ & (size_ - 1u));
        auto const head = load(avail_, slot, std::memory_order_relaxed);
        if (head >= size_)
            return fail(errc::guest_fault, "virtq.head", head);
        KTSTR_CHECK(walk(memory, head, chain));
        ++last_avail_;
        return true;
    }

    /// Returns the chain that began at `head` to the driver, with `written` bytes in its writable part.
    void push(std::uint16_t head, std::uint32_t written) noexcept {
        if (!enabled())
            return;
        virtq_used_elem const elem{head, written};
        auto const slot = virtq_ring_offset::ring + 8ull * (next_used_ & (size_ - 1u));
        std::memcpy(used_.data() + slot, &elem, sizeof elem);
        ++next_used_;
        // Pairs with the driver's read barrier between reading idx and the element.
        store(used_, virtq_ring_offset::idx, next_used_, std::memory_order_release);
    }

    /// Whether the driver wants an interrupt for what was pushed.
    [[nodiscard]] bool wants_interrupt() const noexcept {
        if (!enabled())
            return false;
        // Our idx must be visible before we look at the flag: the driver sets the flag, then looks at idx.
        std::atomic_thread_fence(std::memory_order_seq_cst);
        return (load(avail_, virtq_ring_offset::flags, std::memory_order_relaxed) & virtq_avail_no_interrupt) == 0;
    }

    /// Free-running positions: chains taken, chains returned.
    [[nodiscard]] std::uint16_t taken() const noexcept { return last_avail_; }
    [[nodiscard]] std::uint16_t returned() const noexcept { return next_used_; }

private:
    using view = std::span<std::byte>;

    template <GuestMemory Memory>
    [[nodiscard]] static result<view> ring_at(Memory const& memory, gpa at, std::uint64_t length, std::uint64_t alignment,
                                              std::string_view where) noexcept {
        auto const found = memory.slice(at, length);
        // The host address is what gets dereferenced, so its alignment counts too.
        if (!found || at.raw % alignment != 0 || std::bit_cast<std::uintptr_t>(found->data()) % alignment != 0)
            return fail(errc::guest_fault, where, at.raw);
        return *found;
    }

    [[nodiscard]] static std::uint16_t load(view ring, std::uint64_t offset, std::memory_order order) noexcept {
        auto& word = *reinterpret_cast<std::uint16_t*>(ring.data() + offset);
        return std::atomic_ref<std::uint16_t>(word).load(order);
    }
    static void store(view ring, std::uint64_t offset, std::uint16_t value, std::memory_order order) noexcept {
        auto& word = *reinterpret_cast<std::uint16_t*>(ring.data() + offset);
        std::atomic_ref<std::uint16_t>(word).store(value, order);
    }

    template <GuestMemory Memory>
    [[nodiscard]] result<> walk(Memory const& memory, std::uint16_t head, descriptor_chain& chain) const noexcept {
        chain.head_ = head;
        chain.count_ = chain.readable_ = 0;
        chain.total_ = chain.readable_bytes_ = 0;
        view table = desc_;
        std::uint64_t entries = size_;
        std::uint64_t index = head;
        bool inside_indirect = false;
        // A chain is at most as long as the queue (section 2.7.5.3.1): a loop runs into this budget.
        for (std::uint32_t budget = size_; budget > 0;) {
            virtq_desc desc;
            std::memcpy(&desc, table.data() + index * sizeof desc, sizeof desc);
            auto const flags = desc.flags.get();
            if ((flags & virtq_desc_flag::indirect) != 0) {
                auto const length = desc.len.get();
                // One level only, last in its chain, and a whole number of descriptors that a chain could use.
                if (inside_indirect || (flags & virtq_desc_flag::next) != 0 || length == 0 ||
                    length % sizeof(virtq_desc) != 0 || length / sizeof(virtq_desc) > 65536)
                    return fail(errc::guest_fault, "virtq.indirect", desc.addr);
                auto const found = memory.slice(gpa{desc.addr}, length);
                if (!found)
                    return fail(errc::guest_fault, "virtq.indirect.table", desc.addr);
                table = *found;
                entries = length / sizeof(virtq_desc);
                index = 0;
                inside_indirect = true;
                continue;
            }
            KTSTR_CHECK(add(memory, gpa{desc.addr}, desc.len, (flags & virtq_desc_flag::write) != 0, chain));
            if ((flags & virtq_desc_flag::next) == 0)
                return {};
            index = desc.next.get();
            if (index >= entries)
                return fail(errc::guest_fault, "virtq.next", index);
            --budget;
        }
        return fail(errc::guest_fault, "virtq.loop", head);
    }

    template <GuestMemory Memory>
    [[nodiscard]] static result<> add(Memory const& memory, gpa at, std::uint64_t length, bool writable,
                                      descriptor_chain& chain) noexcept {
        if (!writable && chain.count_ != chain.readable_)
            return fail(errc::guest_fault, "virtq.order", at.raw);
        if (length > virtq_max_chain_bytes - chain.total_)
            return fail(errc::guest_fault, "virtq.length", length);
        chain.total_ += length;
        if (!writable)
            chain.readable_bytes_ += length;
        if (auto const whole = memory.slice(at, length)) {
            KTSTR_CHECK(append(*whole, writable, chain));
            return {};
        }
        // A buffer may cross from one region of RAM to its neighbour; regions are made of whole pages.
        constexpr std::uint64_t page = 4096;
        while (length > 0) {
            auto const n = std::min(length, page - at.raw % page);
            auto const piece = memory.slice(at, n);
            if (!piece)
                return fail(errc::guest_fault, "virtq.buffer", at.raw);
            KTSTR_CHECK(append(*piece, writable, chain));
            at = at + n;
            length -= n;
        }
        return {};
    }

    [[nodiscard]] static result<> append(view piece, bool writable, descriptor_chain& chain) noexcept {
        if (piece.empty())
            return {};
        bool const follows = chain.count_ > 0 && writable == (chain.count_ != chain.readable_);
        if (follows) {
            auto& last = chain.segments_[chain.count_ - 1];
            if (last.data() + last.size() == piece.data()) {
                last = view(last.data(), last.size() + piece.size());
                return {};
            }
        }
        if (chain.count_ == chain.segments_.size())
            return fail(errc::guest_fault, "virtq.segments", chain.count_);
        chain.segments_[chain.count_++] = piece;
        if (!writable)
            chain.readable_ = chain.count_;
        return {};
    }

    view desc_;
    view avail_;
    view used_;
    std::uint16_t size_ = 0;
    std::uint16_t last_avail_ = 0; ///< Next entry of the available ring to take.
    std::uint16_t next_used_ = 0;  ///< Next entry of the used ring to fill.
};

} // namespace ktstr
