// SPDX-License-Identifier: Apache-2.0
/// \file
/// Names of mem/ for headers that only pass them by reference.
#pragma once

namespace ktstr {

struct gpa_range;
struct ram_region;

struct null_memory;
class buffer_memory;
class mmap_memory;

struct anonymous_ram;
struct memfd_ram;
struct hugetlb_ram;

} // namespace ktstr
