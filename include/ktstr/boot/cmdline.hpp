// SPDX-License-Identifier: Apache-2.0
/// \file
/// The kernel command line: words joined by blanks, checked before a machine starts.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace ktstr {

/// Collects the command line. The limit is that of the kernel at hand (`cmdline_size` of its setup header, without the
/// NUL): 2047 for every x86 kernel of today.
class cmdline {
public:
    static constexpr std::uint32_t default_limit = 2047;

    explicit cmdline(std::uint32_t limit = default_limit) noexcept : limit_(limit) {}

    /// Appends `text`, one or several words (a quoted value may hold blanks). Outer blanks are dropped, nothing is
    /// appended for an empty text. `errc::invalid_argument` with the position of a control character (newline and NUL
    /// would end the line) or of a quote that is never closed; `errc::no_space` with the limit when the line gets too
    /// long. The line is unchanged after an error.
    [[nodiscard]] result<> append(std::string_view text) {
        auto const first = text.find_first_not_of(' ');
        if (first == std::string_view::npos)
            return {};
        text = text.substr(first, text.find_last_not_of(' ') - first + 1);
        bool quoted = false;
        std::size_t quote_at = 0;
        for (std::size_t i = 0; i < text.size(); ++i) {
            auto const c = static_cast<unsigned char>(text[i]);
            if (c < 0x20 || c == 0x7f)
                return fail(errc::invalid_argument, "cmdline.character", i);
            if (c == '"') {
                quoted = !quoted;
                quote_at = i;
            }
        }
        if (quoted)
            return fail(errc::invalid_argument, "cmdline.quote", quote_at);
        if (line_.size() + (line_.empty() ? 0U : 1U) + text.size() > limit_)
            return fail(errc::no_space, "cmdline.limit", limit_);
        if (!line_.empty())
            line_ += ' ';
        line_ += text;
        return {};
    }

    /// Appends `key=value`; a value with blanks is quoted. `errc::invalid_argument` as above, and for a key with blanks,
    /// quotes or '=', or a value with quotes.
    [[nodiscard]] result<> append(std::string_view key, std::string_view value) {
        if (key.empty() || key.find_first_of(" =\"") != std::string_view::npos)
            return fail(errc::invalid_argument, "cmdline.key", key.size());
        if (auto const quote = value.find('"'); quote != std::string_view::npos)
            return fail(errc::invalid_argument, "cmdline.value", quote);
        std::string word(key);
        word += '=';
        auto const blank = value.find(' ') != std::string_view::npos;
        word += blank ? "\"" : "";
        word += value;
        word += blank ? "\"" : "";
        return append(word);
    }

    /// The line so far, without a NUL.
    [[nodiscard]] std::string const& str() const noexcept { return line_; }
    [[nodiscard]] std::uint32_t limit() const noexcept { return limit_; }

    /// Whether the line has `key` as a word, alone or with a value. Words behind "--" are for init and do not count.
    [[nodiscard]] bool has(std::string_view key) const noexcept {
        bool quoted = false;
        std::size_t start = 0;
        for (std::size_t i = 0; i <= line_.size(); ++i) {
            if (i < line_.size() && line_[i] == '"')
                quoted = !quoted;
            if (i < line_.size() && (quoted || line_[i] != ' '))
                continue;
            auto const word = std::string_view(line_).substr(start, i - start);
            start = i + 1;
            if (word == "--")
                return false;
            if (word.empty())
                continue;
            if (word == key || (word.starts_with(key) && word.size() > key.size() && word[key.size()] == '='))
                return true;
        }
        return false;
    }

private:
    std::string line_;
    std::uint32_t limit_;
};

} // namespace ktstr
