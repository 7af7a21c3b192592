// SPDX-License-Identifier: Apache-2.0
/// \file
/// A 16550A UART as the Linux 8250 driver wants it: sends at once, receives from a bounded ring.
///
/// Source: National Semiconductor PC16550D data sheet; probing order in linux drivers/tty/serial/8250/8250_port.c.
///
///   offset   read (DLAB=0)   write (DLAB=0)     DLAB=1
///   0        RBR received    THR to send        divisor low
///   1        IER             IER                divisor high
///   2        IIR             FCR                as DLAB=0
///   3 4      LCR MCR         LCR MCR
///   5 6 7    LSR MSR SCR     - - SCR
#pragma once

#include "ktstr/base/units.hpp"
#include "ktstr/dev/bus_device.hpp"
#include "ktstr/dev/byte_sink.hpp"
#include "ktstr/dev/irq_line.hpp"
#include "ktstr/sys/mutex.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace ktstr {

/// Register offsets of a 16550.
enum class uart_reg : std::uint8_t { data = 0, ier = 1, iir_fcr = 2, lcr = 3, mcr = 4, lsr = 5, msr = 6, scratch = 7 };

/// Size of a 16550's window in ports.
inline constexpr std::uint64_t uart_window = 8;

namespace uart {
// IER: which conditions interrupt.
inline constexpr std::uint8_t ier_rx = 0x01, ier_tx_empty = 0x02, ier_line = 0x04, ier_modem = 0x08, ier_mask = 0x0f;
// IIR: the most urgent condition, in this order of urgency, or none.
inline constexpr std::uint8_t iir_line = 0x06, iir_rx = 0x04, iir_rx_timeout = 0x0c, iir_tx_empty = 0x02,
                              iir_modem = 0x00, iir_none = 0x01, iir_fifo = 0xc0;
inline constexpr std::uint8_t fcr_enable = 0x01, fcr_clear_rx = 0x02, lcr_dlab = 0x80;
inline constexpr std::uint8_t mcr_dtr = 0x01, mcr_rts = 0x02, mcr_out1 = 0x04, mcr_out2 = 0x08, mcr_loop = 0x10,
                              mcr_mask = 0x1f;
inline constexpr std::uint8_t lsr_data = 0x01, lsr_overrun = 0x02, lsr_idle = 0x60;
inline constexpr std::uint8_t msr_cts = 0x10, msr_dsr = 0x20, msr_ri = 0x40, msr_dcd = 0x80;
} // namespace uart

/// Everything a 16550 remembers, apart from what it talks to.
struct serial_16550_state {
    std::uint8_t ier = 0, fcr = 0, lcr = 0, mcr = uart::mcr_out2, scratch = 0, divisor_low = 0x0c, divisor_high = 0;
    std::uint8_t msr = uart::msr_cts | uart::msr_dsr | uart::msr_dcd; ///< The other end is there; no change seen.
    bool overrun = false;           ///< A byte was lost since LSR was read (loopback only).
    bool tx_empty_pending = false;  ///< "Sender is empty" was not yet reported through IIR.
    std::uint8_t asserted = 0;      ///< Conditions (IER bits) that held when the line was last looked at.
    std::uint16_t rx_first = 0;     ///< Oldest received byte in `rx`.
    std::uint16_t rx_count = 0;     ///< Received bytes in `rx`.
    std::array<std::uint8_t, 4096> rx{};
};

/// One UART. Sending is instant, so the sender is always empty. Thread-safe; not movable.
template <ByteSink Sink, IrqLine Irq>
class serial_16550 {
    static_assert(explain_byte_sink<Sink>() && explain_irq_line<Irq>());

public:
    explicit serial_16550(Sink sink = {}, Irq irq = {}) noexcept : sink_(std::move(sink)), irq_(std::move(irq)) {}

