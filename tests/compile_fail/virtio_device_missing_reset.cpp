// SPDX-License-Identifier: Apache-2.0
// A virtio device that does not hear of a reset is told so.
// EXPECT: VirtioDevice: missing `void on_reset() noexcept`
#include "ktstr/virtio/device.hpp"

struct good_device : ktstr::null_device<> {};
struct bad_device : ktstr::null_device<> {
    void on_reset() = delete;
};
static_assert(ktstr::explain_virtio_device<good_device>());
#ifdef KTSTR_EXPECT_FAIL
static_assert(ktstr::explain_virtio_device<bad_device>());
#endif
