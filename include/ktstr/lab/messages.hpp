// SPDX-License-Identifier: Apache-2.0
/// \file
/// The payloads of lab frames and their one description, from which encoder and decoder follow.
///
/// Encoding: integers little endian in their size; a string is a u32 length and its bytes (no NUL inside); a list is a
/// u32 count and its strings. A payload with bytes left over is refused.
#pragma once

#include "ktstr/base/cursor.hpp"
#include "ktstr/base/endian.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/lab/frame.hpp"

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace ktstr::lab {

/// What a put or an entry makes.
enum class entry_kind : std::uint8_t { file = 0, folder = 1, link = 2 };

/// As the mode of a folder: make it when it is missing, leave it alone otherwise.
inline constexpr std::uint32_t put_keep_mode = 0xffffffff;

struct hello_message {
    std::uint64_t wall_ns = 0; ///< CLOCK_REALTIME of the host
    std::array<std::uint8_t, 32> seed{}; ///< a restored machine has the snapshot's random state; this makes it its own
    std::string name;
};
struct ready_message {
    std::uint32_t cpus = 0;
    std::uint64_t memory = 0; ///< bytes, MemTotal
    std::uint8_t has_kvm = 0;
    std::string release;
};
struct put_message {
    std::uint8_t kind = 0; ///< entry_kind
    std::uint32_t mode = 0; ///< permission bits
    std::uint64_t size = 0; ///< bytes of a file
    std::uint64_t offset = 0; ///< where its content lies on the transfer disk; a multiple of 4096
    std::uint64_t mtime_ns = 0;
    std::string path; ///< put: absolute; entry: relative to what was asked for, "" = itself
    std::string target; ///< of a link
};
struct get_message {
    std::uint64_t offset = 0; ///< first byte of the transfer disk that may be used
    std::uint64_t end = 0;
    std::string path;
};
struct done_message {
    std::uint32_t error = 0; ///< errno, 0 = done
    std::string where;
};
struct spawn_message {
    std::uint8_t tty = 0;
    std::uint16_t rows = 0, columns = 0;
    std::uint64_t output_credit = 0; ///< bytes that may be sent before the first credit frame, per stream
    std::vector<std::string> argv, env; ///< env: "K=V", on top of the lab's own
    std::string cwd;
};
struct credit_message {
    std::uint16_t stream = 0; ///< frame_type stdin_data, stdout_data or stderr_data
    std::uint64_t bytes = 0;
};
struct signal_message {
    std::uint32_t number = 0;
};
struct winsize_message {
    std::uint16_t rows = 0, columns = 0;
};
struct exited_message {
    std::uint32_t code = 0; ///< exit status, 128 + n after signal n
    std::uint64_t user_ns = 0, system_ns = 0; ///< CPU time of the program and its children, lab clock
};
struct dial_message {
    std::uint64_t output_credit = 0;
    std::string path;
};
/// A command for a lab that runs already. stdin, stdout and stderr travel beside it as descriptors.
struct request_message {
    std::uint8_t tty = 0;
    std::uint16_t rows = 0, columns = 0;
    std::uint64_t limit_ns = 0; ///< 0 = none
    std::vector<std::string> argv, env, in, out; ///< in, out: "HOST:LAB", host paths absolute
    std::string cwd;
};
struct outcome_message {
    std::uint32_t code = 0;
    std::string text;
};

namespace detail {
/// The fields of each message in order of the wire. One function for both directions.
template <class Io, class M>
constexpr void fields(Io& io, M& m) {
    using T = std::remove_const_t<M>;
    if constexpr (std::same_as<T, hello_message>)
        io(m.wall_ns, m.seed, m.name);
    else if constexpr (std::same_as<T, ready_message>)
        io(m.cpus, m.memory, m.has_kvm, m.release);
    else if constexpr (std::same_as<T, put_message>)
        io(m.kind, m.mode, m.size, m.offset, m.mtime_ns, m.path, m.target);
    else if constexpr (std::same_as<T, get_message>)
        io(m.offset, m.end, m.path);
    else if constexpr (std::same_as<T, done_message>)
        io(m.error, m.where);
    else if constexpr (std::same_as<T, spawn_message>)
        io(m.tty, m.rows, m.columns, m.output_credit, m.argv, m.env, m.cwd);
    else if constexpr (std::same_as<T, credit_message>)
        io(m.stream, m.bytes);
    else if constexpr (std::same_as<T, signal_message>)
        io(m.number);
    else if constexpr (std::same_as<T, winsize_message>)
        io(m.rows, m.columns);
    else if constexpr (std::same_as<T, exited_message>)
        io(m.code, m.user_ns, m.system_ns);
    else if constexpr (std::same_as<T, dial_message>)
        io(m.output_credit, m.path);
    else if constexpr (std::same_as<T, request_message>)
        io(m.tty, m.rows, m.columns, m.limit_ns, m.argv, m.env, m.in, m.out, m.cwd);
    else {
        static_assert(std::same_as<T, outcome_message>, "lab message without a field list");
        io(m.code, m.text);
    }
}

class field_writer {
public:
    explicit field_writer(std::vector<std::byte>& out) noexcept : out_(out) {}
    template <class... F>
    void operator()(F const&... field) {
        (put(field), ...);
    }

private:
    void raw(void const* at, std::size_t n) {
        auto const* const p = static_cast<std::byte const*>(at);
        out_.insert(out_.end(), p, p + n);
    }
    template <std::unsigned_integral T>
    void put(T value) {
        ktstr::detail::stored<T, std::endian::little> const field(value);
        raw(field.raw.data(), sizeof(T));
    }
    void put(std::array<std::uint8_t, 32> const& value) { raw(value.data(), value.size()); }
    void put(std::string const& value) {
        put(static_cast<std::uint32_t>(value.size()));
        raw(value.data(), value.size());
    }
    void put(std::vector<std::string> const& value) {
        put(static_cast<std::uint32_t>(value.size()));
        for (auto const& each : value)
            put(each);
    }
    std::vector<std::byte>& out_;
};

class field_reader {
public:
    explicit field_reader(std::span<std::byte const> data) noexcept : in_(data, "lab.message") {}
    template <class... F>
    void operator()(F&... field) {
        ((status_ ? void(status_ = get(field)) : void()), ...);
    }
    [[nodiscard]] result<> finish() const noexcept {
        if (!status_)
            return status_;
        if (!in_.at_end())
            return fail(errc::bad_format, "lab.message.tail", in_.remaining());
        return {};
    }

private:
    template <std::unsigned_integral T>
    result<> get(T& value) {
        using stored_type = ktstr::detail::stored<T, std::endian::little>;
        KTSTR_TRY(auto const field, in_.get<stored_type>());
        value = field.get();
        return {};
    }
    result<> get(std::array<std::uint8_t, 32>& value) {
        KTSTR_TRY(auto const raw, in_.take(value.size()));
        std::memcpy(value.data(), raw.data(), raw.size());
        return {};
    }
    result<> get(std::string& value) {
        std::uint32_t length = 0;
        KTSTR_CHECK(get(length));
        KTSTR_TRY(auto const raw, in_.take(length));
        value.assign(reinterpret_cast<char const*>(raw.data()), raw.size());
        if (value.find('\0') != std::string::npos)
            return fail(errc::bad_format, "lab.message.string", in_.offset());
        return {};
    }
    result<> get(std::vector<std::string>& value) {
        std::uint32_t count = 0;
        KTSTR_CHECK(get(count));
        if (count > in_.remaining() / sizeof(std::uint32_t))
            return fail(errc::truncated, "lab.message.list", count);
        value.resize(count);
        for (auto& each : value)
            KTSTR_CHECK(get(each));
        return {};
    }
    reader in_;
    result<> status_{};
};
} // namespace detail

/// The payload of `message`. `errc::no_space` when it is longer than a frame may carry.
template <class M>
[[nodiscard]] result<std::vector<std::byte>> encode_message(M const& message) {
    std::vector<std::byte> out;
    detail::field_writer writer(out);
    detail::fields(writer, message);
    if (out.size() > frame_payload_max)
        return fail(errc::no_space, "lab.message.size", out.size());
    return out;
}

/// Reads a payload back; refuses short, long and NUL-carrying ones.
template <class M>
[[nodiscard]] result<M> decode_message(std::span<std::byte const> payload) {
    M out;
    detail::field_reader reader(payload);
    detail::fields(reader, out);
    KTSTR_CHECK(reader.finish());
    return out;
}

} // namespace ktstr::lab
