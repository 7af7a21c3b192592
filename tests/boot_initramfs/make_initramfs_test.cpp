// SPDX-License-Identifier: Apache-2.0
#include "ktstr-run/initramfs_cache.hpp"

#include "fake_elf.hpp"
#include "ktstr/boot/cpio.hpp"
#include "ktstr/sys/publish.hpp"
#include "suites/temp_folder.hpp"

#include <cstdlib>
#include <doctest/doctest.h>
#include <string>

using namespace ktstr;
using namespace ktstr::tool;

namespace {
std::string listing(std::span<std::byte const> archive) {
    cpio_reader in(archive);
    std::string out;
    for (;;) {
        auto const e = in.next();
        REQUIRE(e);
        if (!*e)
            return out;
        out += std::string((*e)->name) + ' ';
    }
}
struct setting {
    temp_folder folder;
    setting() { ::setenv("XDG_CACHE_HOME", (folder.path() + "/cache").c_str(), 1); }
    std::string file(std::string const& name, std::span<std::byte const> content) const {
        auto path = folder.path() + '/' + name;
        REQUIRE(publish(path, content, 0755));
        return path;
    }
    std::string program() const { return file("program", test::fake_elf{.type = elf::et_exec, .dynamic = false}.bytes()); }
};
} // namespace

TEST_CASE("make_initramfs: /init without debug information, modules numbered in load order, the plan in the suffix") {
    setting const s;
    initramfs_request request;
    request.program = s.program();
    auto const module = s.file("virtio_mmio.ko.xz", std::vector<std::byte>(10));
    request.modules = {module, s.file("virtio_console.ko.xz", std::vector<std::byte>(20))};
    std::vector<std::byte> const plan(7, std::byte{1});
    request.plan = plan;
    auto const made = make_initramfs(request);
    REQUIRE_MESSAGE(made, made.error().what);
    CHECK(made->note == "");
    CHECK(listing(made->image.base) == "dev dev/console dev/null init ktstr ktstr/modules "
                                       "ktstr/modules/00-virtio_mmio.ko.xz ktstr/modules/01-virtio_console.ko.xz ");
    CHECK(listing(made->image.suffix) == "ktstr ktstr/plan ");
    CHECK(made->base_file.starts_with(s.folder.path() + "/cache/ktstr/initramfs/"));
    auto const again = read_initramfs(made->base_file, plan);
    REQUIRE(again);
    CHECK(std::ranges::equal(again->base, made->image.base));
    CHECK(again->suffix == made->image.suffix);
}

TEST_CASE("make_initramfs: a missing library, a missing file and two files for one path are the user's, and named") {
    setting const s;
    initramfs_request request;
    request.program = s.program();
    auto const needy = s.file("needy", test::fake_elf{.needed = {"libnowhere-to-be-found.so.7"}}.bytes());
    request.include = {{needy, needy}};
    auto made = make_initramfs(request);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == exit_code::bad_input);
    CHECK(made.error().what.find("libnowhere-to-be-found.so.7 (needed by " + needy) != std::string::npos);
    CHECK_FALSE(made.error().remedy.empty());

    request.include = {{s.folder.path() + "/none", "/x"}};
    made = make_initramfs(request);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == exit_code::bad_input);
    CHECK(made.error().where == s.folder.path() + "/none");

    request.include = {{s.file("a", std::vector<std::byte>(1)), "/init"}};
    made = make_initramfs(request);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == exit_code::bad_input);
    CHECK(made.error().what.find("same path") != std::string::npos);
}

TEST_CASE("make_initramfs: a cache that cannot be written is a note") {
    setting const s;
    ::setenv("XDG_CACHE_HOME", "/proc/none", 1);
    initramfs_request request;
    request.program = s.program();
    auto const made = make_initramfs(request);
    REQUIRE(made);
    CHECK(made->base_file == "");
    CHECK(made->note.find("could not be saved") != std::string::npos);
}

TEST_CASE("read_initramfs: any file is taken as it is; an empty or missing one is refused") {
    setting const s;
    auto const image = read_initramfs(s.file("cpio", std::vector<std::byte>(5000, std::byte{7})), {});
    REQUIRE(image);
    CHECK(image->base.size() == 8192);
    CHECK(image->base[4999] == std::byte{7});
    CHECK(image->base[5000] == std::byte{0});
    CHECK(read_initramfs(s.file("empty", {}), {}).error().code == exit_code::bad_input);
    CHECK(read_initramfs(s.folder.path() + "/none", {}).error().code == exit_code::bad_input);
}
