// SPDX-License-Identifier: Apache-2.0
/// \file
/// Tiny guests that compute in user mode (CPL 3), where also a KVM that emulates guest kernel mode runs them natively.
#pragma once

#include "ktstr/arch/x86_64/boot_state.hpp"
#include "ktstr/kvm/x86_64/regs.hpp"
#include "ktstr/mem/guest_memory.hpp"
#include "ktstr/runner/basic_runner.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace user_guest {

inline constexpr ktstr::gpa code{0x20000};
/// The cache line of vCPU `i`'s counter.
[[nodiscard]] inline ktstr::gpa counter(std::size_t i) { return ktstr::gpa{0x40000 + 0x1000 * i}; }

/// Adds one to [RDI] for ever.
inline std::vector<std::uint8_t> const spinner{
    0x48, 0xff, 0x07, // 1: inc qword [rdi]
    0xeb, 0xfb,       //    jmp 1b
};

[[nodiscard]] inline ktstr::machine_shape shape(std::size_t vcpus) {
    ktstr::machine_shape out{{{{ktstr::gpa{0}, ktstr::bytes{1 * ktstr::MiB}}, 0, ktstr::bytes{0}}}, {}};
    for (std::size_t i = 0; i < vcpus; ++i)
        out.vcpu_ids.push_back(static_cast<std::uint32_t>(i));
    return out;
}

/// Puts `text` at `code`, and every vCPU there in user mode with RDI at its own counter.
template <class Runner>
[[nodiscard]] ktstr::result<> load(Runner& r, std::span<std::uint8_t const> text) {
    using namespace ktstr;
    KTSTR_CHECK(write_boot_tables(r.memory()));
    // User mode may touch everything: bit 2 in each entry of all three levels.
    for (std::uint64_t at = 0; at < 0x6000; at += 8) {
        auto const place = x86_map::page_tables + at;
        KTSTR_TRY(auto const entry, load_guest<le64>(r.memory(), place));
        if (entry.get() != 0)
            KTSTR_CHECK(store_guest(r.memory(), place, le64{entry.get() | 4}));
    }
    KTSTR_CHECK(write_guest(r.memory(), code, std::as_bytes(text)));
    for (std::size_t i = 0; i < r.vcpus().size(); ++i) {
        auto state = x86_long_mode_entry(code, gpa{0});
        state.regs.rdi = counter(i).raw;
        for (auto* segment : {&state.code, &state.data}) {
            segment->dpl = 3;
            segment->selector = static_cast<std::uint16_t>(segment->selector | 3);
        }
        KTSTR_CHECK(kvm::set_boot_state(r.vcpu(i).fd(), state));
    }
    return {};
}

/// The counters as they are now.
template <class Runner>
[[nodiscard]] std::vector<std::uint64_t> counters(Runner& r) {
    std::vector<std::uint64_t> out;
    for (std::size_t i = 0; i < r.vcpus().size(); ++i) {
        auto const view = r.memory().slice(counter(i), 8);
        out.push_back(view ? __atomic_load_n(reinterpret_cast<std::uint64_t const*>(view->data()), __ATOMIC_RELAXED) : 0);
    }
    return out;
}

} // namespace user_guest
