// SPDX-License-Identifier: Apache-2.0
// EXPECT: header does not have the size its specification gives
// EXPECT: header.length is not where its specification puts it
#include "ktstr/base/endian.hpp"
#include "ktstr/base/layout.hpp"

struct header {
    ktstr::le16 kind;
    ktstr::le32 length;
};
#ifdef KTSTR_EXPECT_FAIL
KTSTR_ABI(header, 8);
KTSTR_ABI_AT(header, length, 4);
#else
KTSTR_ABI(header, 6);
KTSTR_ABI_AT(header, length, 2);
#endif
