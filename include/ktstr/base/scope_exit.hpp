// SPDX-License-Identifier: Apache-2.0
/// \file
/// A guard that runs a function when its scope ends, unless released.
#pragma once

#include <utility>

namespace ktstr {

/// Calls `F` on destruction unless `release()` was called. `F` must not throw.
template <class F>
class [[nodiscard]] scope_exit {
public:
    explicit scope_exit(F action) noexcept : action_(std::move(action)) {}
    scope_exit(scope_exit const&) = delete;
    scope_exit& operator=(scope_exit const&) = delete;
    ~scope_exit() {
        if (armed_)
            action_();
    }
    void release() noexcept { armed_ = false; }

private:
    F action_;
    bool armed_ = true;
};

} // namespace ktstr
