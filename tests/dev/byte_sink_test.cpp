// SPDX-License-Identifier: Apache-2.0
#include "ktstr/dev/byte_sink.hpp"

#include "ktstr/sys/fd.hpp"
#include "suites/byte_sink_suite.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <string_view>

using namespace ktstr;

namespace {
struct null_probe {
    null_byte_sink sink_;
    null_byte_sink& sink() { return sink_; }
    bool holds(std::string_view) { return true; }
};
struct file_probe {
    unique_fd file = unique_fd::memfd("sink").value();
    fd_byte_sink sink_{file.get()};
    fd_byte_sink& sink() { return sink_; }
    bool holds(std::string_view text) {
        std::string got(text.size() + 1, '\0');
        auto const n = ::pread(file.get(), got.data(), got.size(), 0);
        return n == static_cast<ssize_t>(text.size()) && std::string_view(got).substr(0, text.size()) == text;
    }
};
struct tail_probe {
    tail_byte_sink sink_{7};
    tail_byte_sink& sink() { return sink_; }
    bool holds(std::string_view text) {
        auto const keep = std::min<std::size_t>(text.size(), 7);
        return sink_.text() == text.substr(text.size() - keep) && sink_.total() == text.size() &&
               sink_.lost() == text.size() - keep;
    }
};
// [own_sink]
/// Counts lines, and nothing else.
struct line_counter {
    std::uint64_t lines = 0;
    void put(std::span<std::byte const> data) noexcept {
        lines += static_cast<std::uint64_t>(std::count(data.begin(), data.end(), std::byte{'\n'}));
    }
};
static_assert(explain_byte_sink<line_counter>());
// [/own_sink]
struct counter_probe {
    line_counter sink_;
    line_counter& sink() { return sink_; }
    bool holds(std::string_view text) {
        return sink_.lines == static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
    }
};
} // namespace

TEST_CASE_TEMPLATE_INVOKE(byte_sink_suite, null_probe, file_probe, tail_probe, counter_probe);

TEST_CASE("tail_byte_sink: keeps the last bytes for every split of every length") {
    std::string const text = "abcdefghijklmnopqrst";
    for (std::size_t capacity = 0; capacity <= text.size() + 1; ++capacity) {
        for (std::size_t piece = 1; piece <= text.size(); ++piece) {
            tail_byte_sink sink(capacity);
            for (std::size_t at = 0; at < text.size(); at += piece)
                sink.put(std::as_bytes(std::span(text).subspan(at, std::min(piece, text.size() - at))));
            auto const keep = std::min(capacity, text.size());
            CHECK(sink.text() == text.substr(text.size() - keep));
        }
    }
}

TEST_CASE("fd_byte_sink: a descriptor that refuses loses bytes, counted, and nothing else") {
    fd_byte_sink sink{-1};
    sink.put(std::as_bytes(std::span(std::string_view("hello"))));
    CHECK(sink.dropped == 5);
}
