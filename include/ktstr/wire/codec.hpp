// SPDX-License-Identifier: Apache-2.0
/// \file
/// Turns value types into little-endian bytes and back, driven by one `describe` list per type.
///
/// A type takes part by `static void describe(auto& io, auto& self) { io(self.a); io(self.b); }`: the same list is the
/// encoder and the decoder, so the two cannot disagree. An enumeration takes part by a `constexpr E last_of(E)` beside it
/// that names its largest value. Layout: unsigned and signed integers in their own width (two's complement), `bool` as one
/// byte 0 or 1, enumerations as their underlying type, strings and byte vectors as u32 length and bytes, vectors as u32
/// count and elements, arrays as their elements. No padding anywhere.
#pragma once

#include "ktstr/base/cursor.hpp"
#include "ktstr/base/endian.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace ktstr::wire {

/// The most elements a decoded vector may have.
inline constexpr std::uint32_t max_items = 65536;

namespace detail {
template <class T>
using stored_le = ktstr::detail::stored<T, std::endian::little>;
} // namespace detail

/// Appends values to a byte vector.
class encoder {
public:
    explicit encoder(std::vector<std::byte>& out) noexcept : out_(out) {}

    template <std::unsigned_integral T>
        requires(!std::same_as<T, bool>)
    void operator()(T const& value) {
        raw(bytes_of(detail::stored_le<T>(value)));
    }
    template <std::signed_integral T>
    void operator()(T const& value) {
        (*this)(static_cast<std::make_unsigned_t<T>>(value));
    }
    void operator()(bool const& value) { (*this)(static_cast<std::uint8_t>(value ? 1 : 0)); }
    template <class E>
        requires std::is_enum_v<E>
    void operator()(E const& value) {
        (*this)(static_cast<std::underlying_type_t<E>>(value));
    }
    void operator()(std::string const& text) {
        (*this)(static_cast<std::uint32_t>(text.size()));
        raw(std::as_bytes(std::span(text.data(), text.size())));
    }
    void operator()(std::vector<std::byte> const& blob) {
        (*this)(static_cast<std::uint32_t>(blob.size()));
        raw(blob);
    }
    template <class T>
    void operator()(std::vector<T> const& items) {
        (*this)(static_cast<std::uint32_t>(items.size()));
        for (auto const& item : items)
            (*this)(item);
    }
    template <class T, std::size_t N>
    void operator()(std::array<T, N> const& items) {
        for (auto const& item : items)
            (*this)(item);
    }
    template <class T>
        requires requires(encoder& io, T const& v) { T::describe(io, v); }
    void operator()(T const& value) {
        T::describe(*this, value);
    }

private:
    void raw(std::span<std::byte const> data) { out_.insert(out_.end(), data.begin(), data.end()); }
    std::vector<std::byte>& out_;
};

/// Reads values from borrowed bytes. The first failure sticks: later reads leave their targets alone.
class decoder {
public:
    explicit decoder(std::span<std::byte const> data, std::string_view where) noexcept
        : in_(data, where), where_(where) {}

    template <std::unsigned_integral T>
        requires(!std::same_as<T, bool>)
    void operator()(T& value) {
        if (failed_)
            return;
        auto const got = in_.get<detail::stored_le<T>>();
        if (got)
            value = *got;
        else
            stick(got.error());
    }
    template <std::signed_integral T>
    void operator()(T& value) {
        std::make_unsigned_t<T> raw{};
        (*this)(raw);
        if (!failed_)
            value = static_cast<T>(raw);
    }
    void operator()(bool& value) {
        std::uint8_t raw = 0;
        (*this)(raw);
        if (raw > 1)
            refuse(errc::bad_format);
        if (!failed_)
            value = raw == 1;
    }
    template <class E>
        requires std::is_enum_v<E>
    void operator()(E& value) {
        std::underlying_type_t<E> raw{};
        (*this)(raw);
        if (raw > static_cast<std::underlying_type_t<E>>(last_of(E{})))
            refuse(errc::bad_format);
        if (!failed_)
            value = static_cast<E>(raw);
    }
    void operator()(std::string& text) {
        auto const data = block();
        if (!failed_)
            text.assign(reinterpret_cast<char const*>(data.data()), data.size());
    }
    void operator()(std::vector<std::byte>& blob) {
        auto const data = block();
        if (!failed_)
            blob.assign(data.begin(), data.end());
    }
    template <class T>
    void operator()(std::vector<T>& items) {
        std::uint32_t count = 0;
        (*this)(count);
        if (count > max_items || count > in_.remaining())
            refuse(errc::out_of_range);
        items.clear();
        for (std::uint32_t i = 0; i < count && !failed_; ++i)
            (*this)(items.emplace_back());
    }
    template <class T, std::size_t N>
    void operator()(std::array<T, N>& items) {
        for (auto& item : items)
            (*this)(item);
    }
    template <class T>
        requires requires(decoder& io, T& v) { T::describe(io, v); }
    void operator()(T& value) {
        T::describe(*this, value);
    }

    /// Success when everything was read and nothing is left over; `errc::bad_format` when bytes remain.
    [[nodiscard]] result<> finish() noexcept {
        if (!failed_ && !in_.at_end())
            refuse(errc::bad_format);
        if (failed_)
            return std::unexpected(error_);
        return {};
    }

private:
    void refuse(errc code) noexcept { stick(error{code, 0, in_.offset(), where_}); }
    void stick(error const& e) noexcept {
        if (!failed_)
            error_ = e;
        failed_ = true;
    }
    std::span<std::byte const> block() {
        std::uint32_t length = 0;
        (*this)(length);
        if (failed_)
            return {};
        auto const data = in_.take(length);
        if (!data) {
            stick(data.error());
            return {};
        }
        return *data;
    }

    reader in_;
    std::string_view where_;
    error error_{};
    bool failed_ = false;
};

/// The bytes of `value`.
template <class T>
[[nodiscard]] std::vector<std::byte> encode_value(T const& value) {
    std::vector<std::byte> out;
    encoder io(out);
    io(value);
    return out;
}

/// The `T` that `data` holds, all of it; otherwise `truncated`, `bad_format` or `out_of_range` with the byte offset.
template <class T>
[[nodiscard]] result<T> decode_value(std::span<std::byte const> data, std::string_view where) {
    decoder io(data, where);
    T value{};
    io(value);
    KTSTR_CHECK(io.finish());
    return value;
}

} // namespace ktstr::wire
