// SPDX-License-Identifier: Apache-2.0
#include "ktstr/store/kernel_store.hpp"
#include "ktstr/store/stored_kernel.hpp"

#include "suites/fake_kernel.hpp"
#include "suites/temp_folder.hpp"

#include <csignal>
#include <doctest/doctest.h>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>

using namespace ktstr;
using namespace ktstr::test;

namespace {

result<> make_entry(kernel_store const& store, std::string const& key, std::string const& version,
                    std::string const& content = "kernel") {
    KTSTR_TRY(auto entry, store.stage(key));
    entry.manifest().release = "release-" + key;
    entry.manifest().version = version;
    entry.manifest().aliases = {"debian:7.3"};
    KTSTR_CHECK(entry.put("vmlinux", "vmlinux", bytes_from(content)));
    KTSTR_CHECK(entry.put("relocs", "relocs", bytes_from("relocs")));
    KTSTR_CHECK(entry.put("module", "modules/virtio_mmio.ko", bytes_from("mmio")));
    KTSTR_CHECK(entry.put("module", "modules/virtio.ko", bytes_from("virtio")));
    entry.manifest().modules = {{"virtio_mmio", "modules/virtio_mmio.ko", {"virtio"}}, {"virtio", "modules/virtio.ko", {}}};
    return entry.commit();
}
std::string text_of(std::string const& path) { return read_file(path.c_str()).value_or("?"); }

} // namespace

TEST_CASE("kernel_store: an entry comes back with its paths and its modules in load order") {
    temp_folder folder;
    kernel_store const store(folder.at("cache/kernels"));
    CHECK(store.keys()->empty());
    CHECK(store.find("a").error().code == errc::not_found);
    REQUIRE(make_entry(store, "a", "7.3.4-1"));
    auto const kernel = store.resolve("a");
    REQUIRE(kernel);
    CHECK(kernel->key == "a");
    CHECK(kernel->release == "release-a");
    CHECK(kernel->dir == folder.at("cache/kernels/a"));
    CHECK(text_of(kernel->vmlinux) == "kernel");
    CHECK(text_of(kernel->relocs) == "relocs");
    CHECK(kernel->bzimage.empty());
    CHECK(kernel->config.empty());
    REQUIRE(kernel->modules.size() == 2);
    CHECK(kernel->modules[0].name == "virtio");
    CHECK(text_of(kernel->modules[1].file) == "mmio");
    CHECK(text_of(folder.at("cache/kernels/CACHEDIR.TAG")).starts_with("Signature: 8a477f597d28d172789f06886806bc55"));
    // By folder, also after it was copied elsewhere.
    CHECK(store.resolve(kernel->dir)->key == "a");
}

TEST_CASE("kernel_store: names find the newest") {
    temp_folder folder;
    kernel_store const store(folder.at("k"));
    REQUIRE(make_entry(store, "old", "7.3.9-1"));
    REQUIRE(make_entry(store, "new", "7.3.10-1"));
    CHECK(*store.find("debian:7.3") == "new");
    CHECK(*store.find("old") == "old");
    CHECK(*store.find("release-old") == "old");
    CHECK(store.find("debian:7.4").error().code == errc::not_found);
    CHECK(*store.keys() == std::vector<std::string>{"new", "old"});
    REQUIRE(store.remove("new"));
    CHECK(*store.find("debian:7.3") == "old");
    CHECK(store.remove("new").error().code == errc::not_found);
    CHECK(store.remove("../k").error().code == errc::not_found);
}

TEST_CASE("kernel_store: nothing is there before commit, and nothing is left without it") {
    temp_folder folder;
    kernel_store const store(folder.at("k"));
    {
        auto entry = store.stage("a");
        REQUIRE(entry);
        REQUIRE(entry->put("vmlinux", "vmlinux", bytes_from("x")));
        CHECK(store.keys()->empty());
        CHECK_FALSE(store.resolve("a"));
    }
    CHECK(store.keys()->empty());
    CHECK(::access(folder.at("k/.lock").c_str(), F_OK) == 0);
    for (auto const* const bad : {"", "..", ".hidden", "a/b"})
        CHECK(store.stage(bad).error().code == errc::invalid_argument);
}

TEST_CASE("kernel_store: an entry is replaced whole") {
    temp_folder folder;
    kernel_store const store(folder.at("k"));
    REQUIRE(make_entry(store, "a", "1", "first"));
    REQUIRE(make_entry(store, "a", "2", "second"));
    CHECK(text_of(store.resolve("a")->vmlinux) == "second");
    CHECK(temp_folder{}.entries() == 0);
    CHECK(store.keys()->size() == 1);
}

