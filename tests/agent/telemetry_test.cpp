// SPDX-License-Identifier: Apache-2.0
#include "ktstr/agent/telemetry.hpp"

#include <doctest/doctest.h>

#include <memory>

using namespace ktstr::agent;

namespace {
struct books {
    std::unique_ptr<cpu_board> board = std::make_unique<cpu_board>();
    std::unique_ptr<worker_slot> a = std::make_unique<worker_slot>(), b = std::make_unique<worker_slot>();
};
} // namespace

TEST_CASE("telemetry: units, CPUs, migrations") {
    books k;
    begin_books(*k.a, *k.board, 100, 1);
    checkpoint(*k.a, *k.board, 200, 1, 8);
    checkpoint(*k.a, *k.board, 300, 3, 8);
    checkpoint(*k.a, *k.board, 400, 3, 4);
    CHECK(k.a->units == 20);
    CHECK(k.a->migrations == 1);
    CHECK(k.a->cpu_units[1] == 8);
    CHECK(k.a->cpu_units[3] == 12);
    CHECK(k.board->cpu[3].units == 12);
    CHECK(k.a->start_ns == 100);
    CHECK(k.a->last_ns == 400);
}

TEST_CASE("telemetry: the largest gap, with its CPU and time; a sleep of one's own is none") {
    books k;
    begin_books(*k.a, *k.board, 100, 0);
    checkpoint(*k.a, *k.board, 150, 0, 1);
    checkpoint(*k.a, *k.board, 950, 2, 1);
    checkpoint(*k.b, *k.board, 500'000, 2, 700);
    checkpoint(*k.a, *k.board, 999'999, 2, 0, true);
    checkpoint(*k.a, *k.board, 1'000'000, 2, 1);
    CHECK(k.a->gap_ns == 800);
    CHECK(k.a->gap_at_ns == 950);
    CHECK(k.a->gap_cpu == 2);
    CHECK(k.a->waited_units == 0);
}

TEST_CASE("telemetry: what others did on my CPU while I was away, whatever the clock says") {
    books k;
    begin_books(*k.a, *k.board, 0, 0);
    begin_books(*k.b, *k.board, 0, 0);
    checkpoint(*k.a, *k.board, 10, 0, 8);
    for (int i = 0; i < 5; ++i)
        checkpoint(*k.b, *k.board, 11, 0, 8); // no time passes by the clock
    checkpoint(*k.a, *k.board, 12, 0, 8);
    CHECK(k.a->waited_units == 40);
    CHECK(k.a->waited_at_ns == 12);
    CHECK(k.a->waited_cpu == 0);
    // What happened before is not counted twice, and other CPUs do not count.
    checkpoint(*k.b, *k.board, 13, 1, 500);
    checkpoint(*k.a, *k.board, 14, 0, 8);
    CHECK(k.a->waited_units == 40);
    // Leaving a CPU counts what was missed there.
    checkpoint(*k.b, *k.board, 15, 0, 100);
    checkpoint(*k.a, *k.board, 16, 5, 8);
    CHECK(k.a->waited_units == 100);
}

TEST_CASE("telemetry: a wait that never ended is seen from outside") {
    books k;
    CHECK(look_at_wait(*k.a, *k.board, 500).gap_ns == 0); // never began
    begin_books(*k.a, *k.board, 100, 0);
    begin_books(*k.b, *k.board, 100, 0);
    checkpoint(*k.a, *k.board, 200, 0, 8);
    checkpoint(*k.b, *k.board, 300, 0, 80);
    auto const open = look_at_wait(*k.a, *k.board, 5000);
    CHECK(open.gap_ns == 4800);
    CHECK(open.units == 80);
    CHECK(open.cpu == 0);
}

TEST_CASE("telemetry: the fastest pace; CPUs beyond the books go to the last page") {
    books k;
    begin_books(*k.a, *k.board, 0, 0);
    checkpoint(*k.a, *k.board, 16'000, 0, 8);
    checkpoint(*k.a, *k.board, 24'000, 0, 8);
    checkpoint(*k.a, *k.board, 64'000, 9999, 8);
    CHECK(k.a->fastest_unit_ps == 1'000'000);
    CHECK(k.a->cpu_units[tracked_cpus - 1] == 8);
}

TEST_CASE("telemetry: wakes") {
    books k;
    note_wake(*k.a, 5);
    note_wake(*k.a, 1000);
    CHECK(k.a->wakes == 2);
    CHECK(k.a->wake_max_ns == 1000);
    CHECK(k.a->wake_sum_ns == 1005);
    CHECK(k.a->wake_counts[ktstr::wire::wake_bucket(1000)] == 1);
}
