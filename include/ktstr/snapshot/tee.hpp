// SPDX-License-Identifier: Apache-2.0
/// \file
/// `SnapshotSink` model that hands each snapshot to several sinks; one that fails leaves the others alone.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/snapshot/sink.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

namespace ktstr {

/// Gives everything to each of `Sinks`, in their order. A sink whose call fails is aborted and left out of the rest of
/// that snapshot; `failures` tells which and why. A call fails only when no sink is left (with the last sink's error).
template <SnapshotSink... Sinks>
    requires(sizeof...(Sinks) > 0)
class tee_sink {
public:
    static constexpr bool incremental = (Sinks::incremental || ...);
    static_assert(incremental == (Sinks::incremental && ...),
                  "tee_sink: sinks that want only changes and sinks that want everything cannot share one stream");

    explicit tee_sink(Sinks... sinks) : sinks_(std::move(sinks)...) {}

    [[nodiscard]] result<> begin(snapshot_header const& h) {
        failures_.fill(std::nullopt);
        return each([&](auto& sink) { return sink.begin(h); });
    }
    [[nodiscard]] result<> put(snapshot_section const& section, std::span<std::byte const> data) {
        return each([&](auto& sink) { return sink.put(section, data); });
    }
    [[nodiscard]] result<> commit() {
        return each([](auto& sink) { return sink.commit(); });
    }
    void abort() noexcept {
        std::apply([](auto&... sink) { (sink.abort(), ...); }, sinks_);
    }

    /// Why sink I of the last snapshot failed; nothing when it did not. Kept until the next `begin`.
    [[nodiscard]] std::array<std::optional<error>, sizeof...(Sinks)> const& failures() const noexcept { return failures_; }
    /// Whether some sink of the last snapshot failed.
    [[nodiscard]] bool degraded() const noexcept {
        for (auto const& f : failures_)
            if (f)
                return true;
        return false;
    }
    /// Sink `I` itself.
    template <std::size_t I>
    [[nodiscard]] auto& get() noexcept {
        return std::get<I>(sinks_);
    }

private:
    template <class Call>
    [[nodiscard]] result<> each(Call call) {
        std::size_t left = 0;
        auto const one = [&](auto& sink, std::optional<error>& failure) {
            if (failure)
                return;
            if (auto const done = call(sink)) {
                ++left;
            } else {
                failure = done.error();
                sink.abort();
            }
        };
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (one(std::get<I>(sinks_), failures_[I]), ...);
        }(std::index_sequence_for<Sinks...>{});
        if (left == 0)
            return std::unexpected(*failures_.back());
        return {};
    }

    std::tuple<Sinks...> sinks_;
    std::array<std::optional<error>, sizeof...(Sinks)> failures_{};
};
static_assert(SnapshotSink<tee_sink<null_sink, null_sink>>);

} // namespace ktstr
