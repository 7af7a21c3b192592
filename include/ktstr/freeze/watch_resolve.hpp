// SPDX-License-Identifier: Apache-2.0
/// \file
/// From what a user wants watched to an address: symbol, offset, where its value lies, and why it is refused.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/freeze/watch.hpp"
#include "ktstr/freeze/watch_text.hpp"
#include "ktstr/introspect/symbols/source.hpp"

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace ktstr {

/// The request for `text`, with its parts checked. `translate(gva)` gives the guest physical address of a kernel address
/// as `result<gpa>`, and fails as it likes. Otherwise `errc::not_found` for an unknown symbol, `errc::invalid_argument` for
/// a name that several symbols have (the number says how many) and for a function, `errc::unsupported` for a per-CPU
/// variable, and the errors of `parse_watch` and `check_watch`. The snapshot's name is the symbol's unless `tag` says.
template <SymbolSource S, class Translate>
    requires requires(Translate& translate, gva at) {
        { translate(at) } -> std::convertible_to<result<gpa>>;
    }
[[nodiscard]] result<watch_request> resolve_watch(std::string_view text, S const& symbols, Translate&& translate,
                                                  std::string_view tag = {}) {
    KTSTR_TRY(auto const w, parse_watch(text));
    auto const found = symbols.find(w.symbol);
    if (!found)
        return fail(errc::not_found, "watch.symbol");
    if (auto const same = count_named(symbols, w.symbol); same > 1)
        return fail(errc::invalid_argument, "watch.ambiguous", same);
    // On kernels before 6.15 a per-CPU variable is an offset from 0, later it lies in the image as the pattern of the copies.
    auto const first = symbols.find("__per_cpu_start");
    auto const last = symbols.find("__per_cpu_end");
    bool const pattern = first && last && found->address >= first->address && found->address < last->address;
    if (found->absolute || found->address.raw >> 63 == 0 || pattern)
        return fail(errc::unsupported, "watch.per_cpu", found->address.raw);
    // The letter alone says too little: the linker script puts some variables beside code.
    auto const stext = symbols.find("_stext");
    auto const etext = symbols.find("_etext");
    bool const letter = found->type == 't' || found->type == 'T';
    bool const code = stext && etext ? found->address >= stext->address && found->address < etext->address : letter;
    if (code)
        return fail(errc::invalid_argument, "watch.function", found->address.raw);
    watch_request out;
    std::uint64_t at = 0;
    if (__builtin_add_overflow(found->address.raw, w.offset, &at))
        return fail(errc::out_of_range, "watch.address", w.offset);
    out.address = gva{at};
    out.size = w.size;
    out.when = w.when;
    out.tag = std::string(tag.empty() ? w.symbol : tag);
    // Alignment first: what is not aligned may lie in two pages.
    auto probe = out;
    probe.place = gpa{0};
    KTSTR_CHECK(check_watch(probe));
    result<gpa> const place = translate(out.address);
    if (!place)
        return std::unexpected(place.error());
    out.place = *place;
    KTSTR_CHECK(check_watch(out));
    return out;
}

/// A few words for the reply to a guest, or for a report, about an error of `resolve_watch` or `watch_set::arm`.
[[nodiscard]] constexpr std::string_view watch_reason(error const& e) noexcept {
    struct row {
        std::string_view where, words;
    };
    if (e.where == "watch.symbol")
        return e.code == errc::not_found ? "the kernel has no such symbol" : "no symbol's name";
    constexpr row rows[]{
        {"watch.offset", "the offset is no number"},
        {"watch.size", "the size must be 1, 2, 4 or 8"},
        {"watch.value", "the value is no number, does not fit the size, or cannot be read"},
        {"watch.end", "expected one of == != < > & and a number"},
        {"watch.ambiguous", "several symbols have this name"},
        {"watch.per_cpu", "a per-CPU variable has no single address"},
        {"watch.function", "a function, not a variable"},
        {"watch.address", "not an address of the kernel"},
        {"watch.align", "not aligned to its size"},
        {"watch.place", "not aligned to its size"},
        {"watch.slots", "all three watchpoints are taken"},
        {"watch.death_slot", "the scheduler's death is watched already"},
    };
    for (auto const& r : rows)
        if (e.where == r.where)
            return r.words;
    return "it cannot be watched";
}

} // namespace ktstr
