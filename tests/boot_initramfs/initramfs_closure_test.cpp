// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/initramfs_closure.hpp"

#include "fake_elf.hpp"
#include "suites/file_source_suite.hpp"

#include <algorithm>
#include <doctest/doctest.h>

using namespace ktstr;
using test::fake_elf;
using test::fake_files;

namespace {
std::string paths(library_closure const& c) {
    std::vector<std::string> all;
    for (auto const& n : c.nodes)
        all.push_back(n.link.empty() ? n.path : n.path + "->" + n.link);
    std::ranges::sort(all);
    std::string out;
    for (auto const& p : all)
        out += p + ' ';
    return out;
}
} // namespace

TEST_CASE("FileSource: models") {
    test::file_source_suite(host_files{});
    test::file_source_suite(no_files{});
    test::file_source_suite(fake_files{});
}

TEST_CASE("closure: loader, libraries of libraries, links of files and folders, a cycle") {
    fake_files f;
    f.links["/lib"] = "usr/lib";
    f.links["/lib64"] = "usr/lib64";
    f.links["/usr/lib64/ld.so"] = "../lib/x86_64-linux-gnu/ld-2.so";
    f.put("/usr/lib/x86_64-linux-gnu/ld-2.so", fake_elf{.soname = "ld.so"}.bytes());
    f.links["/usr/lib/x86_64-linux-gnu/liba.so.1"] = "liba.so.1.2";
    f.put("/usr/lib/x86_64-linux-gnu/liba.so.1.2", fake_elf{.needed = {"libb.so"}}.bytes());
    f.put("/usr/lib/x86_64-linux-gnu/libb.so", fake_elf{.needed = {"liba.so.1"}}.bytes());
    f.put("/usr/bin/prog", fake_elf{.interpreter = "/lib64/ld.so", .needed = {"liba.so.1"}}.bytes());
    closure_builder<fake_files> b(f);
    REQUIRE(b.add("/usr/bin/prog"));
    auto c = b.take();
    CHECK(c.missing.empty());
    CHECK_FALSE(c.needs_loader_cache);
    CHECK(paths(c) == "/lib->usr/lib /lib64->usr/lib64 /usr/bin/prog /usr/lib/x86_64-linux-gnu/ld-2.so "
                      "/usr/lib/x86_64-linux-gnu/liba.so.1->liba.so.1.2 /usr/lib/x86_64-linux-gnu/liba.so.1.2 "
                      "/usr/lib/x86_64-linux-gnu/libb.so /usr/lib64/ld.so->../lib/x86_64-linux-gnu/ld-2.so ");
    initramfs_builder image;
    REQUIRE(add_closure(image, std::move(c)));
    CHECK(image.archive());
}

TEST_CASE("closure: RUNPATH beats the cache, RPATH is inherited, $ORIGIN follows the file, other machines are passed over") {
    fake_files f;
    f.put("/opt/app/bin/prog", fake_elf{.needed = {"libown.so", "libshared.so"}, .runpath = "$ORIGIN/../lib:/else"}.bytes());
    f.put("/opt/app/lib/libown.so", fake_elf{}.bytes());
    f.put("/opt/app/lib/libshared.so", fake_elf{.machine = elf::em_aarch64}.bytes());
    f.put("/else/libshared.so", fake_elf{}.bytes());
    f.put("/lib/libown.so", fake_elf{}.bytes());
    f.links["/usr/bin/app"] = "/opt/app/bin/prog";
    closure_builder<fake_files> b(f);
    REQUIRE(b.add("/usr/bin/app"));
    auto const c = b.take();
    CHECK(c.missing.empty());
    CHECK(paths(c) == "/else/libshared.so /opt/app/bin/prog /opt/app/lib/libown.so /usr/bin/app->/opt/app/bin/prog ");

    fake_files g;
    g.put("/a/prog", fake_elf{.needed = {"lib1.so"}, .rpath = "/hidden/${LIB}"}.bytes());
    g.put("/hidden/lib/x86_64-linux-gnu/lib1.so", fake_elf{.needed = {"lib2.so"}}.bytes());
    g.put("/hidden/lib/x86_64-linux-gnu/lib2.so", fake_elf{}.bytes());
    closure_builder<fake_files> d(g);
    REQUIRE(d.add("/a/prog"));
    CHECK(d.take().missing.empty());
}

