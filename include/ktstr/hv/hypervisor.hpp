// SPDX-License-Identifier: Apache-2.0
/// \file
/// The `Vm` and `Hypervisor` policies: a virtual machine without processors, and what makes one.
///
/// Contract of `Vm`: called from the thread that builds the machine, before vCPU threads exist.
/// - `map(slot, at, memory)` backs guest physical `[at, at + memory.size())` by host memory that the caller keeps alive
///   until the `Vm` is gone; page-aligned; overlapping ranges are an error; an empty span removes the slot.
/// - `create_vcpu(index, id)` makes the vCPU with position `index` and hardware id `id` (APIC id, MPIDR index).
/// - `connect_irq(line, fd)` raises interrupt `line` whenever the eventfd `fd` is signalled.
/// - `connect_notify(at, length, value, fd)` turns a guest write of `value` (length bytes, MMIO) at `at` into a signal
///   of the eventfd `fd` instead of an exit; `errc::unsupported` when the model cannot, and then the write exits.
/// Contract of `Hypervisor`: `static result<H> open()`, `result<vm_type> create_vm(vm_options)`.
/// Models: `scripted_hypervisor` (hv/scripted.hpp), `kvm::hypervisor` (kvm/system.hpp).
/// Suite: tests/suites/hypervisor_suite.hpp.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/hv/vcpu.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ktstr {

namespace detail {
template <class V>
concept vm_map = requires(V& v, std::uint32_t slot, gpa at, std::span<std::byte> memory) {
    { v.map(slot, at, memory) } -> std::same_as<result<>>;
};
template <class V>
concept vm_create_vcpu = requires(V& v, vcpu_index i, std::uint32_t id) {
    { v.create_vcpu(i, id) } -> std::same_as<result<typename V::vcpu_type>>;
};
template <class V>
concept vm_connect_irq = requires(V& v, gsi line, int fd) {
    { v.connect_irq(line, fd) } -> std::same_as<result<>>;
};
template <class V>
concept vm_connect_notify = requires(V& v, gpa at, std::uint32_t length, std::uint64_t value, int fd) {
    { v.connect_notify(at, length, value, fd) } -> std::same_as<result<>>;
};
template <class H>
concept hypervisor_open = requires {
    { H::open() } -> std::same_as<result<H>>;
};
template <class H>
concept hypervisor_create_vm = requires(H& h, typename H::vm_options const& o) {
    { h.create_vm(o) } -> std::same_as<result<typename H::vm_type>>;
};
} // namespace detail

/// A virtual machine; see the contract at the top of this file.
template <class V>
concept Vm = detail::vm_map<V> && detail::vm_create_vcpu<V> && detail::vm_connect_irq<V> &&
             detail::vm_connect_notify<V> && Vcpu<typename V::vcpu_type>;

/// A maker of virtual machines; see the contract at the top of this file.
template <class H>
concept Hypervisor = detail::hypervisor_open<H> && detail::hypervisor_create_vm<H> && Vm<typename H::vm_type>;

/// Fails to compile with one sentence per requirement that `V` misses.
template <class V>
consteval bool explain_vm() {
    static_assert(detail::vm_map<V>, "Vm: missing `result<> map(uint32_t slot, gpa, span<byte>)`");
    static_assert(detail::vm_create_vcpu<V>, "Vm: missing `result<vcpu_type> create_vcpu(vcpu_index, uint32_t id)`");
    static_assert(detail::vm_connect_irq<V>, "Vm: missing `result<> connect_irq(gsi, int fd)`");
    static_assert(detail::vm_connect_notify<V>, "Vm: missing `result<> connect_notify(gpa, uint32_t, uint64_t, int fd)`");
    return Vm<V>;
}

/// Fails to compile with one sentence per requirement that `H` misses.
template <class H>
consteval bool explain_hypervisor() {
    static_assert(detail::hypervisor_open<H>, "Hypervisor: missing `static result<H> open()`");
    static_assert(detail::hypervisor_create_vm<H>, "Hypervisor: missing `vm_options` or `result<vm_type> create_vm(vm_options const&)`");
    static_assert(explain_vm<typename H::vm_type>());
    static_assert(explain_vcpu<typename H::vm_type::vcpu_type>());
    return Hypervisor<H>;
}

} // namespace ktstr
