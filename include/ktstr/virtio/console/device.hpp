// SPDX-License-Identifier: Apache-2.0
/// \file
/// The virtio console with several ports: terminals and byte channels between guest and host.
///
/// Source: VIRTIO 1.2 section 5.3. Queues: 0 and 1 receive and transmit of port 0, 2 and 3 control, then two a port.
/// "Receive" and "transmit" are the guest's words: it receives what we push.
#pragma once

#include "ktstr/abi/virtio_console.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/virtio/console/port.hpp"
#include "ktstr/virtio/console/port_host.hpp"
#include "ktstr/virtio/device.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

namespace ktstr {

/// Port 0 is the terminal hvc0, port 1 the message channel.
inline constexpr std::uint32_t console_terminal_port = 0;
inline constexpr std::uint32_t console_message_port = 1;
inline constexpr std::array<console_port_options, 2> default_console_ports{
    console_port_options{"", true, 65536}, console_port_options{"ktstr.msg", false, 65536}};

/// The console. Thread-safe: its public functions take the lock, except those that `VirtioDevice` wants under it.
/// Allocates in the constructor only. `Memory` is borrowed.
template <GuestMemory Memory, PortHost Host, IrqLine Irq = eventfd_irq, std::uint16_t PortCount = 2>
class virtio_console {
    static_assert(explain_guest_memory<Memory>() && explain_port_host<Host>() && explain_irq_line<Irq>());
    static_assert(PortCount >= 1 && PortCount <= 31);

public:
    static constexpr std::uint32_t device_id = virtio_device_id::console;
    static constexpr std::uint16_t queue_count = 2 * (PortCount + 1);
    static constexpr std::uint16_t control_rx = 2, control_tx = 3;
    using core_type = virtio_core<Memory, Irq, queue_count>;

    /// The queue into which the guest receives from `port`, or through which it sends to it.
    [[nodiscard]] static constexpr std::uint16_t rx_queue(std::uint32_t port) noexcept {
        return static_cast<std::uint16_t>(port == 0 ? 0 : 2 * port + 2);
    }
    [[nodiscard]] static constexpr std::uint16_t tx_queue(std::uint32_t port) noexcept {
        return static_cast<std::uint16_t>(rx_queue(port) + 1);
    }

    /// Whether Linux spins, with a lock held, until a notification of `queue` was served: control messages and terminal
    /// output. Such a queue is better served by the vCPU thread that wrote the register than by an I/O thread that must
    /// first get a CPU, so give it no ioeventfd.
    [[nodiscard]] static constexpr bool driver_spins_on(std::uint16_t queue) noexcept {
        return queue == control_tx || queue == tx_queue(console_terminal_port);
    }

    explicit virtio_console(Memory const& memory, Host host = {}, Irq irq = {},
                            std::array<console_port_options, PortCount> const& ports = default_console_ports)
        : core_(memory, std::move(irq), queue_sizes()), host_(std::move(host)) {
        for (std::size_t i = 0; i < PortCount; ++i) {
            ports_[i].options = ports[i];
            ports_[i].input = byte_ring(ports[i].input_capacity);
        }
    }

    [[nodiscard]] core_type& core() noexcept { return core_; }
    /// The host's end; the device calls it under its lock.
    [[nodiscard]] Host& host() noexcept { return host_; }

    /// Hands bytes to the guest; how many were taken. What was not taken did not fit: try again once the guest has read
    /// (`input_space`). Bytes wait until the guest has the port open. `errc::out_of_range` for a port that does not exist.
    [[nodiscard]] result<std::size_t> push_input(std::uint32_t port, std::span<std::byte const> data) noexcept {
        if (port >= PortCount)
            return fail(errc::out_of_range, "console.port", port);
        mutex_guard const hold(core_.lock());
        std::size_t taken = 0;
        for (;;) {
            auto const n = ports_[port].input.push(data.subspan(taken));
            taken += n;
            auto const before = ports_[port].input.space();
            flush_input(port);
            // Go on only while the guest's buffers drain the ring: it ends when they are full.
            if (taken == data.size() || ports_[port].input.space() == before)
                return taken;
        }
    }

    /// Bytes that `push_input` would take now at least.
    [[nodiscard]] std::size_t input_space(std::uint32_t port) noexcept {
        mutex_guard const hold(core_.lock());
        return port < PortCount ? ports_[port].input.space() : 0;
    }

    /// Serves output that a `PacedPortHost` left with the guest.
    void resume_output(std::uint32_t port) noexcept {
        mutex_guard const hold(core_.lock());
        if (port < PortCount && core_.live())
            serve_output(port, paced);
    }

    /// Takes what the guest queued without a notification (right before a reboot, say), whether or not the host is
    /// ready for it. Call it when no vCPU runs any more.
    void final_drain() noexcept {
        mutex_guard const hold(core_.lock());
        drain();
    }

