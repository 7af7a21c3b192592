// SPDX-License-Identifier: Apache-2.0
// EXPECT: LogSink: missing `void write(log_level, std::string_view) noexcept`
#include "ktstr/base/log.hpp"

struct good_log {
    void write(ktstr::log_level, std::string_view) noexcept {}
};
struct bad_log {
    bool write(ktstr::log_level, std::string_view) noexcept { return true; }
};
static_assert(ktstr::explain_log_sink<good_log>());
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_log_sink<bad_log>());
#endif
