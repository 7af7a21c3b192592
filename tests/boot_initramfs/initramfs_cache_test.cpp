// SPDX-License-Identifier: Apache-2.0
#include "ktstr/boot/initramfs_cache.hpp"

#include "suites/initramfs_placement_suite.hpp"

#include <csignal>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <vector>

using namespace ktstr;

namespace {
/// A folder of its own that goes away with its files.
struct scratch {
    std::string path = "/tmp/ktstr-initramfs-test-XXXXXX";
    scratch() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
    ~scratch() {
        for (auto const& name : names())
            ::unlink((path + '/' + name).c_str());
        ::rmdir(path.c_str());
    }
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> out;
        DIR* const dir = ::opendir(path.c_str());
        while (dirent const* const e = ::readdir(dir)) {
            if (e->d_name[0] != '.')
                out.emplace_back(e->d_name);
        }
        ::closedir(dir);
        return out;
    }
};

std::span<std::byte const> raw(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

initramfs_builder files_of(std::string_view content) {
    initramfs_builder b;
    REQUIRE(b.add_file("init", 0755, std::vector<std::byte>(raw(content).begin(), raw(content).end())));
    return b;
}
std::vector<std::byte> suffix() { return *make_initramfs_suffix(raw("plan")); }
} // namespace

TEST_CASE("initramfs_cache: built once, found afterwards, the same bytes") {
    scratch const folder;
    initramfs_cache const cache(folder.path);
    auto const files = files_of("binary");
    auto const first = cache.get(files, store_only{}, suffix());
    REQUIRE(first);
    CHECK(first->origin == initramfs_origin::built);
    CHECK(first->image.file);
    auto const second = cache.get(files, store_only{}, suffix());
    REQUIRE(second);
    CHECK(second->origin == initramfs_origin::cached);
    CHECK(std::ranges::equal(first->image.base, second->image.base));
    auto const plain = *files.archive();
    CHECK(std::ranges::equal(second->image.base.first(plain.size()), plain));
    CHECK(second->image.unpacked_base == bytes{plain.size()});
    CHECK(folder.names().size() == 1);
    test::initramfs_placement_suite<map_placement>(second->image);
    test::initramfs_placement_suite<copy_placement>(second->image);

    auto const other = cache.get(files_of("binary2"), store_only{}, suffix());
    REQUIRE(other);
    CHECK(other->origin == initramfs_origin::built);
    CHECK(folder.names().size() == 2);
}

TEST_CASE("initramfs_cache: an entry damaged at any page, cut or swapped is noticed and rebuilt") {
    scratch const folder;
    initramfs_cache const cache(folder.path);
    auto const files = files_of(std::string(10000, 'x'));
    REQUIRE(cache.get(files, store_only{}, suffix()));
    auto const path = cache.path_of(files.key(), store_only{});
    struct stat st {};
    REQUIRE(::stat(path.c_str(), &st) == 0);
    auto const damage = [&](off_t at) {
        auto const fd = unique_fd::open(path.c_str(), O_RDWR);
        REQUIRE(fd);
        char byte = 0;
        REQUIRE(::pread(fd->get(), &byte, 1, at) == 1);
        byte = static_cast<char>(byte ^ 0x10);
        REQUIRE(::pwrite(fd->get(), &byte, 1, at) == 1);
    };
    for (off_t const at : {off_t{0}, off_t{5000}, st.st_size - 4096, st.st_size - 4096 + 9, st.st_size - 4096 + 20,
                           st.st_size - 4096 + 33, st.st_size - 4096 + 60}) {
        damage(at);
        auto const again = cache.get(files, store_only{}, suffix());
        REQUIRE(again);
        CHECK(again->origin == initramfs_origin::rebuilt);
        CHECK(cache.get(files, store_only{}, suffix())->origin == initramfs_origin::cached);
    }
    for (off_t const size : {off_t{0}, off_t{100}, off_t{4096}, off_t{8192}, st.st_size - 1, st.st_size + 4096}) {
        REQUIRE(::truncate(path.c_str(), size) == 0);
        auto const again = cache.get(files, store_only{}, suffix());
        REQUIRE(again);
        CHECK(again->origin == initramfs_origin::rebuilt);
    }
    auto const other = files_of("other");
    REQUIRE(cache.get(other, store_only{}, suffix()));
    REQUIRE(::rename(cache.path_of(other.key(), store_only{}).c_str(), path.c_str()) == 0);
    auto const swapped = cache.get(files, store_only{}, suffix());
    CHECK(swapped->origin == initramfs_origin::rebuilt);
    CHECK(swapped->why.where == "initramfs.cache.key");
}

