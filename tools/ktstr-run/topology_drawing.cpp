// SPDX-License-Identifier: Apache-2.0
/// \file
/// Layout: cores flow into lines of their LLC, LLC boxes into rows of their node, node boxes into rows of the drawing.
/// At each step the arrangement with the fewest lines is taken, and of those the narrowest.
#include "ktstr-run/topology_drawing.hpp"

#include "support/quantity.hpp"
#include "support/terminal.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace ktstr::tool {

bool locale_is_utf8(char const* lc_all, char const* lc_ctype, char const* lang) {
    for (auto const* each : {lc_all, lc_ctype, lang}) {
        if (each == nullptr || *each == '\0')
            continue;
        std::string text(each);
        for (auto& c : text)
            c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        return text.find("utf-8") != std::string::npos || text.find("utf8") != std::string::npos;
    }
    return false;
}

void canvas::put(std::size_t column, std::size_t row, char16_t what, ink how) {
    if (rows_.size() <= row)
        rows_.resize(row + 1);
    if (rows_[row].size() <= column)
        rows_[row].resize(column + 1);
    rows_[row][column] = {what, how};
}

void canvas::write(std::size_t column, std::size_t row, std::string_view text, ink how) {
    for (auto const c : text)
        put(column++, row, static_cast<unsigned char>(c), how);
}

void canvas::frame(std::size_t column, std::size_t row, std::size_t width, std::size_t height, std::string_view title, ink title_ink) {
    auto const right = column + width - 1;
    auto const bottom = row + height - 1;
    for (auto x = column + 1; x < right; ++x) {
        put(x, row, u'\u2500', ink::frame);
        put(x, bottom, u'\u2500', ink::frame);
    }
    for (auto y = row + 1; y < bottom; ++y) {
        put(column, y, u'\u2502', ink::frame);
        put(right, y, u'\u2502', ink::frame);
    }
    put(column, row, u'\u250c', ink::frame);
    put(right, row, u'\u2510', ink::frame);
    put(column, bottom, u'\u2514', ink::frame);
    put(right, bottom, u'\u2518', ink::frame);
    write(column + 1, row, fmt::format(" {} ", title), title_ink);
}

void canvas::paste(std::size_t column, std::size_t row, canvas const& other) {
    for (std::size_t y = 0; y < other.rows_.size(); ++y)
        for (std::size_t x = 0; x < other.rows_[y].size(); ++x)
            put(column + x, row + y, other.rows_[y][x].what, other.rows_[y][x].how);
}

std::size_t canvas::width() const {
    std::size_t out = 0;
    for (auto const& row : rows_)
        out = std::max(out, row.size());
    return out;
}

namespace {

char ascii_of(char16_t c) {
    switch (c) {
    case u'\u2500': return '-';
    case u'\u2502': return '|';
    case u'\u250c':
    case u'\u2510':
    case u'\u2514':
    case u'\u2518': return '+';
    default: return static_cast<char>(c);
    }
}

void append_utf8(std::string& out, char16_t c) {
    if (c < 0x80) {
        out += static_cast<char>(c);
    } else { // the frame characters are all in U+0800..U+FFFF
        out += static_cast<char>(0xe0 | c >> 12);
        out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
        out += static_cast<char>(0x80 | (c & 0x3f));
    }
}

colour colour_of(canvas::ink how) {
    switch (how) {
    case canvas::ink::frame:
    case canvas::ink::detail: return colour::dim;
    case canvas::ink::title: return colour::bold;
    case canvas::ink::plain: break;
    }
    return colour::plain;
}

} // namespace

std::string canvas::text(drawing_style const& style) const {
    std::string out;
    for (auto const& row : rows_) {
        auto end = row.size();
        while (end > 0 && row[end - 1].what == u' ')
            --end;
        for (std::size_t x = 0; x < end;) {
            auto const how = colour_of(row[x].how);
            std::string run;
            for (; x < end && colour_of(row[x].how) == how; ++x) {
                if (style.unicode)
                    append_utf8(run, row[x].what);
                else
                    run += ascii_of(row[x].what);
            }
            out += paint(run, how, style.coloured);
        }
        out += '\n';
    }
    return out;
}

