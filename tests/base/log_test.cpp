// SPDX-License-Identifier: Apache-2.0
#include "ktstr/base/log.hpp"

#include "ktstr/sys/io.hpp"
#include "suites/log_suite.hpp"

#include <fcntl.h>

using namespace ktstr;

TEST_CASE("null_log: conforms") {
    null_log log;
    log_suite(log);
    static_assert(std::is_empty_v<null_log>);
}

/// Standard error as a pipe, for as long as this lives.
struct captured_stderr {
    int pipe[2]{-1, -1};
    int saved = ::dup(STDERR_FILENO);
    captured_stderr() {
        REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
        ::dup2(pipe[1], STDERR_FILENO);
    }
    ~captured_stderr() {
        finish();
        ::close(pipe[0]);
    }
    std::string finish() {
        if (saved < 0)
            return {};
        ::dup2(saved, STDERR_FILENO);
        ::close(saved);
        ::close(pipe[1]);
        saved = -1;
        std::string out(65536, '\0');
        auto const n = read_full(pipe[0], std::as_writable_bytes(std::span(out)));
        out.resize(n.value_or(0));
        return out;
    }
};

TEST_CASE("stderr_log: one line a remark, cut when too long, silent below its level") {
    stderr_log log;
    captured_stderr capture;
    log.write(log_level::debug, "not this");
    log.write(log_level::info, "first");
    log.write(log_level::error, std::string(5000, 'x'));
    auto const text = capture.finish();
    CHECK(text.starts_with("ktstr: first\nktstr: xxx"));
    CHECK(text.ends_with("x\n"));
    CHECK(text.size() == 13 + 512);
}

TEST_CASE("stderr_log: conforms") {
    stderr_log log;
    captured_stderr capture;
    log_suite(log);
    CHECK_FALSE(capture.finish().empty());
}
