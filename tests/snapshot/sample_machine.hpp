// SPDX-License-Identifier: Apache-2.0
/// \file
/// A machine to take snapshots of: RAM in two regions with a hole, two vCPUs with registers, a kernel somewhere.
#pragma once

#include "ktstr/mem/mmap_memory.hpp"
#include "ktstr/snapshot/image.hpp"

#include <array>
#include <cstring>
#include <doctest/doctest.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktstr::test {

inline constexpr std::uint64_t sample_direct_map = 0xffff'8880'0000'0000;
inline constexpr std::uint64_t sample_text = 0xffff'ffff'9200'0000;

/// 16 MiB from 0 and 4 MiB from 4 GiB. A text at 0x1000 (direct map) and in the "kernel" at 8 MiB.
struct sample_machine {
    mmap_memory memory;
    std::vector<vcpu_record> cpus;
    std::string vmcoreinfo = "OSRELEASE=7.3.0-test\nKERNELOFFSET=11000000\n";

    sample_machine() {
        std::vector<ram_region> regions{{{gpa{0}, bytes{16 * MiB}}, 0, bytes{0}},
                                        {{gpa{4 * GiB}, bytes{4 * MiB}}, 1, bytes{16 * MiB}}};
        memory = *mmap_memory::make(std::move(regions));
        write(0x1000, "first page");
        write(0x2ffc, "over a page's end");
        write(8 * MiB + 0x40, "kernel text");
        write(4 * GiB + 3 * MiB + 5, "high");
        cpus = {cpu(0), cpu(1)};
    }

    void write(std::uint64_t at, std::string_view text) {
        REQUIRE(write_guest(memory, gpa{at}, std::as_bytes(std::span(text.data(), text.size()))));
    }

    static vcpu_record cpu(std::uint32_t index) {
        vcpu_record out;
        out.index = index;
        out.hardware_id = index * 2;
        std::uint64_t value = 0x1000 + index * 0x100;
        for (auto const* name : {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11", "r12",
                                 "r13", "r14", "r15"})
            out.registers.push_back({name, register_group::general, ++value});
        out.registers.push_back({"rip", register_group::general, sample_text + 0x40 + index});
        out.registers.push_back({"rflags", register_group::general, 0x246});
        out.registers.push_back({"cs", register_group::segment, 0x10});
        out.registers.push_back({"ss", register_group::segment, 0x18});
        out.registers.push_back({"gs.base", register_group::segment, 0xffff'8880'0100'0000 + index});
        out.registers.push_back({"cr3", register_group::control, 0x9000});
        out.fpu.assign(832, std::byte{0});
        return out;
    }

    [[nodiscard]] snapshot_header header(std::uint64_t generation = 7) const {
        snapshot_header h;
        h.arch = "x86_64";
        h.generation = generation;
        h.cause = "request";
        h.tag = "sample";
        h.requested = nanos{1000};
        h.quiesced = nanos{2000};
        h.parked = nanos{-1};
        h.clocks = {true, false};
        h.ram = memory.regions();
        h.vcpus = cpus;
        h.vmcoreinfo = vmcoreinfo;
        h.kernel = {sample_text, 8 * MiB, 4 * MiB, sample_direct_map};
        return h;
    }
};

/// The text of `n` bytes that `read` (a reader of any kind) finds at `at`.
template <class Reader, class Address>
std::string text_at(Reader&& from, Address at, std::size_t n) {
    std::string out(n, '?');
    auto const done = from.read(at, std::as_writable_bytes(std::span(out.data(), n)));
    CHECK(done);
    return out;
}

/// Whether two headers say the same, registers and all.
inline void check_same(snapshot_header const& a, snapshot_header const& b) {
    CHECK(a.arch == b.arch);
    CHECK(a.generation == b.generation);
    CHECK(a.cause == b.cause);
    CHECK(a.tag == b.tag);
    CHECK(a.requested == b.requested);
    CHECK(a.quiesced == b.quiesced);
    CHECK(a.parked == b.parked);
    CHECK(a.clocks == b.clocks);
    CHECK(a.degraded == b.degraded);
    CHECK(a.vmcoreinfo == b.vmcoreinfo);
    CHECK(a.kernel == b.kernel);
    CHECK(std::vector(a.ram.begin(), a.ram.end()) == std::vector(b.ram.begin(), b.ram.end()));
    CHECK(std::vector(a.vcpus.begin(), a.vcpus.end()) == std::vector(b.vcpus.begin(), b.vcpus.end()));
}

} // namespace ktstr::test
