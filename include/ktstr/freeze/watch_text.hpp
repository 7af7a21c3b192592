// SPDX-License-Identifier: Apache-2.0
/// \file
/// What to watch, as text: `SYMBOL[+OFFSET][:SIZE][OP VALUE]`, for the command line and the guest's requests. Pure.
///
///     jiffies_64                     any store to its 4 bytes
///     scx_root:8!=0                  8 bytes, when they become something else than 0
///     panic_cpu:4 == -1              spaces around the operator are allowed
///     jiffies_64+4:2 & 0x8000        2 bytes at offset 4, when that bit is set
///
/// OP is one of == != < > &. Numbers are decimal or 0x hexadecimal; a negative one is cut to SIZE bytes. Compared unsigned.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace ktstr {

/// How a stored value is compared.
enum class watch_op : std::uint8_t { any, equal, not_equal, less, greater, bits };

/// What is asked of the new value at a watched place.
struct watch_predicate {
    watch_op op = watch_op::any;
    std::uint64_t operand = 0;

    /// Whether `value` is one to stop for.
    [[nodiscard]] constexpr bool holds(std::uint64_t value) const noexcept {
        switch (op) {
        case watch_op::any: return true;
        case watch_op::equal: return value == operand;
        case watch_op::not_equal: return value != operand;
        case watch_op::less: return value < operand;
        case watch_op::greater: return value > operand;
        case watch_op::bits: return (value & operand) != 0;
        }
        return true;
    }
    friend constexpr bool operator==(watch_predicate const&, watch_predicate const&) noexcept = default;
};

/// A parsed text. The symbol is a view into it.
struct watch_text {
    std::string_view symbol{};
    std::uint64_t offset = 0;
    std::uint8_t size = 4; ///< 1, 2, 4 or 8.
    watch_predicate when{};
    friend constexpr bool operator==(watch_text const&, watch_text const&) noexcept = default;
};

/// The longest symbol name: the kernel's own limit, KSYM_NAME_LEN - 1.
inline constexpr std::size_t max_symbol_name = 511;

[[nodiscard]] constexpr std::string_view sign_of(watch_op op) noexcept {
    switch (op) {
    case watch_op::any: return "";
    case watch_op::equal: return "==";
    case watch_op::not_equal: return "!=";
    case watch_op::less: return "<";
    case watch_op::greater: return ">";
    case watch_op::bits: return "&";
    }
    return "?";
}

namespace detail {

/// Reads one text from front to back.
class watch_scanner {
public:
    constexpr explicit watch_scanner(std::string_view text) noexcept : text_(text) {}

    [[nodiscard]] constexpr std::size_t at() const noexcept { return at_; }
    [[nodiscard]] constexpr bool end() const noexcept { return at_ == text_.size(); }
    [[nodiscard]] constexpr char peek() const noexcept { return end() ? '\0' : text_[at_]; }
    constexpr bool take(char c) noexcept {
        if (end() || text_[at_] != c)
            return false;
        ++at_;
        return true;
    }
    constexpr void spaces() noexcept {
        while (take(' ')) {
        }
    }
    [[nodiscard]] constexpr std::string_view symbol() noexcept {
        auto const from = at_;
        auto const belongs = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '$';
        };
        while (!end() && belongs(text_[at_]))
            ++at_;
        return text_.substr(from, at_ - from);
    }
    [[nodiscard]] constexpr watch_op op() noexcept {
        if (take('&'))
            return watch_op::bits;
        if (take('<'))
            return watch_op::less;
        if (take('>'))
            return watch_op::greater;
        auto const two = text_.substr(at_, 2);
        auto const out = two == "==" ? watch_op::equal : two == "!=" ? watch_op::not_equal : watch_op::any;
        if (out != watch_op::any)
            at_ += 2;
        return out;
    }
    /// At least one digit, at most what 64 bits hold.
    [[nodiscard]] constexpr result<std::uint64_t> number(std::string_view where) noexcept {
        std::uint64_t const base = text_.substr(at_, 2) == "0x" ? 16 : 10;
        if (base == 16)
            at_ += 2;
        std::uint64_t out = 0;
        auto const from = at_;
        for (; !end(); ++at_) {
            auto const c = text_[at_];
            std::uint64_t digit = 16;
            if (c >= '0' && c <= '9')
                digit = static_cast<std::uint64_t>(c - '0');
            else if (c >= 'a' && c <= 'f')
                digit = static_cast<std::uint64_t>(c - 'a') + 10;
            else if (c >= 'A' && c <= 'F')
                digit = static_cast<std::uint64_t>(c - 'A') + 10;
            if (digit >= base)
                break;
            if (out > (std::numeric_limits<std::uint64_t>::max() - digit) / base)
                return fail(errc::out_of_range, where, at_);
            out = out * base + digit;
        }
        if (at_ == from)
            return fail(errc::bad_format, where, at_);
        return out;
    }

private:
    std::string_view text_;
    std::size_t at_ = 0;
};

} // namespace detail

/// Parses `text`. On failure `where` names the part ("watch.symbol", "watch.offset", "watch.size", "watch.value",
/// "watch.end") and the number is the offset in the text; `errc::out_of_range` for a number that does not fit its place.
[[nodiscard]] constexpr result<watch_text> parse_watch(std::string_view text) noexcept {
    detail::watch_scanner in(text);
    watch_text out;
    out.symbol = in.symbol();
    if (out.symbol.empty() || (out.symbol.front() >= '0' && out.symbol.front() <= '9'))
        return fail(errc::bad_format, "watch.symbol", 0);
    if (out.symbol.size() > max_symbol_name)
        return fail(errc::out_of_range, "watch.symbol", out.symbol.size());
    if (in.take('+')) {
        KTSTR_TRY(out.offset, in.number("watch.offset"));
    }
    if (in.take(':')) {
        auto const at = in.at();
        KTSTR_TRY(auto const size, in.number("watch.size"));
        if (size != 1 && size != 2 && size != 4 && size != 8)
            return fail(errc::out_of_range, "watch.size", at);
        out.size = static_cast<std::uint8_t>(size);
    }
    in.spaces();
    if (in.end())
        return out;
    out.when.op = in.op();
    if (out.when.op == watch_op::any)
        return fail(errc::bad_format, "watch.end", in.at());
    in.spaces();
    auto const at = in.at();
    bool const negative = in.take('-');
    KTSTR_TRY(auto value, in.number("watch.value"));
    in.spaces();
    if (!in.end())
        return fail(errc::bad_format, "watch.end", in.at());
    auto const bits = out.size * 8U;
    auto const mask = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
    auto const largest = negative ? (std::uint64_t{1} << (bits - 1)) : mask;
    if (value > largest)
        return fail(errc::out_of_range, "watch.value", at);
    out.when.operand = negative ? (~value + 1) & mask : value;
    return out;
}

/// `w` as the shortest text that parses to it.
[[nodiscard]] inline std::string to_text(watch_text const& w) {
    std::string out(w.symbol);
    if (w.offset != 0)
        out += "+" + std::to_string(w.offset);
    if (w.size != 4)
        out += ":" + std::to_string(w.size);
    if (w.when.op != watch_op::any)
        out += std::string(sign_of(w.when.op)) + std::to_string(w.when.operand);
    return out;
}

} // namespace ktstr
