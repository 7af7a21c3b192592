// SPDX-License-Identifier: Apache-2.0
/// \file
/// How far KASLR moved a running kernel, without asking the guest, and its symbols at the addresses they really have.
///
/// Source: linux 6.12 arch/x86/kernel/cpu/common.c (idt_syscall_init): MSR_LSTAR holds entry_SYSCALL_64 on every CPU that
/// has come up; arch/x86/boot/compressed/kaslr.c: slides are multiples of the kernel's alignment (at least 2 MiB) inside
/// KERNEL_IMAGE_SIZE (1 GiB). A kernel that uses FRED leaves LSTAR 0: `slide_from_symbol` takes any other known address.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/introspect/symbols/source.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace ktstr {

/// Alignment and exclusive bound of the slide on x86_64.
inline constexpr std::uint64_t kaslr_slide_alignment = 2 * MiB;
inline constexpr std::uint64_t kaslr_slide_limit = 1 * GiB;

/// The slide in bytes that puts symbol `name` at `seen`. `errc::not_found` at "kaslr.symbol" when `source` lacks it;
/// `errc::out_of_range` at "kaslr.slide" and `errc::bad_format` at "kaslr.slide_alignment", both with the difference, when
/// no kernel could have been moved so: `source` is then of another kernel than the one that runs.
template <SymbolSource S>
[[nodiscard]] result<std::uint64_t> slide_from_symbol(S const& source, std::string_view name, gva seen) noexcept {
    auto const linked = source.find(name);
    if (!linked || linked->absolute)
        return fail(errc::not_found, "kaslr.symbol", seen.raw);
    auto const slide = seen - linked->address;
    if (slide >= kaslr_slide_limit)
        return fail(errc::out_of_range, "kaslr.slide", slide);
    if (slide % kaslr_slide_alignment != 0)
        return fail(errc::bad_format, "kaslr.slide_alignment", slide);
    return slide;
}

/// The slide in bytes of an x86_64 kernel from the value of MSR_LSTAR on any of its CPUs; 0 without KASLR. Besides the
/// errors of `slide_from_symbol`: `errc::busy` at "kaslr.lstar" while the register is 0, because the CPU has not come
/// that far yet.
template <SymbolSource S>
[[nodiscard]] result<std::uint64_t> slide_from_lstar(S const& source, std::uint64_t lstar) noexcept {
    if (lstar == 0)
        return fail(errc::busy, "kaslr.lstar");
    return slide_from_symbol(source, "entry_SYSCALL_64", gva{lstar});
}

/// A source whose kernel was moved by `slide` bytes: all addresses, in and out, are those of the running kernel.
template <SymbolSource S>
class slid_symbols {
public:
    explicit slid_symbols(S source, std::uint64_t slide = 0) noexcept : source_(std::move(source)), slide_(slide) {}

    [[nodiscard]] std::uint64_t slide() const noexcept { return slide_; }
    [[nodiscard]] S const& linked() const noexcept { return source_; }
    [[nodiscard]] std::size_t size() const noexcept { return source_.size(); }

    [[nodiscard]] std::optional<symbol> find(std::string_view name) const noexcept {
        auto out = source_.find(name);
        if (out)
            *out = moved(*out);
        return out;
    }
    [[nodiscard]] std::optional<symbol_offset> nearest(gva at) const noexcept {
        auto out = source_.nearest(gva{at.raw - slide_});
        if (out && !out->symbol.absolute) {
            out->symbol = moved(out->symbol);
            return out;
        }
        out = source_.nearest(at);
        if (out && !out->symbol.absolute)
            return std::nullopt;
        return out;
    }
    template <class Visit>
    void for_each(Visit&& visit) const {
        source_.for_each([&](symbol const& each) { return visit(moved(each)); });
    }

private:
    [[nodiscard]] symbol moved(symbol each) const noexcept {
        if (!each.absolute)
            each.address = each.address + slide_;
        return each;
    }

    S source_;
    std::uint64_t slide_;
};
static_assert(SymbolSource<slid_symbols<null_symbols>>);

} // namespace ktstr
