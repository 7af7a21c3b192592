// SPDX-License-Identifier: Apache-2.0
// A fwd.hpp used alone is enough to declare functions; the definitions that follow agree with it.
#include "ktstr/base/fwd.hpp"

using namespace ktstr;
void only_names(error const&, errc, gpa const&, gva const&, bytes const&, vcpu_index const&, gsi const&, nanos const&,
                reader&, writer&, monotonic_clock&, manual_clock&, log_level, null_log&, stderr_log&);

#include "ktstr/base/clock.hpp"
#include "ktstr/base/cursor.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/log.hpp"
#include "ktstr/base/units.hpp"

void only_names(error const& e, errc, gpa const& g, gva const&, bytes const& b, vcpu_index const& v, gsi const& i,
                nanos const& n, reader& r, writer& w, monotonic_clock& m, manual_clock& c, log_level, null_log& l,
                stderr_log& s) {
    static_cast<void>(sizeof(e) + sizeof(g) + sizeof(b) + sizeof(v) + sizeof(i) + sizeof(n) + sizeof(r) + sizeof(w) +
                      sizeof(m) + sizeof(c) + sizeof(l) + sizeof(s));
}