    /// Tells the guest about the size of the terminal on port 0.
    void resize(console_size size) noexcept {
        mutex_guard const hold(core_.lock());
        size_ = size;
        if (ports_[0].guest_ready && ports_[0].options.console)
            ports_[0].owe(console_notice::resize);
        core_.notify_config();
        if (core_.live())
            flush_control();
    }

    /// Opens or closes the host's end of `port`: readers in the guest see end of file, writers EPIPE.
    void set_host_open(std::uint32_t port, bool open) noexcept {
        mutex_guard const hold(core_.lock());
        if (port >= PortCount || ports_[port].host_open == open)
            return;
        ports_[port].host_open = open;
        if (ports_[port].guest_ready)
            ports_[port].owe(console_notice::open);
        if (core_.live())
            flush_control();
    }

    /// What a port did so far.
    struct port_report {
        bool guest_ready = false, guest_open = false;
        std::uint64_t from_guest = 0, to_guest = 0; ///< bytes
        std::size_t waiting = 0;                    ///< bytes from the host that the guest did not take yet
    };
    [[nodiscard]] port_report report(std::uint32_t port) noexcept {
        mutex_guard const hold(core_.lock());
        if (port >= PortCount)
            return {};
        auto const& p = ports_[port];
        return {p.guest_ready, p.guest_open, p.from_guest, p.to_guest, p.input.size()};
    }
    /// Control messages of the guest that made no sense and were ignored.
    [[nodiscard]] std::uint64_t ignored_messages() noexcept {
        mutex_guard const hold(core_.lock());
        return ignored_;
    }

    // What VirtioDevice asks for; lock held.
    [[nodiscard]] std::uint64_t offered_features() const noexcept {
        return virtio_feature::version_1 | virtio_feature::indirect_desc | virtio_console_feature::size |
               virtio_console_feature::multiport;
    }

    void on_driver_ok() noexcept {
        if (multiport())
            return;
        // Without control messages, port 0 is all there is, and it is simply there.
        ports_[0].guest_ready = true;
        open_port(0, true);
    }

    void on_notify(std::uint16_t queue) noexcept {
        if (queue == control_rx)
            return flush_control();
        if (queue == control_tx)
            return serve_control();
        std::uint32_t const port = queue < control_rx ? 0u : (queue - 2u) / 2u;
        if (queue == rx_queue(port))
            flush_input(port);
        else
            serve_output(port, paced);
    }

    void on_reset() noexcept {
        drain();
        for (std::uint32_t port = 0; port < PortCount; ++port) {
            open_port(port, false);
            ports_[port].guest_ready = false;
            ports_[port].owed = {};
        }
    }

    void read_config(std::uint64_t offset, std::span<std::byte> data) noexcept {
        virtio_console_config const config{size_.cols, size_.rows, std::uint32_t{PortCount}, std::uint32_t{0}};
        std::fill(data.begin(), data.end(), std::byte{0});
        if (offset >= sizeof config)
            return;
        auto const from = std::as_bytes(std::span(&config, 1)).subspan(static_cast<std::size_t>(offset));
        std::copy_n(from.begin(), std::min(from.size(), data.size()), data.begin());
    }
    void write_config(std::uint64_t, std::span<std::byte const>) noexcept {} // nothing in it is writable

private:
    enum pace : bool { paced, at_once };

    /// Data queues are as long as a burst; Linux fills each receive queue with pages, so those cost guest memory.
    [[nodiscard]] static constexpr std::array<std::uint16_t, queue_count> queue_sizes() noexcept {
        std::array<std::uint16_t, queue_count> out{};
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = i == control_rx || i == control_tx ? 32 : i % 2 == 0 ? 64 : 128;
        return out;
    }
    [[nodiscard]] bool multiport() const noexcept { return core_.negotiated(virtio_console_feature::multiport); }

    /// Calls `use(chain)`, which returns the bytes written, for each chain that waits in `queue` now, as long as
    /// `more()` says so; then interrupts once. A guest that breaks a rule ends it with a fault.
    template <class More, class Use>
    void each_chain(std::uint16_t queue, More more, Use use) noexcept {
        auto& ring = core_.queue(queue).ring;
        auto const waiting = ring.waiting();
        if (!waiting)
            return core_.fault(waiting.error());
        unsigned served = 0;
        for (; served < *waiting && more(); ++served) {
            auto const got = ring.pop(core_.memory(), chain_);
            if (!got)
                return core_.fault(got.error());
            if (!*got)
                break;
            auto const written = use(chain_);
            ring.push(chain_.head(), written);
        }
        if (served > 0)
            core_.notify_used(queue);
    }

