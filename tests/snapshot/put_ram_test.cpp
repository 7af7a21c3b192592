// SPDX-License-Identifier: Apache-2.0
#include "ktstr/snapshot/put_ram.hpp"

#include "ktstr/mem/mmap_memory.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/wait.h>

using namespace ktstr;

namespace {

/// Keeps what was put as (offset, size), and fails from the given call on.
struct list_sink {
    static constexpr bool incremental = false;
    std::vector<std::pair<std::uint64_t, std::size_t>> runs{};
    std::vector<std::byte> first_bytes{};
    std::size_t fail_at = ~std::size_t{0};
    result<> begin(snapshot_header const&) { return {}; }
    result<> put(snapshot_section const& s, std::span<std::byte const> data) {
        if (runs.size() == fail_at)
            return fail(errc::no_space, "list_sink");
        CHECK(s.name == "ram");
        runs.emplace_back(s.offset, data.size());
        first_bytes.push_back(data[0]);
        return {};
    }
    result<> commit() { return {}; }
    void abort() noexcept {}
};
static_assert(SnapshotSink<list_sink>);

std::size_t resident_pages(mapping const& m) {
    std::vector<unsigned char> there(m.size() / snapshot_page);
    REQUIRE(::mincore(m.data(), m.size(), there.data()) == 0);
    return static_cast<std::size_t>(std::count_if(there.begin(), there.end(), [](auto c) { return (c & 1) != 0; }));
}

using runs = std::vector<std::pair<std::uint64_t, std::size_t>>;

mapping plain(std::size_t pages) {
    auto m = mapping::map(pages * snapshot_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    REQUIRE(m);
    ::madvise(m->data(), m->size(), MADV_NOHUGEPAGE);
    return *std::move(m);
}

} // namespace

TEST_CASE("is_zero_page: one bit anywhere is seen") {
    alignas(64) std::array<std::byte, snapshot_page> page{};
    CHECK(is_zero_page(page.data()));
    for (std::size_t i = 0; i < page.size(); i += 7) {
        page[i] = std::byte{0x80};
        CHECK_FALSE(is_zero_page(page.data()));
        page[i] = {};
    }
    page.back() = std::byte{1};
    CHECK_FALSE(is_zero_page(page.data()));
}

TEST_CASE("put_ram: puts runs of pages that hold something, and touches nothing else") {
    auto const m = plain(2000);
    for (std::size_t const page : {3U, 4U, 5U, 700U, 1999U})
        m.data()[page * snapshot_page + 4000] = std::byte{1};
    m.data()[900 * snapshot_page] = std::byte{0}; // touched, still zero
    auto const before = resident_pages(m);
    list_sink sink;
    std::array const views{ram_view{gpa{1 * MiB}, m.span()}};
    auto const counts = put_ram(sink, std::span<ram_view const>(views));
    REQUIRE(counts);
    auto const at = [](std::uint64_t page) { return 1 * MiB + page * snapshot_page; };
    CHECK(sink.runs == runs{{at(3), 3 * snapshot_page}, {at(700), snapshot_page}, {at(1999), snapshot_page}});
    CHECK(*counts == ram_counts{5, 1, 1994});
    CHECK(resident_pages(m) == before);
}

TEST_CASE("put_ram: a forked child sees what was there at the fork, and touches as little") {
    auto const m = plain(600);
    m.data()[5 * snapshot_page] = std::byte{7};
    int fds[2];
    REQUIRE(::pipe(fds) == 0);
    auto const child = ::fork();
    if (child == 0) {
        char go = 0;
        if (::read(fds[0], &go, 1) != 1)
            ::_exit(2);
        list_sink sink;
        std::array const views{ram_view{gpa{0}, m.span()}};
        auto const counts = put_ram(sink, std::span<ram_view const>(views));
        bool const good = counts && *counts == ram_counts{1, 0, 599} && sink.first_bytes[0] == std::byte{7};
        ::_exit(good ? 0 : 1);
    }
    m.data()[5 * snapshot_page] = std::byte{9}; // the child's view keeps 7
    m.data()[6 * snapshot_page] = std::byte{9};
    REQUIRE(::write(fds[1], "g", 1) == 1);
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    ::close(fds[0]);
    ::close(fds[1]);
}

TEST_CASE("put_ram: a memfd's holes are found when it is named, and its pages either way") {
    auto const fd = unique_fd::memfd("put-ram-test");
    REQUIRE(fd);
    REQUIRE(::ftruncate(fd->get(), 1000 * 4096) == 0);
    auto const m = mapping::map(1000 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd->get());
    REQUIRE(m);
    std::byte const one{1};
    REQUIRE(pwrite_all(fd->get(), std::span(&one, 1), 600 * 4096)); // not mapped yet: pagemap would not know it
    REQUIRE(pwrite_all(fd->get(), std::span(&one, 1), 10 * 4096));
    auto const before = resident_pages(*m);
    list_sink sink;
    std::array const named{ram_view{gpa{0}, m->span().subspan(2 * 4096), fd->get(), 2 * 4096}};
    auto counts = put_ram(sink, std::span<ram_view const>(named));
    REQUIRE(counts);
    CHECK(*counts == ram_counts{2, 0, 996});
    CHECK(sink.runs == runs{{8 * 4096, 4096}, {598 * 4096, 4096}});
    CHECK(resident_pages(*m) == before);
    std::array const unnamed{ram_view{gpa{0}, m->span()}};
    list_sink other;
    counts = put_ram(other, std::span<ram_view const>(unnamed));
    REQUIRE(counts);
    CHECK(counts->put == 2);
    CHECK(counts->untouched == 0);
}

TEST_CASE("put_ram: bytes of a file mapped over RAM are put though no page table knows them") {
    auto const fd = unique_fd::memfd("put-ram-test"); // stands for a kernel image
    REQUIRE(fd);
    REQUIRE(::ftruncate(fd->get(), 16 * 4096) == 0);
    std::byte const one{1};
    REQUIRE(pwrite_all(fd->get(), std::span(&one, 1), 3 * 4096));
    auto const m = plain(512);
    REQUIRE(::mmap(m.data() + 100 * 4096, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd->get(), 0) != MAP_FAILED);
    list_sink sink;
    std::array const views{ram_view{gpa{0}, m.span()}};
    auto const counts = put_ram(sink, std::span<ram_view const>(views));
    REQUIRE(counts);
    CHECK(sink.runs == runs{{103 * 4096, 4096}});
}

TEST_CASE("put_ram: long runs are cut, and a sink that fails ends it") {
    auto const pages = ram_run_bytes / snapshot_page * 2 + 3;
    auto const m = plain(pages);
    std::fill(m.span().begin(), m.span().end(), std::byte{1});
    list_sink sink;
    std::array const views{ram_view{gpa{0}, m.span()}};
    REQUIRE(put_ram(sink, std::span<ram_view const>(views)));
    CHECK(sink.runs == runs{{0, ram_run_bytes}, {ram_run_bytes, ram_run_bytes}, {2 * ram_run_bytes, 3 * snapshot_page}});
    list_sink full;
    full.fail_at = 1;
    CHECK(put_ram(full, std::span<ram_view const>(views)).error().code == errc::no_space);
    CHECK(full.runs.size() == 1);
    std::array const odd{ram_view{gpa{1}, m.span()}};
    CHECK(put_ram(sink, std::span<ram_view const>(odd)).error().code == errc::invalid_argument);
}

TEST_CASE("put_ram: takes all regions of a machine's memory") {
    auto memory = mmap_memory::make({{{gpa{0}, bytes{1 * MiB}}, 0, bytes{0}}, {{gpa{4 * GiB}, bytes{1 * MiB}}, 0, bytes{1 * MiB}}});
    REQUIRE(memory);
    REQUIRE(store_guest(*memory, gpa{4096}, std::uint64_t{1}));
    REQUIRE(store_guest(*memory, gpa{4 * GiB + 8192}, std::uint64_t{1}));
    list_sink sink;
    REQUIRE(put_ram(sink, *memory));
    CHECK(sink.runs == runs{{4096, 4096}, {4 * GiB + 8192, 4096}});
}
