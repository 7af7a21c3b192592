// SPDX-License-Identifier: Apache-2.0
#include "ktstr/sys/mapping.hpp"

#include <doctest/doctest.h>
#include <type_traits>
#include <unistd.h>

using namespace ktstr;

static_assert(!std::is_copy_constructible_v<mapping> && sizeof(mapping) == sizeof(std::span<std::byte>));

static bool is_mapped(void* at) {
    unsigned char state = 0;
    return ::mincore(at, 1, &state) == 0;
}

TEST_CASE("mapping: unmaps when it ends, moves, survives moving onto itself") {
    void* at = nullptr;
    {
        auto map = mapping::map(8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        REQUIRE(map);
        CHECK(map->size() == 8192);
        at = map->data();
        CHECK(is_mapped(at));
        auto& alias = *map;
        *map = std::move(alias);
        CHECK(map->data() == at);
        map->span()[8191] = std::byte{1};
        mapping other(std::move(*map));
        CHECK(other.data() == at);
        CHECK(map->size() == 0);
        *map = std::move(other);
        CHECK(map->span()[8191] == std::byte{1});
    }
    CHECK_FALSE(is_mapped(at));
    CHECK(mapping{}.span().empty());
}

TEST_CASE("mapping: failures carry the length") {
    auto const none = mapping::map(0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS);
    CHECK(none.error() == error{errc::os, EINVAL, 0, "mmap"});
    CHECK(mapping::map(4096, PROT_READ, MAP_SHARED, -1).error().value == 4096);
}