    /// Guest to host. The copy decouples the host from a guest that changes its buffer meanwhile.
    void serve_output(std::uint32_t port, pace how) noexcept {
        auto const more = [&]() noexcept {
            if constexpr (PacedPortHost<Host>)
                return how == at_once || ports_[port].options.console || host_.ready_for(port);
            else
                return true;
        };
        each_chain(tx_queue(port), more, [&](descriptor_chain const& chain) noexcept {
            std::size_t fill = 0;
            for (auto segment : chain.readable()) {
                while (!segment.empty()) {
                    auto const n = std::min(segment.size(), bounce_.size() - fill);
                    std::memcpy(bounce_.data() + fill, segment.data(), n);
                    fill += n;
                    segment = segment.subspan(n);
                    if (fill == bounce_.size())
                        emit(port, std::exchange(fill, 0));
                }
            }
            emit(port, fill);
            return 0u;
        });
    }
    void emit(std::uint32_t port, std::size_t n) noexcept {
        if (n == 0)
            return;
        ports_[port].from_guest += n;
        host_.on_output(port, std::span(bounce_).first(n));
    }

    /// Host to guest, as far as the guest has buffers.
    void flush_input(std::uint32_t port) noexcept {
        auto& p = ports_[port];
        if (!core_.live() || !p.takes_input())
            return;
        each_chain(rx_queue(port), [&]() noexcept { return !p.input.empty(); },
                   [&](descriptor_chain const& chain) noexcept {
                       std::uint32_t written = 0;
                       for (auto const segment : chain.writable())
                           written += static_cast<std::uint32_t>(p.input.pop(segment));
                       p.to_guest += written;
                       return written;
                   });
    }

    /// Messages that the guest is owed, as far as it has buffers.
    void flush_control() noexcept {
        std::uint32_t port = 0;
        auto const owing = [&]() noexcept {
            while (port < PortCount && !ports_[port].due())
                ++port;
            return port < PortCount;
        };
        each_chain(control_rx, owing, [&](descriptor_chain const& chain) noexcept -> std::uint32_t {
            auto const notice = *ports_[port].due();
            std::array<std::byte, console_message_max> message{};
            auto const length = encode_notice(notice, port, ports_[port], size_, message);
            // A buffer too short for the message comes back empty; the message waits for a better one.
            if (chain.writable_bytes() < length)
                return 0;
            std::span<std::byte const> left(message.data(), length);
            for (auto const segment : chain.writable()) {
                auto const n = std::min(segment.size(), left.size());
                if (n != 0)
                    std::memcpy(segment.data(), left.data(), n);
                left = left.subspan(n);
            }
            ports_[port].settle(notice);
            return static_cast<std::uint32_t>(length);
        });
    }

    /// Messages from the guest, and the answers to them.
    void serve_control() noexcept {
        each_chain(control_tx, []() noexcept { return true; }, [&](descriptor_chain const& chain) noexcept {
            virtio_console_control message;
            std::array<std::byte, sizeof message> raw{};
            if (multiport() && chain.copy_out(raw) == raw.size()) {
                std::memcpy(&message, raw.data(), sizeof message);
                on_control(message);
            } else {
                ++ignored_;
            }
            return 0u;
        });
        if (!core_.live())
            return;
        flush_control();
        // Ports that became ready or open have input waiting, perhaps.
        for (std::uint32_t port = 0; port < PortCount; ++port)
            flush_input(port);
    }

    void on_control(virtio_console_control const& message) noexcept {
        std::uint32_t const id = message.id;
        bool const yes = message.value != 0;
        auto const event = static_cast<virtio_console_event>(message.event.get());
        if (event == virtio_console_event::device_ready) {
            for (auto& port : ports_)
                port.owed[static_cast<std::size_t>(console_notice::add)] = yes;
            return;
        }
        if (id >= PortCount) {
            ++ignored_;
            return;
        }
        auto& port = ports_[id];
        switch (event) {
        case virtio_console_event::port_ready:
            port.guest_ready = yes;
            port.owed = {};
            if (!yes)
                return open_port(id, false);
            if (port.options.console)
                port.owe(console_notice::console);
            if (!port.options.name.empty())
                port.owe(console_notice::name);
            if (port.options.console && (size_.cols != 0 || size_.rows != 0))
                port.owe(console_notice::resize);
            if (port.host_open)
                port.owe(console_notice::open);
            return;
        case virtio_console_event::port_open: return open_port(id, yes);
        default: ++ignored_; return;
        }
    }

    void open_port(std::uint32_t id, bool open) noexcept {
        auto& port = ports_[id];
        if (port.guest_open == open)
            return;
        port.guest_open = open;
        // The guest's kernel forgets unread input when a port closes; so do we, or the next reader gets half a message.
        if (!open)
            port.input.clear();
        host_.on_open(id, open);
    }

    void drain() noexcept {
        if (!core_.live())
            return;
        for (std::uint32_t port = 0; port < (multiport() ? PortCount : 1u); ++port)
            serve_output(port, at_once);
    }

    core_type core_;
    Host host_;
    std::array<console_port, PortCount> ports_{};
    console_size size_{};
    std::uint64_t ignored_ = 0;
    descriptor_chain chain_;
    std::array<std::byte, 16384> bounce_;
};
static_assert(VirtioDevice<virtio_console<null_memory, null_port_host, null_irq>>);

} // namespace ktstr
