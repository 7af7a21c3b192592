// SPDX-License-Identifier: Apache-2.0
#include "ktstr/freeze/watch_resolve.hpp"

#include <doctest/doctest.h>
#include <vector>

using namespace ktstr;

namespace {

struct few_symbols {
    std::vector<symbol> all{
        {"per_cpu_counter", gva{0x1234}, 'D', true},
        {"image_counter", gva{0xffffffff82000000}, 'D', false},
        {"odd", gva{0xffffffff82000003}, 'd', false},
        {"schedule", gva{0xffffffff81000000}, 'T', false},
        {"twice", gva{0xffffffff82000100}, 'd', false},
        {"twice", gva{0xffffffff82000200}, 'd', false},
        {"last", gva{0xfffffffffffffff8}, 'd', false},
        {"__per_cpu_start", gva{0xffffffff83000000}, 'D', false},
        {"per_cpu_in_image", gva{0xffffffff83000010}, 'D', false},
        {"__per_cpu_end", gva{0xffffffff83001000}, 'D', false},
        {"behind_per_cpu", gva{0xffffffff83001000}, 'D', false},
        {"unmapped", gva{0xffffffff90000000}, 'd', false},
    };
    [[nodiscard]] std::optional<symbol> find(std::string_view name) const noexcept {
        for (auto const& s : all)
            if (s.name == name)
                return s;
        return std::nullopt;
    }
    [[nodiscard]] std::optional<symbol_offset> nearest(gva) const noexcept { return std::nullopt; }
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (auto const& s : all)
            if (!visit(s))
                return;
    }
    [[nodiscard]] std::size_t size() const noexcept { return all.size(); }
};
static_assert(SymbolSource<few_symbols>);

result<gpa> place(gva at) {
    if (at.raw >= 0xffffffff90000000)
        return fail(errc::not_found, "paging.entry", at.raw);
    return gpa{at.raw - 0xffffffff80000000};
}
result<watch_request> resolve(std::string_view text, std::string_view tag = {}) { return resolve_watch(text, few_symbols{}, place, tag); }

} // namespace

TEST_CASE("watch resolve: a variable gets its address, its place, and its name as a tag") {
    auto const got = resolve("image_counter+8:8 != 5");
    REQUIRE(got);
    CHECK(got->address == gva{0xffffffff82000008});
    CHECK(got->place == gpa{0x2000008});
    CHECK(got->size == 8);
    CHECK(got->when == watch_predicate{watch_op::not_equal, 5});
    CHECK(got->tag == "image_counter");
    CHECK(resolve("image_counter", "mine")->tag == "mine");
    CHECK(resolve("behind_per_cpu"));
    CHECK(resolve("odd:1"));
    CHECK(resolve("odd+1:4"));
}

TEST_CASE("watch resolve: what is refused, and the words for it") {
    struct row {
        std::string_view text, words;
    };
    for (auto const& r : {row{"nobody", "the kernel has no such symbol"}, row{"", "no symbol's name"},
                          row{"per_cpu_counter", "a per-CPU variable has no single address"}, row{"per_cpu_in_image:8", "a per-CPU variable has no single address"}, row{"odd:2", "not aligned to its size"},
                          row{"image_counter+2", "not aligned to its size"}, row{"schedule", "a function, not a variable"},
                          row{"twice", "several symbols have this name"}, row{"last+8", "not an address of the kernel"},
                          row{"image_counter+0x8000000000000000", "not an address of the kernel"},
                          row{"unmapped", "it cannot be watched"}, row{"image_counter:3", "the size must be 1, 2, 4 or 8"},
                          row{"image_counter=1", "expected one of == != < > & and a number"}}) {
        CAPTURE(r.text);
        auto const got = resolve(r.text);
        REQUIRE(!got);
        CHECK(watch_reason(got.error()) == r.words);
    }
    CHECK(resolve("twice").error().value == 2);
    CHECK(resolve("unmapped").error().where == "paging.entry");
    watch_set set;
    for (int i = 0; i < 3; ++i)
        CHECK(set.arm(*resolve("image_counter")));
    CHECK(watch_reason(set.arm(*resolve("image_counter")).error()) == "all three watchpoints are taken");
}