namespace {

/// Puts equal boxes into rows of `per_row`, a blank column between them.
canvas in_rows(std::vector<canvas> const& boxes, std::size_t per_row) {
    canvas out;
    std::size_t y = 0;
    for (std::size_t i = 0; i < boxes.size(); i += per_row) {
        std::size_t x = 0;
        std::size_t height = 0;
        for (std::size_t j = i; j < std::min(i + per_row, boxes.size()); ++j) {
            out.paste(x, y, boxes[j]);
            x += boxes[j].width() + 1;
            height = std::max(height, boxes[j].height());
        }
        y += height;
    }
    return out;
}

/// How many boxes of `box` columns fit into `width`; at least one.
std::size_t fitting(std::size_t width, std::size_t box) { return std::max<std::size_t>(1, (width + 1) / (box + 1)); }

/// One LLC: its cores in lines of `per_line`.
canvas draw_llc(topology const& t, std::uint32_t llc, std::uint32_t per_line, std::size_t digits) {
    canvas out;
    auto const title = fmt::format("LLC {}", llc);
    auto const cell = t.threads * (digits + 1) + 1; // "[ 0  1]"
    auto const lines = (t.cores + per_line - 1) / per_line;
    auto const width = std::max<std::size_t>(per_line * (cell + 1) - 1 + 4, title.size() + 4);
    out.frame(0, 0, width, lines + 2, title, canvas::ink::title);
    for (std::uint32_t core = 0; core < t.cores; ++core) {
        std::string text;
        for (std::uint32_t thread = 0; thread < t.threads; ++thread)
            text += fmt::format("{}{:>{}}", thread == 0 ? '[' : ' ', cpu_at(t, {0, llc, core, thread}), digits);
        out.write(2 + core % per_line * (cell + 1), 1 + core / per_line, text + "]", canvas::ink::plain);
    }
    return out;
}

std::string node_title(topology const& t, numa_layout const& layout, std::uint32_t node) {
    auto out = fmt::format("node {}", node);
    if (!layout.memory.empty())
        out += layout.memory[node].raw == 0 ? ", no memory" : ", " + size_text(layout.memory[node].raw);
    if (node >= t.nodes)
        out += ", no CPUs";
    return out;
}

/// One node with CPUs: the arrangement of its LLC boxes with the fewest lines within `width`.
canvas draw_node(topology const& t, numa_layout const& layout, std::uint32_t node, std::size_t width, std::size_t digits) {
    auto const title = node_title(t, layout, node);
    if (node >= t.nodes) {
        canvas out;
        out.frame(0, 0, title.size() + 4, 2, title, canvas::ink::title);
        return out;
    }
    auto const inner = width > 4 ? width - 4 : 1;
    canvas best;
    for (std::uint32_t per_line = 1; per_line <= t.cores; ++per_line) {
        std::vector<canvas> boxes;
        for (std::uint32_t llc = 0; llc < llcs_per_node(t); ++llc)
            boxes.push_back(draw_llc(t, node * llcs_per_node(t) + llc, per_line, digits));
        if (per_line > 1 && boxes[0].width() > inner)
            break;
        auto drawn = in_rows(boxes, fitting(inner, boxes[0].width()));
        if (best.height() == 0 || drawn.height() < best.height() ||
            (drawn.height() == best.height() && drawn.width() < best.width()))
            best = std::move(drawn);
    }
    canvas out;
    out.frame(0, 0, std::max(best.width() + 4, title.size() + 4), best.height() + 2, title, canvas::ink::title);
    out.paste(2, 1, best);
    return out;
}

canvas draw_nodes(topology const& t, numa_layout const& layout, std::size_t width) {
    auto const digits = fmt::format("{}", cpus(t) - 1).size();
    auto const count = node_count(t, layout);
    canvas best;
    for (std::size_t per_row = 1; per_row <= count; ++per_row) {
        std::vector<canvas> boxes;
        for (std::uint32_t node = 0; node < count; ++node)
            boxes.push_back(draw_node(t, layout, node, (width + 1) / per_row - 1, digits));
        auto drawn = in_rows(boxes, per_row);
        if (per_row > 1 && drawn.width() > width)
            break;
        if (best.height() == 0 || drawn.height() < best.height())
            best = std::move(drawn);
    }
    return best;
}

std::string draw_distances(topology const& t, numa_layout const& layout, drawing_style const& style) {
    auto const count = node_count(t, layout);
    canvas out;
    constexpr std::size_t column = 5;
    out.write(0, 0, "distance", canvas::ink::title);
    for (std::uint32_t from = 0; from < count; ++from) {
        out.write(10 + from * column, 0, fmt::format("{:>4}", from), canvas::ink::detail);
        out.write(0, 1 + from, fmt::format("{:>8}", from), canvas::ink::detail);
        for (std::uint32_t to = 0; to < count; ++to)
            out.write(10 + to * column, 1 + from, fmt::format("{:>4}", distance(t, layout, from, to)), canvas::ink::plain);
    }
    return out.text(style);
}

std::string counted(std::uint32_t n, std::string_view what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); }

} // namespace

std::string draw_topology(std::string_view name, topology const& shape, numa_layout const& layout, drawing_style const& style) {
    std::string const spec(to_text(shape).view());
    auto out = paint(name.empty() || name == spec ? spec : fmt::format("{}  {}", name, spec), colour::bold, style.coloured);
    out += fmt::format("  {}: {}, {} with {} of {} each\n", counted(cpus(shape), "CPU"),
                       counted(node_count(shape, layout), "node"), counted(shape.llcs, "LLC"), counted(shape.cores, "core"),
                       counted(shape.threads, "thread"));
    out += draw_nodes(shape, layout, std::max(style.width, 8U)).text(style);
    out += paint("[..] is a core with its CPUs", colour::dim, style.coloured) + '\n';
    if (node_count(shape, layout) > 1)
        out += draw_distances(shape, layout, style);
    return out;
}

} // namespace ktstr::tool