    /// Hands bytes to the guest; how many were taken. The rest did not fit and stays with the caller, who tries again
    /// once the guest has read. Any thread.
    [[nodiscard]] std::size_t push_input(std::span<std::byte const> data) noexcept {
        mutex_guard const lock(mutex_);
        std::size_t taken = 0;
        while (taken < data.size() && s_.rx_count < s_.rx.size())
            receive(std::to_integer<std::uint8_t>(data[taken++]));
        // A guest that gave up on a long burst must hear of what still waits, so arrival always makes an edge.
        if (taken > 0)
            s_.asserted = static_cast<std::uint8_t>(s_.asserted & ~uart::ier_rx);
        update_line();
        return taken;
    }

    void read(std::uint64_t offset, std::span<std::byte> data) noexcept {
        mutex_guard const lock(mutex_);
        for (std::size_t i = 0; i < data.size(); ++i)
            data[i] = offset + i < uart_window ? std::byte{read_one(static_cast<uart_reg>(offset + i))} : open_bus;
        update_line();
    }

    device_effect write(std::uint64_t offset, std::span<std::byte const> data) noexcept {
        mutex_guard const lock(mutex_);
        for (std::size_t i = 0; i < data.size() && offset + i < uart_window; ++i)
            write_one(static_cast<uart_reg>(offset + i), std::to_integer<std::uint8_t>(data[i]));
        update_line();
        return device_effect::none;
    }

    /// Where the output goes. The device calls it under its lock; look at it when no vCPU runs, or lock inside.
    [[nodiscard]] Sink& sink() noexcept { return sink_; }
    [[nodiscard]] Irq& irq() noexcept { return irq_; }
    /// A copy of the device's memory.
    [[nodiscard]] serial_16550_state state() noexcept {
        mutex_guard const lock(mutex_);
        return s_;
    }

private:
    [[nodiscard]] bool dlab() const noexcept { return (s_.lcr & uart::lcr_dlab) != 0; }
    [[nodiscard]] bool looped() const noexcept { return (s_.mcr & uart::mcr_loop) != 0; }

    /// Stores one received byte; the caller knows that there is room.
    void receive(std::uint8_t byte) noexcept {
        s_.rx[(s_.rx_first + s_.rx_count) % s_.rx.size()] = byte;
        ++s_.rx_count;
    }

    /// Conditions that hold and are enabled, as IER bits.
    [[nodiscard]] std::uint8_t conditions() const noexcept {
        unsigned out = 0;
        out |= s_.rx_count > 0 ? uart::ier_rx : 0u;
        out |= s_.tx_empty_pending ? uart::ier_tx_empty : 0u;
        out |= s_.overrun ? uart::ier_line : 0u;
        out |= (s_.msr & 0x0f) != 0 ? uart::ier_modem : 0u;
        return static_cast<std::uint8_t>(out & s_.ier);
    }

    /// One edge whenever a condition begins to hold. A real line stays high while another condition holds; an extra
    /// edge is harmless and a missing one is not.
    void update_line() noexcept {
        auto const now = conditions();
        if ((now & ~s_.asserted) != 0)
            irq_.pulse();
        s_.asserted = now;
    }

    [[nodiscard]] std::uint8_t iir() noexcept {
        auto const now = conditions();
        unsigned id = uart::iir_none;
        if ((now & uart::ier_line) != 0) {
            id = uart::iir_line;
        } else if ((now & uart::ier_rx) != 0) {
            constexpr std::array<std::uint8_t, 4> trigger{1, 4, 8, 14};
            id = s_.rx_count >= trigger[s_.fcr >> 6] ? uart::iir_rx : uart::iir_rx_timeout;
        } else if ((now & uart::ier_tx_empty) != 0) {
            id = uart::iir_tx_empty;
            s_.tx_empty_pending = false; // reading IIR while it is the source acknowledges it
        } else if ((now & uart::ier_modem) != 0) {
            id = uart::iir_modem;
        }
        return static_cast<std::uint8_t>(id | ((s_.fcr & uart::fcr_enable) != 0 ? uart::iir_fifo : 0u));
    }

