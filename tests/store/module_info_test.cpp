// SPDX-License-Identifier: Apache-2.0
#include "ktstr/store/module_info.hpp"

#include "suites/fake_kernel.hpp"

#include <array>
#include <doctest/doctest.h>
#include <string>

using namespace ktstr;
using namespace ktstr::test;

TEST_CASE("module_info: name, dependencies and magic are read from .modinfo") {
    fake_elf module{.type = elf::et_rel};
    module.sections = {{".modinfo", bytes_from(std::string("license=GPL\0depends=virtio-ring,virtio,\0name=virtio-mmio\0"
                                                           "vermagic=7.3 SMP",
                                                           73))}};
    auto const file = module.build();
    auto const info = read_module_info(file);
    REQUIRE(info);
    CHECK(info->name == "virtio_mmio");
    CHECK(info->depends == std::vector<std::string>{"virtio_ring", "virtio"});
    CHECK(info->vermagic == "7.3 SMP");
    for (std::size_t n = 0; n < file.size(); ++n)
        CHECK_FALSE(read_module_info(std::span(file).first(n)));
    module.sections = {{".modinfo", bytes_from("depends=")}};
    CHECK(read_module_info(module.build())->depends.empty());
    module.sections = {};
    CHECK(read_module_info(module.build()).error().code == errc::not_found);
}

TEST_CASE("module_info: everything is loaded after what it needs, once") {
    std::array<stored_module, 5> const all{{{"virtio_mmio", "m", {"virtio_ring", "virtio"}},
                                            {"virtio_console", "c", {"virtio", "virtio_ring", "gone"}},
                                            {"virtio_ring", "r", {"virtio"}},
                                            {"virtio", "v", {}},
                                            {"other", "o", {}}}};
    std::array<std::string_view, 3> const names{"virtio-mmio", "built_in", "virtio_console"};
    auto const order = module_load_order(all, names);
    REQUIRE(order);
    CHECK(*order == std::vector<std::size_t>{3, 2, 0, 1});
    CHECK(module_load_order(all, {})->empty());
    std::array<stored_module, 2> const round{{{"a", "", {"b"}}, {"b", "", {"a"}}}};
    std::array<std::string_view, 1> const a{"a"};
    CHECK(module_load_order(round, a).error().where == "modules.cycle");
}
