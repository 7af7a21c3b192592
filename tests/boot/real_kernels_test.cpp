// SPDX-License-Identifier: Apache-2.0
// The real kernels that are in this user's store: what synthetic ones cannot show.
#include "ktstr/boot/bzimage.hpp"
#include "ktstr/boot/decompress_lz4.hpp"
#include "ktstr/boot/decompress_lzma.hpp"
#include "ktstr/boot/decompress_zlib.hpp"
#include "ktstr/boot/decompress_zstd.hpp"
#include "ktstr/boot/elf_sections.hpp"
#include "ktstr/boot/kaslr.hpp"
#include "ktstr/boot/load_vmlinux.hpp"
#include "ktstr/boot/relocs.hpp"
#include "ktstr/mem/mmap_memory.hpp"
#include "ktstr/sys/mapping.hpp"

#include <algorithm>
#include <cstdlib>
#include <dirent.h>
#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace ktstr;

namespace {

std::vector<std::string> kernels() {
    auto const* const cache = std::getenv("XDG_CACHE_HOME");
    auto const* const home = std::getenv("HOME");
    auto const root = (cache != nullptr ? std::string(cache) : std::string(home != nullptr ? home : "") + "/.cache") + "/ktstr/kernels/";
    std::vector<std::string> out;
    auto* const folder = ::opendir(root.c_str());
    if (folder == nullptr)
        return out;
    while (auto const* const entry = ::readdir(folder))
        if (std::string_view(entry->d_name).starts_with("debian-"))
            out.push_back(root + entry->d_name);
    ::closedir(folder);
    std::sort(out.begin(), out.end());
    return out;
}

mapping map_file(std::string const& path) {
    auto const fd = unique_fd::open(path.c_str(), O_RDONLY);
    REQUIRE(fd);
    auto out = mapping::map(static_cast<std::size_t>(*file_size(fd->get())), PROT_READ, MAP_PRIVATE, fd->get());
    REQUIRE(out);
    return *std::move(out);
}

/// The most significant half of what the 64-bit places hold, once for each value.
std::vector<std::uint32_t> upper_halves(std::span<std::byte const> image, vmlinux_image const& elf, reloc_tables const& tables) {
    std::vector<std::uint32_t> out;
    for (std::size_t at = 0; at < tables.absolute64.size(); at += 4) {
        auto const place = std::uint64_t{detail::peek<le32>(tables.absolute64, at)} - 0x8000'0000U - elf.extent.start.raw;
        auto const upper = detail::peek<le32>(image, static_cast<std::size_t>(place) + 4).get();
        if (std::find(out.begin(), out.end(), upper) == out.end())
            out.push_back(upper);
    }
    return out;
}

} // namespace

TEST_CASE("real kernels: bzImage, vmlinux and relocations agree with each other") {
    auto const all = kernels();
    if (all.empty())
        MESSAGE("no Debian kernel in the store");
    for (auto const& dir : all) {
        CAPTURE(dir);
        auto const bz = map_file(dir + "/bzImage");
        auto const image = parse_bzimage(bz.span());
        REQUIRE(image);
        CHECK(dir.ends_with(std::string(image->release())));
        auto const vmlinux = map_file(dir + "/vmlinux");
        auto const elf = parse_vmlinux(vmlinux.span());
        REQUIRE(elf);
        CHECK(elf->extent.start.raw == image->header.pref_address);
        CHECK(elf->elf_size == vmlinux.size());
        CHECK(elf->extent.size.raw <= image->header.init_size);
        auto const relocs = map_file(dir + "/relocs");
        CHECK(vmlinux.size() + relocs.size() == image->payload_size_hint);
        auto const tables = parse_relocs(relocs.span());
        REQUIRE(tables);
        CHECK(tables->count() > 100000);
        CHECK(tables->absolute64.size() > 1000);
        // The list of negated places went away with per-CPU data at address 0, in 6.15.
        auto const old = image->release().starts_with("6.1.") || image->release().starts_with("6.12.");
        CHECK(tables->inverse32.empty() != old);
        CHECK(find_section(vmlinux.span(), ".BTF"));
    }
}

TEST_CASE("real kernels: moved up and down again they are what they were") {
    using all_methods = decompressor_set<zstd_decompressor, lzma_decompressor, zlib_decompressor, lz4_decompressor>;
    for (auto const& dir : kernels()) {
        CAPTURE(dir);
        auto const bz = map_file(dir + "/bzImage");
        auto const image = parse_bzimage(bz.span());
        REQUIRE(image);
        auto const raw = all_methods{}.unpack(image->payload, image->payload_size_hint, 1 * GiB);
        REQUIRE(raw);
        CHECK(raw->size() == image->payload_size_hint);
        auto const elf = *parse_vmlinux(*raw);
        auto const tables = *parse_relocs(std::span<std::byte const>(*raw).subspan(static_cast<std::size_t>(elf.elf_size)));
        std::vector<ram_region> const ram{{{gpa{0}, bytes{512 * MiB}}, 0, {}}};
        auto const memory = mmap_memory::make(ram);
        REQUIRE(memory);
        auto const place = choose_kaslr(elf, {.ram = ram, .alignment = bytes{image->header.kernel_alignment}}, 0x1234567, 0x89abcde);
        REQUIRE(place);
        auto const moved = load_vmlinux(*memory, span_source{*raw}, elf,
                                        {.phys_base = place->phys_base, .virt_offset = place->virt_offset, .relocs = tables});
        REQUIRE(moved);
        auto const now = *memory->slice(place->phys_base, elf.extent.size.raw);
        // Every moved 64-bit address still points into the top 2 GiB, or is a physical one below 4 GiB (early page tables).
        for (auto const upper : upper_halves(now, elf, tables))
            CHECK((upper == 0xffff'ffff || upper == 0));
        REQUIRE(apply_relocs(*memory, elf.extent, place->phys_base, tables, 0 - place->virt_offset));
        bool same = true;
        for (auto const& segment : elf.segments()) {
            auto const was = std::span<std::byte const>(*raw).subspan(static_cast<std::size_t>(segment.offset),
                                                                      static_cast<std::size_t>(segment.file_size));
            same = same && std::memcmp(now.data() + (segment.start - elf.extent.start), was.data(), was.size()) == 0;
        }
        CHECK(same);
    }
}