TEST_CASE("initramfs_cache: a cache that cannot be written gives an image all the same, and old entries survive") {
    scratch const folder;
    initramfs_cache const cache(folder.path);
    auto const old = files_of("old");
    REQUIRE(cache.get(old, store_only{}, suffix()));

    SUBCASE("no such folder") {
        auto const image = initramfs_cache(folder.path + "/none").get(old, store_only{}, suffix());
        REQUIRE(image);
        CHECK(image->origin == initramfs_origin::unsaved);
        CHECK(image->why.code == errc::not_found);
        CHECK_FALSE(image->image.file);
        test::initramfs_placement_suite<map_placement>(image->image);
    }
    SUBCASE("the disk is full") { // A file size limit stands in for it: write(2) fails in the same place.
        rlimit saved{};
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &saved) == 0);
        auto* const handler = ::signal(SIGXFSZ, SIG_IGN);
        rlimit const small{5000, saved.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
        auto const image = cache.get(files_of("new"), store_only{}, suffix());
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &saved) == 0);
        ::signal(SIGXFSZ, handler);
        REQUIRE(image);
        CHECK(image->origin == initramfs_origin::unsaved);
        CHECK(image->why.os_errno == EFBIG);
        CHECK(folder.names().size() == 1); // No temporary file stays.
        CHECK(cache.get(old, store_only{}, suffix())->origin == initramfs_origin::cached);
    }
}

TEST_CASE("initramfs_cache: only the most recently used entries stay; an open image outlives its entry") {
    scratch const folder;
    initramfs_cache const cache(folder.path, 2);
    auto const first = cache.get(files_of("0"), store_only{}, suffix());
    REQUIRE(first);
    for (char const* content : {"1", "2", "3"}) {
        auto const files = files_of(content);
        REQUIRE(cache.get(files, store_only{}, suffix()));
        // Order by use, without waiting for the file system's clock to move on.
        timespec const times[2] = {{1000 + content[0], 0}, {1000 + content[0], 0}};
        REQUIRE(::utimensat(AT_FDCWD, cache.path_of(files.key(), store_only{}).c_str(), times, 0) == 0);
    }
    CHECK(folder.names().size() == 2);
    CHECK(cache.get(files_of("3"), store_only{}, suffix())->origin == initramfs_origin::cached);
    test::initramfs_placement_suite<map_placement>(first->image);
}

TEST_CASE("initramfs_cache: threads that want the same image at once all get it, and one entry is left") {
    scratch const folder;
    auto const files = files_of(std::string(300000, 'q'));
    auto const expected = *files.archive();
    std::vector<std::thread> threads;
    std::vector<int> good(4);
    for (auto& ok : good) {
        threads.emplace_back([&folder, &files, &expected, &ok] {
            initramfs_cache const cache(folder.path);
            for (int i = 0; i < 20; ++i) {
                auto const image = cache.get(files, store_only{}, suffix());
                ok += image && image->origin != initramfs_origin::unsaved && image->origin != initramfs_origin::rebuilt &&
                      std::ranges::equal(image->image.base.first(expected.size()), expected);
            }
        });
    }
    for (auto& t : threads)
        t.join();
    for (auto const ok : good)
        CHECK(ok == 20);
    CHECK(folder.names().size() == 1);
}
