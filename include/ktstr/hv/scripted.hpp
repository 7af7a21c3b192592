// SPDX-License-Identifier: Apache-2.0
/// \file
/// A hypervisor without hardware: its vCPUs play a list of exits. The unit-test backend, and the smallest model.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/hv/exit.hpp"
#include "ktstr/hv/exit_policy.hpp"
#include "ktstr/hv/hypervisor.hpp"
#include "ktstr/hv/vcpu.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <sched.h>
#include <span>
#include <utility>
#include <vector>

namespace ktstr {

/// One step of a scripted vCPU: an exit to report, an errno to fail with, or a wait for a kick.
struct scripted_step {
    exit_kind kind = exit_kind::unknown;
    std::uint64_t address = 0;  ///< Port or guest physical address.
    std::uint64_t value = 0;    ///< Data of a write, little-endian; exit detail otherwise.
    std::uint8_t size = 1;      ///< Bytes of data.
    std::int32_t os_errno = 0;  ///< Not 0: `run` fails with this number instead (EINTR and EAGAIN interrupt).
    bool spin = false;          ///< The guest computes until somebody asks for an exit.
    bool forever = false;       ///< The guest never gets past this step.
};

/// Registers of the scripted processor: just enough to move about.
struct scripted_regs {
    std::uint64_t pc = 0;
    std::uint64_t sp = 0;
    friend bool operator==(scripted_regs const&, scripted_regs const&) = default;
};

/// Plays its steps one a run; when they are used up, spins until asked to exit.
class scripted_vcpu {
public:
    using regs_type = scripted_regs;

    scripted_vcpu() : state_(std::make_unique<state>()) {}
    explicit scripted_vcpu(std::vector<scripted_step> steps) : state_(std::make_unique<state>()) {
        state_->steps = std::move(steps);
    }

    /// Bytes that the policy answered to the `n`-th read (`in` or MMIO), in order of play.
    [[nodiscard]] std::vector<std::uint64_t> const& answers() const noexcept { return state_->answers; }
    [[nodiscard]] std::size_t runs() const noexcept { return state_->runs; }

    template <class Policy>
    [[nodiscard]] run_result run(Policy& policy) noexcept {
        auto& s = *state_;
        ++s.runs;
        if (s.exit_requested.load(std::memory_order_acquire))
            return {run_status::interrupted, exit_kind::interrupted, {}, EINTR};
        auto const step = s.next < s.steps.size() ? s.steps[s.next] : scripted_step{.spin = true};
        s.next += !step.forever;
        if (step.spin) {
            while (!s.exit_requested.load(std::memory_order_acquire))
                ::sched_yield();
            return {run_status::interrupted, exit_kind::interrupted, {}, EINTR};
        }
        if (step.os_errno == EINTR || step.os_errno == EAGAIN)
            return {run_status::interrupted, exit_kind::interrupted, {}, step.os_errno};
        if (step.os_errno != 0)
            return {run_status::error, step.kind, {}, step.os_errno};
        return {run_status::exited, step.kind, play(step, policy), 0};
    }

    void request_exit() noexcept { state_->exit_requested.store(true, std::memory_order_release); }
    void clear_exit_request() noexcept { state_->exit_requested.store(false, std::memory_order_release); }
    [[nodiscard]] result<scripted_regs> get_regs() const noexcept { return state_->regs; }
    [[nodiscard]] result<> set_regs(scripted_regs const& regs) noexcept {
        state_->regs = regs;
        return {};
    }

private:
    struct state {
        std::vector<scripted_step> steps;
        std::size_t next = 0;
        std::size_t runs = 0;
        std::vector<std::uint64_t> answers;
        std::atomic<bool> exit_requested{false};
        scripted_regs regs{};
    };

