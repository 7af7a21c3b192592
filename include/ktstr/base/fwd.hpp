// SPDX-License-Identifier: Apache-2.0
/// \file
/// Names of base/ for headers that only pass them by reference.
#pragma once

#include <cstdint>

namespace ktstr {

enum class errc : std::uint32_t;
struct error;

struct gpa;
struct gva;
struct bytes;
struct vcpu_index;
struct gsi;
struct nanos;

class reader;
class writer;

struct monotonic_clock;
struct manual_clock;

enum class log_level : std::uint8_t;
struct null_log;
struct stderr_log;

} // namespace ktstr
