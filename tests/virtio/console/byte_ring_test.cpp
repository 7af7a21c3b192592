// SPDX-License-Identifier: Apache-2.0
#include "ktstr/virtio/console/byte_ring.hpp"

#include <array>
#include <deque>
#include <doctest/doctest.h>
#include <random>

using namespace ktstr;

TEST_CASE("byte_ring: behaves as a bounded queue for every capacity and any order of calls") {
    std::mt19937 random(7);
    for (std::size_t capacity = 0; capacity < 20; ++capacity) {
        byte_ring ring(capacity);
        std::deque<std::byte> model;
        for (int step = 0; step < 500; ++step) {
            std::array<std::byte, 25> data{};
            auto const n = random() % data.size();
            if (random() % 2 == 0) {
                for (auto& b : data)
                    b = static_cast<std::byte>(random());
                auto const fits = std::min(n, capacity - model.size());
                REQUIRE(ring.push(std::span(data).first(n)) == fits);
                model.insert(model.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(fits));
            } else {
                auto const have = std::min(n, model.size());
                REQUIRE(ring.pop(std::span(data).first(n)) == have);
                for (std::size_t i = 0; i < have; ++i) {
                    REQUIRE(data[i] == model.front());
                    model.pop_front();
                }
            }
            REQUIRE(ring.size() == model.size());
            REQUIRE(ring.space() == capacity - model.size());
            REQUIRE(ring.empty() == model.empty());
        }
        ring.clear();
        CHECK(ring.empty());
        CHECK(ring.space() == capacity);
    }
}
