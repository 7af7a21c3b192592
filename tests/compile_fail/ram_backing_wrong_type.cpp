// SPDX-License-Identifier: Apache-2.0
// EXPECT: RamBacking: missing `static result<mapping> make(bytes)`
#include "ktstr/mem/mmap_memory.hpp"

struct bad_ram {
    static void* make(ktstr::bytes) { return nullptr; }
};
static_assert(ktstr::explain_ram_backing<ktstr::anonymous_ram>());
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_ram_backing<bad_ram>());
#endif
