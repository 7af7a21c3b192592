// SPDX-License-Identifier: Apache-2.0
/// \file
/// `SnapshotSink` model that hands on only a part of RAM: none of it, or some ranges.
///
/// A file that says "this page is RAM" and has no bytes for it says "this page is zero". So the header that the inner
/// sink gets names only the RAM that is handed on.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/mem/region.hpp"
#include "ktstr/snapshot/sink.hpp"

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace ktstr {

/// Rule: registers and header, no RAM.
struct registers_only {
    [[nodiscard]] std::vector<ram_region> operator()(std::span<ram_region const>) const { return {}; }
};

/// Rule: RAM inside `ranges` (any order; may overlap).
struct only_ranges {
    std::vector<gpa_range> ranges;
    [[nodiscard]] std::vector<ram_region> operator()(std::span<ram_region const> ram) const {
        auto wanted = ranges;
        std::sort(wanted.begin(), wanted.end(), [](gpa_range const& a, gpa_range const& b) { return a.start < b.start; });
        std::vector<ram_region> out;
        for (auto const& r : ram) {
            auto from = r.range.start;
            for (auto const& w : wanted) {
                auto const start = std::max(from, w.start);
                auto const w_end = w.size.raw > ~w.start.raw ? gpa{~std::uint64_t{0}} : w.end();
                auto const end = std::min(r.range.end(), w_end);
                if (start >= end)
                    continue;
                out.push_back({{start, bytes{end - start}}, r.node, bytes{r.backing_offset.raw + (start - r.range.start)}});
                from = end;
            }
        }
        return out;
    }
};

/// Hands to `Sink` the RAM that `Rule` chooses (`vector<ram_region> operator()(span<ram_region const>)`, a sorted part of
/// what it is given) and every other section as it is.
template <SnapshotSink Sink, class Rule>
    requires requires(Rule const& rule, std::span<ram_region const> ram) {
        { rule(ram) } -> std::same_as<std::vector<ram_region>>;
    }
class filter_sink {
public:
    static constexpr bool incremental = Sink::incremental;

    explicit filter_sink(Sink sink, Rule rule = Rule{}) : sink_(std::move(sink)), rule_(std::move(rule)) {}

    [[nodiscard]] result<> begin(snapshot_header const& h) {
        ram_ = rule_(h.ram);
        auto part = h;
        part.ram = ram_;
        return sink_.begin(part);
    }
    [[nodiscard]] result<> put(snapshot_section const& section, std::span<std::byte const> data) {
        if (section.name != "ram")
            return sink_.put(section, data);
        for (auto const& r : ram_) {
            auto const from = std::max(r.range.start.raw, section.offset);
            auto const end = std::min(r.range.end().raw, section.offset + data.size());
            if (from >= end)
                continue;
            auto part = section;
            part.offset = from;
            if (auto const done = sink_.put(part, data.subspan(static_cast<std::size_t>(from - section.offset),
                                                               static_cast<std::size_t>(end - from)));
                !done)
                return done;
        }
        return {};
    }
    [[nodiscard]] result<> commit() { return sink_.commit(); }
    void abort() noexcept { sink_.abort(); }

    /// The sink behind it.
    [[nodiscard]] Sink& inner() noexcept { return sink_; }

private:
    Sink sink_;
    Rule rule_;
    std::vector<ram_region> ram_;
};
static_assert(SnapshotSink<filter_sink<null_sink, registers_only>> && SnapshotSink<filter_sink<null_sink, only_ranges>>);

} // namespace ktstr
