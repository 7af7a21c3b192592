// SPDX-License-Identifier: Apache-2.0
#include "ktstr/virtio/status.hpp"

#include "ktstr/sys/io.hpp"

#include <array>
#include <bit>
#include <doctest/doctest.h>
#include <optional>
#include <string>

using namespace ktstr;

namespace {
constexpr auto phase_at(std::size_t i) { return static_cast<virtio_phase>(i); }
constexpr auto event_at(std::size_t i) { return static_cast<virtio_event>(i); }

/// The status field by which a driver gets to each phase.
constexpr std::array<std::uint8_t, virtio_phase_count> field{0x00, 0x01, 0x03, 0x0b, 0x0f, 0x4f, 0x8f};

/// The table as the documentation prints it.
std::string as_markdown() {
    std::string out = "| phase |";
    for (std::size_t e = 0; e < virtio_event_count; ++e)
        (out += ' ') += std::string(message(event_at(e))) + " |";
    out += "\n|---|";
    for (std::size_t e = 0; e < virtio_event_count; ++e)
        out += "---|";
    out += '\n';
    for (std::size_t p = 0; p < virtio_phase_count; ++p) {
        out += "| **" + std::string(message(phase_at(p))) + "** |";
        for (std::size_t e = 0; e < virtio_event_count; ++e) {
            auto const to = next(phase_at(p), event_at(e));
            out += ' ' + std::string(to ? message(*to) : "–") + " |";
        }
        out += '\n';
    }
    return out;
}
} // namespace

TEST_CASE("virtio status: the sequence of the specification reaches driver_ok") {
    std::uint8_t status = 0;
    for (int const step : {0x01, 0x02, 0x08, 0x04})
        status = status_after(status, event_of(status, static_cast<std::uint8_t>(status | step), true));
    CHECK(status == 0x0f);
    CHECK(phase_of(status) == virtio_phase::driver_ok);
}

TEST_CASE("virtio status: every phase and every event against what the specification allows") {
    for (std::size_t p = 0; p < virtio_phase_count; ++p) {
        for (std::size_t e = 0; e < virtio_event_count; ++e) {
            auto const phase = phase_at(p);
            auto const event = event_at(e);
            auto const to = next(phase, event);
            bool const stepping = p < static_cast<std::size_t>(virtio_phase::driver_ok);
            switch (event) {
            case virtio_event::reset: CHECK(to == virtio_phase::reset); break;
            case virtio_event::same: CHECK(to == phase); break;
            case virtio_event::other: CHECK_FALSE(to); break;
            case virtio_event::fail:
                CHECK(to == (phase == virtio_phase::failed ? std::nullopt : std::optional(virtio_phase::failed)));
                break;
            case virtio_event::fault:
                if (phase == virtio_phase::reset)
                    CHECK_FALSE(to);
                else
                    CHECK(to == (phase == virtio_phase::failed ? phase : virtio_phase::needs_reset));
                break;
            case virtio_event::acknowledge:
            case virtio_event::driver:
            case virtio_event::features_accepted:
            case virtio_event::features_refused:
            case virtio_event::driver_ok: {
                constexpr std::array<std::size_t, virtio_event_count> from{9, 0, 1, 2, 2, 3, 9, 9, 9, 9};
                bool const allowed = stepping && p == from[e];
                CHECK(to.has_value() == allowed);
                if (allowed)
                    CHECK(*to == (event == virtio_event::features_refused ? phase : phase_at(p + 1)));
                break;
            }
            }
        }
    }
}

TEST_CASE("virtio status: the field and the phase agree after every event") {
    for (std::size_t p = 0; p < virtio_phase_count; ++p) {
        REQUIRE(phase_of(field[p]) == phase_at(p));
        for (std::size_t e = 0; e < virtio_event_count; ++e) {
            auto const after = status_after(field[p], event_at(e));
            CHECK(phase_of(after) == next(phase_at(p), event_at(e)).value_or(phase_at(p)));
        }
    }
}

TEST_CASE("virtio status: whatever is written over whatever, only steps, failure and reset change it") {
    for (unsigned from = 0; from < 256; ++from) {
        for (unsigned written = 0; written < 256; ++written) {
            for (bool const acceptable : {false, true}) {
                auto const status = static_cast<std::uint8_t>(from);
                auto const event = event_of(status, static_cast<std::uint8_t>(written), acceptable);
                CHECK(event != virtio_event::fault);
                auto const after = status_after(status, event);
                bool const kept = after == status;
                bool const reset = after == 0 && written == 0;
                unsigned const added = after & ~unsigned{status};
                bool const one_bit = (after & status) == status && std::has_single_bit(added) && (added & 0x8f) != 0 &&
                                     (written & added) != 0;
                bool const sound = kept || reset || one_bit;
                if (!sound)
                    FAIL("from ", from, " written ", written, " gives ", int{after});
                // The device's own bit never comes from the driver.
                CHECK((after & 0x40 & ~status) == 0);
            }
        }
    }
}

TEST_CASE("virtio status: names exist for all and unknown values say so") {
    CHECK(message(static_cast<virtio_phase>(virtio_phase_count)) == "unknown phase");
    CHECK(message(static_cast<virtio_event>(virtio_event_count)) == "unknown event");
    CHECK(message(virtio_phase::failed) == "failed");
    CHECK(message(virtio_event::fault) == "fault");
}

TEST_CASE("virtio status: the documentation shows this table") {
    auto const page = read_file(KTSTR_SOURCE_ROOT "/docs/state-machines/virtio-status.md");
    REQUIRE(page);
    INFO("the table is now:\n", as_markdown());
    CHECK(page->find(as_markdown()) != std::string::npos);
}
