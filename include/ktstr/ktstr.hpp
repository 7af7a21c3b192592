// SPDX-License-Identifier: Apache-2.0
/// \file
/// Every header of the library that needs nothing but libc, for users in a hurry and for the test that two translation
/// units with all of it link. Headers that name a library (compression, JSON, Boost) are included by their own name.
/// Written by tests/scripts/gen_umbrella.py; a test fails when it is out of date.
#pragma once

#include "ktstr/version.hpp"

#include "ktstr/base/checked.hpp"
#include "ktstr/base/clock.hpp"
#include "ktstr/base/cursor.hpp"
#include "ktstr/base/endian.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/layout.hpp"
#include "ktstr/base/log.hpp"
#include "ktstr/base/scope_exit.hpp"
#include "ktstr/base/units.hpp"

#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/io.hpp"
#include "ktstr/sys/mapping.hpp"
#include "ktstr/sys/publish.hpp"

#include "ktstr/mem/guest_memory.hpp"
#include "ktstr/mem/mmap_memory.hpp"
#include "ktstr/mem/region.hpp"

#include "ktstr/topo/topology.hpp"

#include "ktstr/wire/any_message.hpp"
#include "ktstr/wire/codec.hpp"
#include "ktstr/wire/crc32.hpp"
#include "ktstr/wire/frame.hpp"
#include "ktstr/wire/messages.hpp"
#include "ktstr/wire/stream_decoder.hpp"
