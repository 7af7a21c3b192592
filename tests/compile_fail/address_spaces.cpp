// SPDX-License-Identifier: Apache-2.0
// Guest physical and guest virtual addresses do not mix, and neither is a plain number.
// EXPECT: no match for
// EXPECT: ktstr::gpa
#include "ktstr/base/units.hpp"

bool same(ktstr::gpa a, ktstr::gva b);

bool same(ktstr::gpa a, ktstr::gva b) {
#ifdef KTSTR_EXPECT_FAIL
    return a == b;
#else
    return a.raw == b.raw;
#endif
}
