// SPDX-License-Identifier: Apache-2.0
/// \file
/// A machine as a drawing for a terminal: boxes for nodes and LLCs, a bracket for each core with its CPUs in it.
#pragma once

#include "ktstr/topo/numa.hpp"
#include "ktstr/topo/topology.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ktstr::tool {

/// What the reader's terminal can show.
struct drawing_style {
    unsigned width = 80;
    bool unicode = true;
    bool coloured = false;
};

/// Whether the environment says that text is UTF-8: the first of LC_ALL, LC_CTYPE, LANG that is set and not empty.
[[nodiscard]] bool locale_is_utf8(char const* lc_all, char const* lc_ctype, char const* lang);

/// A surface of characters, each with a colour, that grows as it is written to.
class canvas {
public:
    enum class ink : std::uint8_t { plain, frame, title, detail };

    /// Writes ASCII `text` from (column, row) on.
    void write(std::size_t column, std::size_t row, std::string_view text, ink how);
    /// A frame of `width` by `height` with `title` in its upper edge.
    void frame(std::size_t column, std::size_t row, std::size_t width, std::size_t height, std::string_view title, ink title_ink);
    /// Copies `other` to (column, row).
    void paste(std::size_t column, std::size_t row, canvas const& other);

    [[nodiscard]] std::size_t width() const;
    [[nodiscard]] std::size_t height() const { return rows_.size(); }
    /// Lines ended by newlines, without blanks at their ends.
    [[nodiscard]] std::string text(drawing_style const& style) const;

private:
    struct cell {
        char16_t what = u' ';
        ink how = ink::plain;
    };
    void put(std::size_t column, std::size_t row, char16_t what, ink how);

    std::vector<std::vector<cell>> rows_;
};

/// The drawing of a valid machine: a headline, the boxes, and the distances when there is more than one node.
/// Lines are at most `style.width` wide unless a single core or node title needs more.
[[nodiscard]] std::string draw_topology(std::string_view name, topology const& shape, numa_layout const& layout,
                                        drawing_style const& style);

} // namespace ktstr::tool
