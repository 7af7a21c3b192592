// SPDX-License-Identifier: Apache-2.0
/// \file
/// A KVM vCPU: its descriptor, its shared run page, and the translation of exits into calls of an exit policy.
/// Source: linux Documentation/virt/kvm/api.rst, sections 4.10 (KVM_RUN) and 5 (the kvm_run structure).
#pragma once

#include "ktstr/abi/kvm.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/hv/exit.hpp"
#include "ktstr/hv/exit_policy.hpp"
#include "ktstr/hv/vcpu.hpp"
#include "ktstr/kvm/ioctl.hpp"
#include "ktstr/kvm/native.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/mapping.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <sys/ioctl.h>
#include <utility>

namespace ktstr::kvm {

/// One virtual processor of a KVM machine; model of `Vcpu`. Movable; the run page's address stays the same.
class vcpu {
public:
    using regs_type = native_regs;

    /// Takes the descriptor of KVM_CREATE_VCPU and maps its run page of `run_size` bytes.
    [[nodiscard]] static result<vcpu> adopt(unique_fd fd, std::size_t run_size) noexcept {
        vcpu out;
        KTSTR_TRY(out.page_, mapping::map(run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get()));
        out.fd_ = std::move(fd);
        return out;
    }

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    /// The shared run page; only for the vCPU's own thread, but for `immediate_exit`.
    [[nodiscard]] kvm_run& page() noexcept { return *reinterpret_cast<kvm_run*>(page_.data()); }

    template <class Policy>
    [[nodiscard]] run_result run(Policy& policy) noexcept {
        if (::ioctl(fd_.get(), KVM_RUN, 0UL) < 0) {
            int const number = errno;
            if (number == EINTR || number == EAGAIN)
                return {run_status::interrupted, exit_kind::interrupted, {}, number};
            return {run_status::error, exit_kind::unknown, {}, number};
        }
        return dispatch(policy);
    }

    void request_exit() noexcept { immediate_exit(1); }
    void clear_exit_request() noexcept { immediate_exit(0); }

    [[nodiscard]] result<regs_type> get_regs() noexcept { return native_get_regs(fd_.get()); }
    [[nodiscard]] result<> set_regs(regs_type const& regs) noexcept { return native_set_regs(fd_.get(), regs); }

private:
    void immediate_exit(std::uint8_t value) noexcept {
        // The kernel reads this byte on its way into the guest, on another thread than a kicker's.
        __atomic_store_n(&page().immediate_exit, value, __ATOMIC_SEQ_CST);
    }

    [[nodiscard]] std::span<std::byte> pio_data() noexcept {
        auto const& io = page().io;
        auto const length = std::uint64_t{io.size} * io.count;
        if (io.data_offset > page_.size() || length > page_.size() - io.data_offset)
            return {};
        return page_.span().subspan(io.data_offset, length);
    }

    template <class Policy>
    [[nodiscard]] run_result dispatch(Policy& policy) noexcept {
        auto& r = page();
        switch (r.exit_reason) {
        case KVM_EXIT_IO: {
            pio_exit const e{r.io.port, r.io.size, pio_data()};
            if (r.io.direction == KVM_EXIT_IO_OUT)
                return {run_status::exited, exit_kind::pio_out, policy.on_pio_out(e), 0};
            return {run_status::exited, exit_kind::pio_in, policy.on_pio_in(e), 0};
        }
        case KVM_EXIT_MMIO: {
            auto const length = std::min<std::size_t>(r.mmio.len, sizeof r.mmio.data);
            mmio_exit const e{gpa{r.mmio.phys_addr}, std::as_writable_bytes(std::span(r.mmio.data)).first(length)};
            if (r.mmio.is_write != 0)
                return {run_status::exited, exit_kind::mmio_write, policy.on_mmio_write(e), 0};
            return {run_status::exited, exit_kind::mmio_read, policy.on_mmio_read(e), 0};
        }
        case KVM_EXIT_HLT: return {run_status::exited, exit_kind::halt, policy.on_halt(halt_exit{}), 0};
        case KVM_EXIT_SHUTDOWN: return {run_status::exited, exit_kind::shutdown, policy.on_shutdown(shutdown_exit{}), 0};
        case KVM_EXIT_INTR: return {run_status::interrupted, exit_kind::interrupted, {}, EINTR};
        case KVM_EXIT_SYSTEM_EVENT:
            return {run_status::exited, exit_kind::system_event,
                    policy.on_system_event(system_event_exit{r.system_event.type, r.system_event.data[0]}), 0};
        case KVM_EXIT_FAIL_ENTRY:
            return {run_status::exited, exit_kind::fail_entry,
                    policy.on_fail_entry(
                        fail_entry_exit{r.fail_entry.hardware_entry_failure_reason, r.fail_entry.cpu}),
                    0};
        case KVM_EXIT_INTERNAL_ERROR: {
            internal_error_exit e{r.internal.suberror, {}, std::min<std::uint32_t>(r.internal.ndata, 4)};
            std::copy_n(r.internal.data, e.words, e.data.begin());
            return {run_status::exited, exit_kind::internal_error, policy.on_internal_error(e), 0};
        }
        case KVM_EXIT_DEBUG:
            return {run_status::exited, exit_kind::debug, policy.on_debug(native_debug_exit(r)), 0};
        default: break;
        }
        unknown_exit e{r.exit_reason, {}};
        std::memcpy(e.raw.data(), &r.hw, e.raw.size());
        return {run_status::exited, exit_kind::unknown, policy.on_unknown(e), 0};
    }

    unique_fd fd_;
    mapping page_;
};
static_assert(Vcpu<vcpu>);

} // namespace ktstr::kvm
