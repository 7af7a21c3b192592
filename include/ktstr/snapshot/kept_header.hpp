// SPDX-License-Identifier: Apache-2.0
/// \file
/// A snapshot's header that owns its texts and lists, and its byte form: what every format and reader stores.
///
/// The byte form is that of wire/codec.hpp, in three kinds of blocks: the header proper, one block a vCPU, and the plain
/// text of VMCOREINFO. Checked when decoding: lengths, enumerations, sorted disjoint RAM below 2^52. Not checked: whether
/// register names make sense. docs/formats/ktsnap.md shows the bytes.
#pragma once

#include "ktstr/base/checked.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/mem/region.hpp"
#include "ktstr/snapshot/image.hpp"
#include "ktstr/wire/codec.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ktstr {

namespace detail {
/// One RAM region as bytes.
struct stored_region {
    std::uint64_t start = 0;
    std::uint64_t size = 0;
    std::uint32_t node = 0;
    std::uint64_t backing = 0;
    static void describe(auto& io, auto& self) { io(self.start), io(self.size), io(self.node), io(self.backing); }
};
} // namespace detail

/// Everything a `snapshot_header` points to, by value.
struct kept_header {
    std::string arch;
    std::uint64_t generation = 0;
    std::string cause;
    std::string tag;
    nanos requested{};
    nanos quiesced{};
    nanos parked{};
    clocks_held clocks{};
    std::string degraded;
    std::vector<ram_region> ram;
    std::vector<vcpu_record> vcpus;
    std::string vmcoreinfo;
    kernel_place kernel{};

    /// A copy of everything `h` points to.
    [[nodiscard]] static kept_header from(snapshot_header const& h) {
        kept_header out;
        out.arch = h.arch;
        out.generation = h.generation;
        out.cause = h.cause;
        out.tag = h.tag;
        out.requested = h.requested;
        out.quiesced = h.quiesced;
        out.parked = h.parked;
        out.clocks = h.clocks;
        out.degraded = h.degraded;
        out.ram.assign(h.ram.begin(), h.ram.end());
        out.vcpus.assign(h.vcpus.begin(), h.vcpus.end());
        out.vmcoreinfo = h.vmcoreinfo;
        out.kernel = h.kernel;
        return out;
    }
    /// The same as a sink wants it; valid while this value lives unchanged.
    [[nodiscard]] snapshot_header view() const noexcept {
        return {arch, generation, cause, tag, requested, quiesced, parked, clocks, degraded, ram, vcpus, vmcoreinfo, kernel};
    }

    /// For wire/codec.hpp: all but vCPUs and VMCOREINFO, which are blocks of their own. RAM goes through `regions`.
    struct block;
};

/// The header block: what `kept_header` holds without vCPUs and VMCOREINFO.
struct kept_header::block {
    kept_header* of;
    std::vector<detail::stored_region> regions{};
    static void describe(auto& io, auto& self) {
        auto& h = *self.of;
        io(h.arch), io(h.generation), io(h.cause), io(h.tag);
        io(h.requested.raw), io(h.quiesced.raw), io(h.parked.raw);
        io(h.clocks.kvm_clock), io(h.clocks.counter), io(h.degraded);
        io(h.kernel.text_virtual), io(h.kernel.text_physical), io(h.kernel.text_size), io(h.kernel.direct_map);
        io(self.regions);
    }
};

/// Version of the header and vCPU blocks; a change of their fields is a new number.
inline constexpr std::uint32_t header_block_version = 1;

/// Whether `ram` is sorted, disjoint, not empty anywhere and below 2^52: what every reader may rely on.
[[nodiscard]] inline result<> check_regions(std::span<ram_region const> ram) noexcept {
    constexpr auto limit = std::uint64_t{1} << 52;
    std::uint64_t end = 0;
    for (auto const& r : ram) {
        if (r.range.start.raw < end || r.range.size.raw == 0 || !fits(r.range.start.raw, r.range.size.raw, limit))
            return fail(errc::bad_format, "snapshot.ram", r.range.start.raw);
        end = r.range.end().raw;
    }
    return {};
}

/// The region of `ram` (sorted, disjoint) in which `at` lies, or null.
[[nodiscard]] inline ram_region const* find_region(std::span<ram_region const> ram, gpa at) noexcept {
    for (auto const& r : ram)
        if (r.range.contains(at))
            return &r;
    return nullptr;
}

/// Whether all of `[at, at + n)` is RAM; regions that touch count as one.
[[nodiscard]] inline bool is_ram(std::span<ram_region const> ram, gpa at, std::uint64_t n) noexcept {
    for (auto const& r : ram) {
        if (n == 0)
            break;
        if (!r.range.contains(at))
            continue;
        auto const here = r.range.size.raw - (at - r.range.start);
        auto const step = here < n ? here : n;
        at = at + step;
        n -= step;
    }
    return n == 0;
}

/// The header block of `h`.
[[nodiscard]] inline std::vector<std::byte> encode_header(snapshot_header const& h) {
    auto lean = h;
    lean.vcpus = {};
    lean.vmcoreinfo = {};
    auto copy = kept_header::from(lean);
    kept_header::block block{&copy};
    for (auto const& r : h.ram)
        block.regions.push_back({r.range.start.raw, r.range.size.raw, r.node, r.backing_offset.raw});
    return wire::encode_value(block);
}

/// The header in `data`, without vCPUs and VMCOREINFO.
[[nodiscard]] inline result<kept_header> decode_header(std::span<std::byte const> data) {
    kept_header out;
    kept_header::block block{&out};
    wire::decoder io(data, "snapshot.header");
    io(block);
    KTSTR_CHECK(io.finish());
    for (auto const& r : block.regions)
        out.ram.push_back({{gpa{r.start}, bytes{r.size}}, r.node, bytes{r.backing}});
    KTSTR_CHECK(check_regions(out.ram));
    return out;
}

/// The block of one vCPU.
[[nodiscard]] inline std::vector<std::byte> encode_vcpu(vcpu_record const& cpu) { return wire::encode_value(cpu); }

/// The vCPU in `data`.
[[nodiscard]] inline result<vcpu_record> decode_vcpu(std::span<std::byte const> data) {
    vcpu_record out;
    wire::decoder io(data, "snapshot.vcpu");
    io(out);
    KTSTR_CHECK(io.finish());
    return out;
}

} // namespace ktstr
