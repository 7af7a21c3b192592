// SPDX-License-Identifier: Apache-2.0
/// \file
/// Compile-time checks that a structure has the layout its specification gives.
#pragma once

#include <cstddef>
#include <type_traits>

/// Asserts that `T` may be copied as bytes and is exactly `size` bytes long.
#define KTSTR_ABI(T, size)                                                                                             \
    static_assert(std::is_standard_layout_v<T> && std::is_trivially_copyable_v<T>, #T " must be plain bytes");         \
    static_assert(sizeof(T) == (size), #T " does not have the size its specification gives")

/// Asserts that `field` of `T` stands at byte `offset`.
#define KTSTR_ABI_AT(T, field, offset)                                                                                 \
    static_assert(offsetof(T, field) == (offset), #T "." #field " is not where its specification puts it")
