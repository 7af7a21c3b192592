// SPDX-License-Identifier: Apache-2.0
// Any bytes as a program and as a loader cache: readers answer, stripping never grows and strips nothing twice.
#include "ktstr/boot/elf_needed.hpp"
#include "ktstr/boot/initramfs_ldcache.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const input = std::as_bytes(std::span(data, size));
    auto const needs = ktstr::read_elf_needs(input);
    if (needs) {
        for (auto const name : needs->needed) {
            if (name.empty() || name.size() > size)
                __builtin_trap();
        }
    }
    if (auto const once = ktstr::strip_elf(input)) {
        auto const twice = ktstr::strip_elf(*once);
        if (once->size() > size || !twice || *twice != *once)
            __builtin_trap();
    }
    if (auto const cache = ktstr::ldcache::open(input)) {
        auto const hit = cache->find("libc.so.6", ktstr::elf::em_x86_64);
        if (hit && hit->size() > size)
            __builtin_trap();
    }
    return 0;
}
