// SPDX-License-Identifier: Apache-2.0
/// \file
/// Opening a snapshot of either format.
#include "ktstr-run/snapshot_file.hpp"

#include "ktstr/introspect/symbols/kallsyms.hpp"

#include <algorithm>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace ktstr::tool {

namespace {

constexpr std::uint64_t page_bytes = 4096;

std::string remedy_for(error const& e) {
    switch (e.code) {
    case errc::bad_checksum: return "the file was changed or damaged after it was written; take it from where it was made";
    case errc::truncated: return "the file is cut off; copy it again";
    case errc::unsupported: return "a newer ktstr-run wrote it, or another machine's; read it with that";
    default: return "give a .ktsnap or an ELF core, as ktstr-run writes them";
    }
}

} // namespace

outcome<snapshot_file> snapshot_file::open(std::string path) {
    auto fd = unique_fd::open(path.c_str(), O_RDONLY);
    if (!fd)
        return std::unexpected(problem_from(fd.error(), exit_code::bad_input, "cannot open the snapshot", path,
                                            "name a file that is there and that this user may read"));
    struct stat st {};
    if (::fstat(fd->get(), &st) != 0 || !S_ISREG(st.st_mode))
        return problem_of(exit_code::bad_input, "the snapshot is no file", path, "give a .ktsnap or an ELF core, as ktstr-run writes them");
    auto const size = st.st_size;
    if (size == 0)
        return problem_of(exit_code::bad_input, "the snapshot is empty", path, "give a .ktsnap or an ELF core, as ktstr-run writes them");
    auto bytes = mapping::map(static_cast<std::size_t>(size), PROT_READ, MAP_PRIVATE, fd->get());
    if (!bytes)
        return std::unexpected(problem_from(bytes.error(), exit_code::bad_input, "cannot map the snapshot", path,
                                            "read it on a machine with more address space"));
    auto const content = std::span<std::byte const>(bytes->span());
    auto const begins = [&](auto const& magic) {
        return content.size() >= magic.size() && std::memcmp(content.data(), magic.data(), magic.size()) == 0;
    };
    auto const refuse = [&](error const& e) {
        return std::unexpected(problem_from(e, exit_code::bad_input, "this is no whole snapshot", path, remedy_for(e)));
    };
    if (begins(ktsnap::magic)) {
        auto opened = reader_type::open(content);
        if (!opened)
            return refuse(opened.error());
        if (auto const whole = opened->verify(); !whole)
            return refuse(whole.error());
        return snapshot_file(std::move(path), *std::move(fd), *std::move(bytes), *std::move(opened));
    }
    if (begins(elf::magic)) {
        auto opened = core_file::open(content);
        if (!opened)
            return refuse(opened.error());
        return snapshot_file(std::move(path), *std::move(fd), *std::move(bytes), *std::move(opened));
    }
    return problem_of(exit_code::bad_input, "this is neither a snapshot file nor an ELF core", path,
                      "give a .ktsnap or an ELF core, as ktstr-run writes them");
}

kept_header const& snapshot_file::header() const noexcept {
    return std::visit([](auto const& c) -> kept_header const& { return c.header(); }, content_);
}

char const* snapshot_file::format() const noexcept { return core() != nullptr ? "core" : "ktstr"; }

result<std::span<std::byte const>> snapshot_file::page(gpa at) {
    if (auto* const r = own())
        return r->page(at);
    if (auto const whole = core()->slice(at, page_bytes))
        return *whole;
    // Regions of others need not be made of whole pages.
    auto const* const region = find_region(header().ram, at);
    if (region == nullptr)
        return fail(errc::out_of_range, "snapshot.page", at.raw);
    page_.fill({});
    auto const n = std::min(page_bytes, region->range.end() - at);
    KTSTR_CHECK(core()->read(at, std::span(page_).first(static_cast<std::size_t>(n))));
    return std::span<std::byte const>(page_);
}

std::optional<gpa> snapshot_file::next_stored(gpa at) const {
    if (auto const* const r = std::get_if<reader_type>(&content_))
        return r->next_stored(at);
    for (auto const& region : header().ram) {
        auto from = std::max(at, region.range.start);
        while (from < region.range.end()) {
            auto const whole = core()->slice(from, 1);
            if (!whole)
                break;
            auto const offset = static_cast<std::uint64_t>(whole->data() - bytes_.data());
            auto const data = ::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_DATA);
            if (data < 0)
                break; // nothing but holes up to the end of the file
            from = from + (static_cast<std::uint64_t>(data) - offset);
            if (from < region.range.end())
                return gpa{std::max(align_down(from.raw, page_bytes), region.range.start.raw)};
        }
    }
    return std::nullopt;
}

std::uint64_t snapshot_file::stored_pages() const {
    if (auto const* const r = std::get_if<reader_type>(&content_)) {
        for (auto const& s : r->sections())
            if (s.name == ktsnap::name_ram)
                return s.pages;
        return 0;
    }
    std::uint64_t out = 0;
    for (auto at = next_stored(gpa{0}); at;) {
        auto const* const region = find_region(header().ram, *at);
        auto const here = core()->slice(*at, 1);
        if (region == nullptr || !here)
            break;
        auto const offset = static_cast<std::uint64_t>(here->data() - bytes_.data());
        auto const hole = ::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_HOLE);
        auto const run = hole < 0 ? page_bytes : std::max<std::uint64_t>(static_cast<std::uint64_t>(hole) - offset, page_bytes);
        auto const n = std::min(run, region->range.end() - *at);
        out += (n + page_bytes - 1) / page_bytes;
        at = next_stored(*at + n);
    }
    return out;
}

std::optional<symbol_table> snapshot_file::symbols() {
    auto const& k = header().kernel;
    constexpr auto largest = 512 * MiB; // what the kernel's image mapping can be at most on x86_64 without KASLR
    if (k.text_virtual == 0 || k.text_size == 0 || k.text_size > largest || !is_ram(header().ram, gpa{k.text_physical}, k.text_size))
        return std::nullopt;
    std::vector<std::byte> image(static_cast<std::size_t>(k.text_size));
    for (std::size_t at = 0; at < image.size();) {
        auto const inside = (k.text_physical + at) % page_bytes;
        auto const n = std::min<std::size_t>(image.size() - at, static_cast<std::size_t>(page_bytes - inside));
        auto const from = page(gpa{k.text_physical + at - inside});
        if (!from)
            return std::nullopt;
        std::copy_n(from->begin() + static_cast<std::ptrdiff_t>(inside), n, image.begin() + static_cast<std::ptrdiff_t>(at));
        at += n;
    }
    image_region const whole{gva{k.text_virtual}, image};
    auto const tables = locate_kallsyms(std::span(&whole, 1), whole.address);
    if (!tables)
        return std::nullopt;
    auto table = decode_kallsyms(*tables);
    if (!table)
        return std::nullopt;
    return *std::move(table);
}

std::string vmcoreinfo_value(std::string_view text, std::string_view key) {
    while (!text.empty()) {
        auto const line = text.substr(0, text.find('\n'));
        if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == '=')
            return std::string(line.substr(key.size() + 1));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
    }
    return {};
}

} // namespace ktstr::tool
