// SPDX-License-Identifier: Apache-2.0
/// \file
/// A small encoder for AML, the byte code of a DSDT: named values, devices, and resource templates.
///
/// Each function returns the bytes of one term; terms are joined with `join`. Source: ACPI 6.5 chapter 20 (AML) and
/// section 6.4 (resource descriptors).
#pragma once

#include "ktstr/base/endian.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

namespace ktstr::aml {

/// The bytes of one or more terms.
using term = std::vector<std::byte>;

namespace detail {
inline void put(term& out, std::initializer_list<unsigned> values) {
    for (auto const each : values)
        out.push_back(static_cast<std::byte>(each));
}
template <class T>
void put_number(term& out, T value) {
    for (unsigned i = 0; i < sizeof(T); ++i)
        out.push_back(static_cast<std::byte>(value >> (8 * i) & 0xff));
}
inline void put(term& out, term const& more) { out.insert(out.end(), more.begin(), more.end()); }

/// PkgLength (20.2.4) for a package whose content after the length is `size` bytes; the length counts itself.
[[nodiscard]] inline term package_length(std::size_t size) {
    term out;
    if (size + 1 < 0x40) {
        put(out, {static_cast<unsigned>(size + 1)});
        return out;
    }
    unsigned more = 1;
    while (size + 1 + more >= std::size_t{1} << (4 + 8 * more))
        ++more;
    auto const total = size + 1 + more;
    put(out, {static_cast<unsigned>(more << 6 | (total & 0xf))});
    for (unsigned i = 0; i < more; ++i)
        put(out, {static_cast<unsigned>(total >> (4 + 8 * i) & 0xff)});
    return out;
}
} // namespace detail

/// All of `terms`, one after the other.
[[nodiscard]] inline term join(std::initializer_list<term> terms) {
    term out;
    for (auto const& each : terms)
        detail::put(out, each);
    return out;
}

/// A name: up to four characters, padded with '_'; a leading '\' makes it absolute.
[[nodiscard]] inline term name(std::string_view text) {
    term out;
    if (text.starts_with('\\')) {
        detail::put(out, {'\\'});
        text.remove_prefix(1);
    }
    for (std::size_t i = 0; i < 4; ++i)
        detail::put(out, {static_cast<unsigned char>(i < text.size() ? text[i] : '_')});
    return out;
}

/// An integer in its shortest form (20.2.3).
[[nodiscard]] inline term integer(std::uint64_t value) {
    term out;
    if (value <= 1) {
        detail::put(out, {static_cast<unsigned>(value)}); // ZeroOp, OneOp
    } else if (value <= 0xff) {
        detail::put(out, {0x0a});
        detail::put_number(out, static_cast<std::uint8_t>(value));
    } else if (value <= 0xffff) {
        detail::put(out, {0x0b});
        detail::put_number(out, static_cast<std::uint16_t>(value));
    } else if (value <= 0xffffffff) {
        detail::put(out, {0x0c});
        detail::put_number(out, static_cast<std::uint32_t>(value));
    } else {
        detail::put(out, {0x0e});
        detail::put_number(out, value);
    }
    return out;
}

/// A string of printable ASCII.
[[nodiscard]] inline term string(std::string_view text) {
    term out;
    detail::put(out, {0x0d});
    for (auto const c : text)
        detail::put(out, {static_cast<unsigned char>(c)});
    detail::put(out, {0});
    return out;
}

/// A compressed EISA id: three capital letters and four hexadecimal digits, such as "PNP0501" (19.6.36).
[[nodiscard]] inline term eisa_id(std::string_view text) {
    auto const digit = [](char c) { return static_cast<std::uint32_t>(c <= '9' ? c - '0' : (c & ~0x20) - 'A' + 10); };
    std::uint32_t id = 0;
    for (std::size_t i = 0; i < 3; ++i)
        id = id << 5 | static_cast<std::uint32_t>(text[i] - '@');
    for (std::size_t i = 3; i < 7; ++i)
        id = id << 4 | digit(text[i]);
    term out;
    detail::put(out, {0x0c});
    for (unsigned i = 0; i < 4; ++i)
        detail::put(out, {id >> (24 - 8 * i) & 0xff});
    return out;
}

/// `Name(n, value)`.
[[nodiscard]] inline term named(std::string_view n, term const& value) {
    term out;
    detail::put(out, {0x08});
    return join({out, name(n), value});
}

/// `Package() { elements }`.
[[nodiscard]] inline term package(std::initializer_list<term> elements) {
    term content;
    detail::put(content, {static_cast<unsigned>(elements.size())});
    detail::put(content, join(elements));
    term out;
    detail::put(out, {0x12});
    return join({out, detail::package_length(content.size()), content});
}

/// `Scope(n) { content }`.
[[nodiscard]] inline term scope(std::string_view n, term const& content) {
    auto const body = join({name(n), content});
    term out;
    detail::put(out, {0x10});
    return join({out, detail::package_length(body.size()), body});
}

/// `Device(n) { content }`.
[[nodiscard]] inline term device(std::string_view n, term const& content) {
    auto const body = join({name(n), content});
    term out;
    detail::put(out, {0x5b, 0x82});
    return join({out, detail::package_length(body.size()), body});
}

/// `ResourceTemplate() { descriptors }`: a buffer that ends with the end tag.
[[nodiscard]] inline term resources(std::initializer_list<term> descriptors) {
    auto body = join(descriptors);
    detail::put(body, {0x79, 0x00}); // end tag; checksum 0 = not checked
    auto const content = join({integer(body.size()), body});
    term out;
    detail::put(out, {0x11});
    return join({out, detail::package_length(content.size()), content});
}

/// `Memory32Fixed(ReadWrite, base, size)` (6.4.3.4).
[[nodiscard]] inline term memory32(std::uint32_t base, std::uint32_t size) {
    term out;
    detail::put(out, {0x86, 9, 0, 1});
    detail::put_number(out, base);
    detail::put_number(out, size);
    return out;
}

/// `Interrupt(ResourceConsumer, Edge, ActiveHigh, Exclusive) { line }` (6.4.3.6).
[[nodiscard]] inline term edge_interrupt(std::uint32_t line) {
    term out;
    detail::put(out, {0x89, 6, 0, 0b0011, 1});
    detail::put_number(out, line);
    return out;
}

/// `DWordMemory(ResourceProducer, ..., NonCacheable, ReadWrite, 0, first, last, 0, size)`: what a bridge passes on
/// (6.4.3.5.2). `size` is above 0.
[[nodiscard]] inline term bridge_memory(std::uint32_t base, std::uint32_t size) {
    term out;
    // positive decoding, both ends fixed; not cacheable, read and write
    detail::put(out, {0x87, 23, 0, 0, 0b1100, 0b0001});
    for (std::uint32_t const each : {0U, base, base + (size - 1), 0U, size}) // granularity, first, last, translation, length
        detail::put_number(out, each);
    return out;
}

/// `WordBusNumber(ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, first, last, 0, count)` (6.4.3.5.3).
[[nodiscard]] inline term bus_numbers(std::uint16_t first, std::uint16_t last) {
    term out;
    detail::put(out, {0x88, 13, 0, 2, 0b1100, 0});
    for (std::uint16_t const each : {std::uint16_t{0}, first, last, std::uint16_t{0}, static_cast<std::uint16_t>(last - first + 1)})
        detail::put_number(out, each);
    return out;
}

/// `IO(Decode16, base, base, 1, size)` (6.4.2.5).
[[nodiscard]] inline term io_ports(std::uint16_t base, std::uint8_t size) {
    term out;
    detail::put(out, {0x47, 1});
    detail::put_number(out, base);
    detail::put_number(out, base);
    detail::put(out, {1, size});
    return out;
}

} // namespace ktstr::aml