TEST_CASE("kernel_store: damage is noticed") {
    temp_folder folder;
    kernel_store const store(folder.at("k"));
    REQUIRE(make_entry(store, "a", "1"));
    auto const file = folder.at("k/a/vmlinux");
    auto const damaged = [&](verify how) { return store.resolve("a", how).error(); };

    // Touched but the same: the checksum decides.
    timespec const times[2] = {{1, 0}, {1, 0}};
    REQUIRE(::utimensat(AT_FDCWD, file.c_str(), times, 0) == 0);
    CHECK(store.resolve("a"));
    // Same size and time, other content: only the full check sees it.
    auto const fd = unique_fd::open(file.c_str(), O_WRONLY);
    REQUIRE(write_all(fd->get(), std::string_view("KERNEL")));
    CHECK(damaged(verify::quick) == error{errc::bad_checksum, 0, 0, "store.file_checksum"});
    CHECK(store.resolve("a", verify::sizes));
    CHECK(damaged(verify::full).code == errc::bad_checksum);
    REQUIRE(::ftruncate(fd->get(), 3) == 0);
    CHECK(damaged(verify::sizes) == error{errc::bad_checksum, 0, 0, "store.file_size"});
    REQUIRE(::unlink(file.c_str()) == 0);
    CHECK(damaged(verify::quick).where == "store.file_missing");
    REQUIRE(publish(folder.at("k/a/manifest"), std::string_view("rubbish")));
    CHECK(damaged(verify::quick).code == errc::bad_checksum);
    CHECK(store.keys()->size() == 1); // still listed, so that it can be removed
    CHECK(store.remove("a"));
    CHECK(store.keys()->empty());
}

TEST_CASE("kernel_store: a kernel in use is not removed") {
    temp_folder folder;
    kernel_store const store(folder.at("k"));
    REQUIRE(make_entry(store, "a", "1"));
    {
        auto const user = store.resolve("a");
        REQUIRE(user);
        CHECK(store.remove("a").error().code == errc::busy);
        // Replacing is fine: the user's files are open or can still be opened under the new entry.
        CHECK(store.resolve("a"));
    }
    CHECK(store.remove("a"));
}

TEST_CASE("kernel_store: what a killed process left behind goes away") {
    temp_folder folder;
    kernel_store const store(folder.at("k"));
    REQUIRE(make_entry(store, "a", "1"));
    auto const pid = ::fork();
    if (pid == 0) {
        auto entry = store.stage("b");
        static_cast<void>(entry->put("vmlinux", "vmlinux", bytes_from("half")));
        ::_exit(0); // without the destructor
    }
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    std::size_t const before = [&] {
        std::size_t n = 0;
        for (auto const& e : std::filesystem::directory_iterator(folder.at("k")))
            n += e.path().filename().string().starts_with(".tmp-") ? 1U : 0U;
        return n;
    }();
    CHECK(before == 1);
    REQUIRE(make_entry(store, "c", "1"));
    for (auto const& e : std::filesystem::directory_iterator(folder.at("k")))
        CHECK_FALSE(e.path().filename().string().starts_with(".tmp-"));
    CHECK(*store.keys() == std::vector<std::string>{"a", "c"});
}

TEST_CASE("kernel_store: a full disk leaves the old entry as it was") {
    temp_folder folder;
    kernel_store const store(folder.at("k"));
    REQUIRE(make_entry(store, "a", "1", "first"));
    auto const pid = ::fork();
    if (pid == 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        rlimit const limit{1000, 1000};
        ::setrlimit(RLIMIT_FSIZE, &limit); // a write beyond fails as on a full disk
        auto const made = make_entry(store, "a", "2", std::string(5000, 'x'));
        ::_exit(made ? 1 : 0);
    }
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    CHECK(status == 0);
    CHECK(text_of(store.resolve("a", verify::full)->vmlinux) == "first");
    for (auto const& e : std::filesystem::directory_iterator(folder.at("k")))
        CHECK_FALSE(e.path().filename().string().starts_with(".tmp-"));
}

TEST_CASE("kernel_store: many at once leave one good entry") {
    temp_folder folder;
    kernel_store const store(folder.at("k"));
    std::vector<pid_t> children;
    for (int i = 0; i < 6; ++i) {
        auto const pid = ::fork();
        if (pid == 0) {
            bool good = true;
            for (int round = 0; round < 10; ++round) {
                good = good && make_entry(store, "a", std::to_string(i), "content-" + std::to_string(i)).has_value();
                auto const seen = store.resolve("a", verify::full);
                good = good && seen;
            }
            ::_exit(good ? 0 : 1);
        }
        children.push_back(pid);
    }
    for (auto const pid : children) {
        int status = 0;
        REQUIRE(::waitpid(pid, &status, 0) == pid);
        CHECK(status == 0);
    }
    CHECK(store.resolve("a", verify::full));
    CHECK(store.keys()->size() == 1);
}
