// SPDX-License-Identifier: Apache-2.0
#include "ktstr/sys/schedstat.hpp"

#include "ktstr/base/clock.hpp"
#include "ktstr/sys/thread.hpp"

#include <doctest/doctest.h>

using namespace ktstr;

TEST_CASE("read_thread_service: CPU time of the calling thread grows with its work") {
    auto const before = read_thread_service(this_thread_id());
    REQUIRE(before);
    // Burn CPU time, not wall time: the thread's own clock says when it is enough.
    timespec ts{};
    auto const used = [&ts] {
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
        return nanos{std::int64_t{ts.tv_sec} * 1'000'000'000 + ts.tv_nsec};
    };
    for (auto const until = used() + millis(30); used() < until;) {
    }
    auto const after = read_thread_service(this_thread_id());
    REQUIRE(after);
    CHECK(after->cpu_ns - before->cpu_ns >= 10'000'000); // the kernel brings the figure up to date at its ticks
    CHECK(after->run_delay_ns >= before->run_delay_ns);
    CHECK(after->slices >= before->slices);
}

TEST_CASE("read_thread_service: a thread that is not there") {
    CHECK(read_thread_service(0).error().code == errc::not_found);
    auto const other = read_thread_service(1); // exists, but in another process (unless this is pid 1)
    if (::getpid() != 1)
        CHECK_FALSE(other);
}