    [[nodiscard]] std::uint8_t read_one(uart_reg reg) noexcept {
        switch (reg) {
        case uart_reg::data: {
            if (dlab())
                return s_.divisor_low;
            if (s_.rx_count == 0)
                return 0;
            auto const byte = s_.rx[s_.rx_first];
            s_.rx_first = static_cast<std::uint16_t>((s_.rx_first + 1u) % s_.rx.size());
            --s_.rx_count;
            return byte;
        }
        case uart_reg::ier: return dlab() ? s_.divisor_high : s_.ier;
        case uart_reg::iir_fcr: return iir();
        case uart_reg::lcr: return s_.lcr;
        case uart_reg::mcr: return s_.mcr;
        case uart_reg::lsr: {
            unsigned const value = uart::lsr_idle | (s_.rx_count > 0 ? uart::lsr_data : 0u) |
                                   (s_.overrun ? uart::lsr_overrun : 0u);
            s_.overrun = false;
            return static_cast<std::uint8_t>(value);
        }
        case uart_reg::msr: {
            auto const value = s_.msr;
            s_.msr &= 0xf0; // the four change bits clear on read
            return value;
        }
        case uart_reg::scratch: return s_.scratch;
        }
        return 0xff;
    }

    void write_one(uart_reg reg, std::uint8_t value) noexcept {
        switch (reg) {
        case uart_reg::data:
            if (dlab()) {
                s_.divisor_low = value;
                return;
            }
            if (looped()) {
                if (s_.rx_count < 16)
                    receive(value);
                else
                    s_.overrun = true;
            } else {
                std::byte const out{value};
                sink_.put(std::span(&out, 1));
            }
            s_.tx_empty_pending = true;
            return;
        case uart_reg::ier:
            if (dlab()) {
                s_.divisor_high = value;
                return;
            }
            // Enabling the interrupt while the sender is empty raises it: Linux tests for exactly this.
            if ((value & ~s_.ier & uart::ier_tx_empty) != 0)
                s_.tx_empty_pending = true;
            s_.ier = value & uart::ier_mask;
            return;
        case uart_reg::iir_fcr:
            // Switching the FIFO on or off empties it, as the clear bit does.
            if (((value ^ s_.fcr) & uart::fcr_enable) != 0 || (value & uart::fcr_clear_rx) != 0)
                s_.rx_count = 0;
            s_.fcr = (value & uart::fcr_enable) != 0 ? static_cast<std::uint8_t>(value & 0xc1) : std::uint8_t{0};
            return;
        case uart_reg::lcr: s_.lcr = value; return;
        case uart_reg::mcr:
            s_.mcr = value & uart::mcr_mask;
            update_modem();
            return;
        case uart_reg::lsr:
        case uart_reg::msr: return;
        case uart_reg::scratch: s_.scratch = value; return;
        }
    }

    /// Modem inputs: in loopback they mirror our outputs, otherwise the other end is ready. Changes set the low bits.
    void update_modem() noexcept {
        unsigned lines = uart::msr_cts | uart::msr_dsr | uart::msr_dcd;
        if (looped()) {
            lines = ((s_.mcr & uart::mcr_rts) != 0 ? uart::msr_cts : 0u) |
                    ((s_.mcr & uart::mcr_dtr) != 0 ? uart::msr_dsr : 0u) |
                    ((s_.mcr & uart::mcr_out1) != 0 ? uart::msr_ri : 0u) |
                    ((s_.mcr & uart::mcr_out2) != 0 ? uart::msr_dcd : 0u);
        }
        auto changed = ((lines ^ s_.msr) & 0xf0u) >> 4;
        // The ring indicator counts its falling edge only.
        if ((lines & uart::msr_ri) != 0)
            changed &= 0x0fu & ~(unsigned{uart::msr_ri} >> 4);
        s_.msr = static_cast<std::uint8_t>(lines | (s_.msr & 0x0fu) | changed);
    }

    mutex mutex_;
    serial_16550_state s_;
    [[no_unique_address]] Sink sink_;
    [[no_unique_address]] Irq irq_;
};
static_assert(BusDevice<serial_16550<null_byte_sink, null_irq>>);

} // namespace ktstr