TEST_CASE("closure: what only the loader cache knows brings the cache along") {
    fake_files f;
    f.put("/etc/ld.so.cache", test::fake_ldcache({{"libfar.so", "/far/libfar.so"}, {"liba.so", "/lib/liba.so"}}));
    f.put("/far/libfar.so", fake_elf{}.bytes());
    f.put("/lib/liba.so", fake_elf{}.bytes());
    f.put("/p", fake_elf{.needed = {"liba.so"}}.bytes());
    f.put("/q", fake_elf{.needed = {"libfar.so"}}.bytes());
    closure_builder<fake_files> b(f);
    REQUIRE(b.add("/p"));
    CHECK(paths(b.take()) == "/lib/liba.so /p ");
    REQUIRE(b.add("/q"));
    CHECK(paths(b.take()) == "/etc/ld.so.cache /far/libfar.so /q ");
}

TEST_CASE("closure: missing libraries are all named with who wants them") {
    fake_files f;
    f.put("/p", fake_elf{.needed = {"liba.so", "libgone.so"}}.bytes());
    f.put("/lib/liba.so", fake_elf{.needed = {"libalso.so", "/abs/libgone.so"}}.bytes());
    closure_builder<fake_files> b(f);
    REQUIRE(b.add("/p"));
    auto const c = b.take();
    REQUIRE(c.missing.size() == 3);
    CHECK(c.missing[0].name == "libgone.so");
    CHECK(c.missing[0].needed_by == "/p");
    CHECK(c.missing[1].name == "libalso.so");
    CHECK(c.missing[1].needed_by == "/lib/liba.so");
    CHECK(c.missing[2].name == "/abs/libgone.so");
}

TEST_CASE("closure: scripts bring their interpreter; plain files, modules and other places come as they are") {
    fake_files f;
    f.put("/s", std::string("#! /bin/sh -e\necho\n"));
    f.put("/bin/sh", fake_elf{.needed = {"libc.so"}}.bytes());
    f.put("/lib/libc.so", fake_elf{}.bytes());
    f.put("/m.ko", fake_elf{.type = elf::et_rel}.bytes());
    f.put("/text", std::string("hello"));
    f.put("/loop", std::string("#!/loop\n"));
    closure_builder<fake_files> b(f);
    REQUIRE(b.add("/s"));
    REQUIRE(b.add("/m.ko"));
    REQUIRE(b.add_as("/text", "/srv/other"));
    REQUIRE(b.add("/loop"));
    CHECK(paths(b.take()) == "/bin/sh /lib/libc.so /loop /m.ko /s /srv/other ");
}

TEST_CASE("closure: files that cannot be had, link circles and bounds are errors") {
    fake_files f;
    f.put("/d/file", std::string("x"));
    f.links["/l"] = "/m";
    f.links["/m"] = "/l";
    f.put("/damaged", fake_elf{.needed = {"a"}}.bytes());
    f.files["/damaged"].resize(100);
    closure_builder<fake_files> b(f);
    CHECK(b.add("/none").error().code == errc::not_found);
    CHECK(b.add("/d").error().code == errc::unsupported);
    CHECK(b.add("/l").error().where == "closure.symlinks");
    CHECK(b.add("/damaged").error().code == errc::truncated);
    fake_files many;
    many.put("/p", fake_elf{.needed = {"l1", "l2", "l3"}}.bytes());
    for (char const* n : {"/lib/l1", "/lib/l2", "/lib/l3"})
        many.put(n, fake_elf{}.bytes());
    closure_builder<fake_files> few(many, {.files = 2});
    CHECK(few.add("/p").error().code == errc::no_space);
    closure_builder<fake_files> little(many, {.content = bytes{100}});
    CHECK(little.add("/p").error().where == "closure.content");
}

TEST_CASE("closure: /bin/sh of this machine is complete") {
    closure_builder<host_files> b;
    REQUIRE(b.add("/bin/sh"));
    auto const c = b.take();
    CHECK(c.missing.empty());
    CHECK(std::ranges::any_of(c.nodes, [](closure_node const& n) { return n.path.find("libc.so.6") != std::string::npos; }));
}