    template <class Policy>
    exit_verdict play(scripted_step const& step, Policy& policy) noexcept {
        std::array<std::byte, 8> raw{};
        for (std::size_t i = 0; i < raw.size(); ++i)
            raw[i] = static_cast<std::byte>(step.value >> (8 * i));
        auto const data = std::span(raw).first(std::min<std::size_t>(step.size, raw.size()));
        auto const port = static_cast<std::uint16_t>(step.address);
        switch (step.kind) {
        case exit_kind::pio_in: return answered(policy.on_pio_in(pio_exit{port, step.size, data}), data);
        case exit_kind::pio_out: return policy.on_pio_out(pio_exit{port, step.size, data});
        case exit_kind::mmio_read: return answered(policy.on_mmio_read(mmio_exit{gpa{step.address}, data}), data);
        case exit_kind::mmio_write: return policy.on_mmio_write(mmio_exit{gpa{step.address}, data});
        case exit_kind::halt: return policy.on_halt(halt_exit{});
        case exit_kind::shutdown: return policy.on_shutdown(shutdown_exit{});
        case exit_kind::system_event:
            return policy.on_system_event(system_event_exit{static_cast<std::uint32_t>(step.value), 0});
        case exit_kind::fail_entry: return policy.on_fail_entry(fail_entry_exit{step.value, 0});
        case exit_kind::internal_error:
            return policy.on_internal_error(internal_error_exit{static_cast<std::uint32_t>(step.value), {}, 0});
        case exit_kind::debug: return policy.on_debug(debug_exit{step.address, step.value, 0, 1});
        case exit_kind::interrupted:
        case exit_kind::unknown: break;
        }
        return policy.on_unknown(unknown_exit{static_cast<std::uint32_t>(step.value), {}});
    }

    exit_verdict answered(exit_verdict verdict, std::span<std::byte const> data) {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < data.size(); ++i)
            value |= std::to_integer<std::uint64_t>(data[i]) << (8 * i);
        state_->answers.push_back(value);
        return verdict;
    }

    std::unique_ptr<state> state_;
};
static_assert(Vcpu<scripted_vcpu>);

/// A machine of scripted vCPUs. Remembers what was mapped and connected; refuses overlaps as hardware would.
class scripted_vm {
public:
    using vcpu_type = scripted_vcpu;
    struct mapped {
        std::uint32_t slot;
        gpa at;
        std::span<std::byte> memory;
    };
    /// Steps for the vCPUs to come, by index; vCPUs beyond the list just spin.
    std::vector<std::vector<scripted_step>> scripts;

    [[nodiscard]] result<> map(std::uint32_t slot, gpa at, std::span<std::byte> memory) {
        std::erase_if(slots_, [&](mapped const& m) { return m.slot == slot; });
        if (memory.empty())
            return {};
        for (auto const& m : slots_) {
            if (at < m.at + m.memory.size() && m.at < at + memory.size())
                return fail(errc::already_exists, "vm.map", at.raw);
        }
        slots_.push_back({slot, at, memory});
        return {};
    }
    [[nodiscard]] result<scripted_vcpu> create_vcpu(vcpu_index index, std::uint32_t) {
        return index.raw < scripts.size() ? scripted_vcpu(scripts[index.raw]) : scripted_vcpu();
    }
    [[nodiscard]] result<> connect_irq(gsi, int) noexcept { return {}; }
    [[nodiscard]] result<> connect_notify(gpa, std::uint32_t, std::uint64_t, int) noexcept {
        return fail(errc::unsupported, "scripted.connect_notify");
    }
    [[nodiscard]] std::span<mapped const> slots() const noexcept { return slots_; }

private:
    std::vector<mapped> slots_;
};
static_assert(Vm<scripted_vm>);

/// Makes scripted machines.
struct scripted_hypervisor {
    using vm_type = scripted_vm;
    /// The scripts that the machine's vCPUs will play.
    struct vm_options {
        std::vector<std::vector<scripted_step>> scripts;
    };
    [[nodiscard]] static result<scripted_hypervisor> open() noexcept { return scripted_hypervisor{}; }
    [[nodiscard]] result<scripted_vm> create_vm(vm_options const& options) {
        scripted_vm vm;
        vm.scripts = options.scripts;
        return vm;
    }
};
static_assert(Hypervisor<scripted_hypervisor>);

} // namespace ktstr
