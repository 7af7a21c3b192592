// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every `PortHost` model promises beyond its signatures: any port, any order, any amount.
#pragma once

#include "ktstr/virtio/console/port_host.hpp"

#include <array>
#include <cstddef>
#include <doctest/doctest.h>
#include <span>

TEST_CASE_TEMPLATE_DEFINE("PortHost: takes any output and any opening on any port", H, port_host_suite) {
    static_assert(ktstr::explain_port_host<H>());
    H host{};
    std::array<std::byte, 100> const data{};
    for (std::uint32_t const port : {0u, 1u, 30u, ~0u}) {
        host.on_output(port, data); // before it was opened
        host.on_open(port, false);
        host.on_open(port, true);
        host.on_open(port, true);
        for (int i = 0; i < 100; ++i)
            host.on_output(port, std::span(data).first(static_cast<std::size_t>(i)));
        host.on_open(port, false);
    }
}
