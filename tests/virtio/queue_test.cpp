// SPDX-License-Identifier: Apache-2.0
#include "ktstr/virtio/queue.hpp"

#include "virtio/driver.hpp"

#include <doctest/doctest.h>

using namespace ktstr;
using namespace ktstr::test;

namespace {
/// A queue of 8 entries in RAM, and the driver's hands on it.
struct fixture {
    guest_ram ram;
    driver<int> guest{dummy, ram}; // only its ring functions are used
    driver_queue q;
    split_queue ring;
    descriptor_chain chain;
    int dummy = 0;

    fixture() {
        q.size = 8;
        q.desc = ram.allocate(virtq_desc_bytes(8), 16);
        q.avail = ram.allocate(virtq_avail_bytes(8), 2);
        q.used = ram.allocate(virtq_used_bytes(8), 4);
        REQUIRE(ring.enable(ram.memory, layout(), 256));
    }
    virtq_layout layout() { return {q.size, q.desc, q.avail, q.used}; }
    result<bool> pop() { return ring.pop(ram.memory, chain); }
    void expect_fault(std::string_view where) {
        auto const got = pop();
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::guest_fault);
        CHECK(got.error().where == where);
        CHECK(ring.taken() == 0);
    }
};
constexpr std::uint16_t next_flag = virtq_desc_flag::next, write_flag = virtq_desc_flag::write,
                        indirect_flag = virtq_desc_flag::indirect;
} // namespace

TEST_CASE_FIXTURE(fixture, "split_queue: a chain comes out as the driver put it in, and goes back") {
    auto const a = ram.place("hello ");
    ram.allocate(1);
    auto const b = ram.place("world");
    auto const c = ram.allocate(32);
    CHECK(*pop() == false);
    auto const head = guest.add(q, {{a, 6, false}, {b, 5, false}, {c, 32, true}});
    CHECK(*ring.waiting() == 1);
    CHECK(*pop() == true);
    CHECK(chain.head() == head);
    CHECK(chain.readable().size() == 2);
    CHECK(chain.readable_bytes() == 11);
    CHECK(chain.writable().size() == 1);
    CHECK(chain.writable_bytes() == 32);
    std::array<std::byte, 64> copy{};
    CHECK(chain.copy_out(copy) == 11);
    CHECK(std::memcmp(copy.data(), "hello world", 11) == 0);
    std::array<std::byte, 3> front{};
    CHECK(chain.copy_out(front) == 3);
    CHECK_FALSE(guest.get_used(q));
    ring.push(chain.head(), 7);
    auto const used = guest.get_used(q);
    REQUIRE(used);
    CHECK(used->head == head);
    CHECK(used->length == 7);
    CHECK(*pop() == false);
}

TEST_CASE_FIXTURE(fixture, "split_queue: indices run over 65535 and around the ring") {
    auto const at = ram.place("x");
    for (int i = 0; i < 70000; ++i) {
        auto const head = guest.add(q, {{at, 1, false}});
        auto const got = pop();
        bool const sound = got && *got && chain.head() == head;
        REQUIRE(sound);
        ring.push(head, static_cast<std::uint32_t>(i));
        auto const used = guest.get_used(q);
        bool const returned = used && used->head == head && used->length == static_cast<std::uint32_t>(i);
        REQUIRE(returned);
    }
    CHECK(ring.taken() == 70000 % 65536);
    CHECK(ring.returned() == 70000 % 65536);
}

TEST_CASE_FIXTURE(fixture, "split_queue: adjacent buffers become one segment, directions stay apart") {
    auto const at = ram.allocate(64);
    guest.add(q, {{at, 16, false}, {at + 16, 16, false}, {at + 32, 16, true}, {at + 48, 16, true}});
    CHECK(*pop());
    CHECK(chain.readable().size() == 1);
    CHECK(chain.readable()[0].size() == 32);
    CHECK(chain.writable().size() == 1);
    CHECK(chain.writable()[0].size() == 32);
}

TEST_CASE_FIXTURE(fixture, "split_queue: a full ring of single buffers and a chain as long as the queue are fine") {
    auto const at = ram.allocate(8);
    for (int i = 0; i < 8; ++i)
        guest.add(q, {{at, 1, false}});
    for (int i = 0; i < 8; ++i)
        CHECK(*pop());
    CHECK(*pop() == false);
    guest.add(q, {{at, 1, false}, {at, 1, false}, {at, 1, false}, {at, 1, false},
                  {at, 1, false}, {at, 1, false}, {at, 1, false}, {at, 1, false}});
    CHECK(*pop());
    CHECK(chain.readable_bytes() == 8);
}

TEST_CASE_FIXTURE(fixture, "split_queue: empty buffers are allowed, wherever they point") {
    guest.add(q, {{gpa{~std::uint64_t{0}}, 0, false}, {gpa{0}, 0, true}});
    CHECK(*pop());
    CHECK(chain.readable().empty());
    CHECK(chain.writable().empty());
}

TEST_CASE_FIXTURE(fixture, "split_queue: the available index must not run ahead of the ring") {
    guest.set_avail_idx(q, 8);
    CHECK(*ring.waiting() == 8);
    guest.set_avail_idx(q, 9);
    expect_fault("virtq.avail.idx");
    guest.set_avail_idx(q, 0xffff); // backwards
    expect_fault("virtq.avail.idx");
}

TEST_CASE_FIXTURE(fixture, "split_queue: a head or a next outside the table is a fault") {
    guest.make_available(q, 8);
    expect_fault("virtq.head");
    guest.set_descriptor(q, 0, ram.allocate(1), 1, next_flag, 8);
    guest.set_avail_idx(q, 0);
    guest.make_available(q, 0);
    expect_fault("virtq.next");
}

TEST_CASE_FIXTURE(fixture, "split_queue: a chain that loops ends in a fault") {
    auto const at = ram.allocate(1);
    guest.set_descriptor(q, 3, at, 1, next_flag, 4);
    guest.set_descriptor(q, 4, at, 1, next_flag, 3);
    guest.make_available(q, 3);
    expect_fault("virtq.loop");
    guest.set_descriptor(q, 3, at, 0, next_flag, 3); // and one that carries nothing
    expect_fault("virtq.loop");
}

TEST_CASE_FIXTURE(fixture, "split_queue: what the device reads comes before what it writes") {
    auto const at = ram.allocate(2);
    guest.set_descriptor(q, 0, at, 1, write_flag | next_flag, 1);
    guest.set_descriptor(q, 1, at + 1, 1, 0);
    guest.make_available(q, 0);
    expect_fault("virtq.order");
}

TEST_CASE_FIXTURE(fixture, "split_queue: buffers outside RAM are faults, at both ends and across the top") {
    for (gpa const at : {gpa{0}, gpa{guest_ram::base - 1}, ram.end(), gpa{ram.end().raw - 1}, gpa{~std::uint64_t{0}},
                         gpa{~std::uint64_t{0} - 0xfff}}) {
        guest.set_avail_idx(q, 0);
        guest.set_descriptor(q, 0, at, 2, 0);
        guest.make_available(q, 0);
        expect_fault("virtq.buffer");
    }
}

TEST_CASE_FIXTURE(fixture, "split_queue: a chain carries at most virtq_max_chain_bytes") {
    guest.add(q, {{gpa{guest_ram::base}, 1 << 20, false}});
    CHECK(*pop());
    ring.disable();
    guest.set_avail_idx(q, 0);
    REQUIRE(ring.enable(ram.memory, layout(), 256));
    guest.add(q, {{gpa{guest_ram::base}, 1 << 20, false}, {gpa{guest_ram::base}, 1, true}});
    expect_fault("virtq.length");
    guest.set_avail_idx(q, 0);
    guest.add(q, {{gpa{guest_ram::base}, 0xffffffff, false}});
    expect_fault("virtq.length");
}

TEST_CASE_FIXTURE(fixture, "split_queue: an indirect table is one level, last, whole and in RAM") {
    auto const at = ram.place("indirect");
    auto const table = ram.allocate(16 * 4);
    auto const row = [&](unsigned i, std::uint32_t length, std::uint16_t flags, std::uint16_t to) {
        (void)store_guest(ram.memory, table + 16ull * i, virtq_desc{at.raw, length, flags, to});
    };
    row(0, 2, next_flag, 2);
    row(2, 6, 0, 0);
    auto const offer = [&](gpa where, std::uint32_t length, unsigned flags) {
        guest.set_avail_idx(q, 0);
        guest.set_descriptor(q, 0, where, length, static_cast<std::uint16_t>(flags), 1);
        guest.make_available(q, 0);
    };
    offer(table, 0, indirect_flag);
    expect_fault("virtq.indirect");
    offer(table, 17, indirect_flag);
    expect_fault("virtq.indirect");
    offer(table, 0xfffffff0, indirect_flag);
    expect_fault("virtq.indirect");
    offer(table, 64, indirect_flag | next_flag);
    expect_fault("virtq.indirect");
    offer(gpa{16}, 64, indirect_flag);
    expect_fault("virtq.indirect.table");
    offer(table, 32, indirect_flag); // entry 2 is behind its end
    expect_fault("virtq.next");
    (void)store_guest(ram.memory, table + 32, virtq_desc{table.raw, 64u, indirect_flag, 0}); // into itself
    offer(table, 64, indirect_flag);
    expect_fault("virtq.indirect");
    row(2, 6, next_flag, 0);
    offer(table, 64, indirect_flag);
    expect_fault("virtq.loop");
    row(2, 6, write_flag, 0);
    offer(table, 64, indirect_flag | write_flag); // the write flag of the table itself means nothing
    CHECK(*pop());
    CHECK(chain.readable_bytes() == 2);
    CHECK(chain.writable_bytes() == 6);
}

TEST_CASE_FIXTURE(fixture, "split_queue: a direct part may precede the indirect one") {
    auto const at = ram.place("ab");
    auto const table = ram.allocate(16);
    (void)store_guest(ram.memory, table, virtq_desc{(at + 1).raw, 1u, 0, 0});
    guest.set_descriptor(q, 0, at, 1, next_flag, 5);
    guest.set_descriptor(q, 5, table, 16, indirect_flag);
    guest.make_available(q, 0);
    CHECK(*pop());
    CHECK(chain.readable_bytes() == 2);
}

TEST_CASE_FIXTURE(fixture, "split_queue: enable refuses sizes and places that cannot be, and stays disabled") {
    auto const refused = [&](virtq_layout bad, std::string_view where) {
        auto const done = ring.enable(ram.memory, bad, 16);
        REQUIRE_FALSE(done);
        CHECK(done.error().code == errc::guest_fault);
        CHECK(done.error().where == where);
        CHECK_FALSE(ring.enabled());
        CHECK(*ring.waiting() == 0);
        CHECK(*pop() == false);
        CHECK_FALSE(ring.wants_interrupt());
        ring.push(0, 0); // must not touch anything
    };
    auto with = [&](auto change) {
        auto l = layout();
        change(l);
        return l;
    };
    for (int const size : {0, 3, 12, 32, 65535, 32768})
        refused(with([&](auto& l) { l.size = static_cast<std::uint16_t>(size); }), "virtq.size");
    refused(with([](auto& l) { l.desc = l.desc + 8; }), "virtq.desc");
    refused(with([](auto& l) { l.avail = l.avail + 1; }), "virtq.avail");
    refused(with([](auto& l) { l.used = l.used + 2; }), "virtq.used");
    refused(with([&](auto& l) { l.desc = gpa{ram.end().raw - 112}; }), "virtq.desc");
    refused(with([&](auto& l) { l.avail = gpa{ram.end().raw - 20}; }), "virtq.avail");
    refused(with([&](auto& l) { l.used = gpa{ram.end().raw - 68}; }), "virtq.used");
    refused(with([](auto& l) { l.used = gpa{0}; }), "virtq.used");
    refused(with([](auto& l) { l.desc = gpa{~std::uint64_t{15}}; }), "virtq.desc");
    REQUIRE(ring.enable(ram.memory, layout(), 16));
    CHECK(ring.enabled());
}

TEST_CASE_FIXTURE(fixture, "split_queue: rings are aligned where the guest sees them and where we do") {
    // RAM whose host address is 2 bytes off what the guest address says
    buffer_memory const off(ram.all().subspan(2), gpa{guest_ram::base});
    CHECK(ring.enable(off, layout(), 16).error().where == "virtq.desc");
    auto shifted = layout();
    shifted.desc = gpa{shifted.desc.raw - 2 + 16};
    CHECK(ring.enable(off, shifted, 16).error().where == "virtq.desc");
    REQUIRE(ring.enable(ram.memory, layout(), 16));
}

TEST_CASE_FIXTURE(fixture, "split_queue: the driver's flag decides about interrupts") {
    CHECK(ring.wants_interrupt());
    guest.set_avail_flags(q, virtq_avail_no_interrupt);
    CHECK_FALSE(ring.wants_interrupt());
}

namespace {
/// RAM in two pieces that touch in guest physical space and nowhere else.
struct split_memory {
    std::span<std::byte> low, high;
    gpa base{guest_ram::base};
    result<std::span<std::byte>> slice(gpa at, std::uint64_t n) const noexcept {
        if (at >= base && fits(at - base, n, low.size()))
            return low.subspan(at - base, n);
        if (at >= base + low.size() && fits(at - base - low.size(), n, high.size()))
            return high.subspan(at - base - low.size(), n);
        return fail(errc::out_of_range, "split_memory", at.raw);
    }
};
static_assert(GuestMemory<split_memory>);
} // namespace

TEST_CASE_FIXTURE(fixture, "split_queue: a buffer may cross from one region of RAM to the next") {
    auto const all = ram.all();
    split_memory const memory{all.first(1 << 20), all.subspan(2 << 20, 1 << 20)};
    auto const border = gpa{guest_ram::base + (1 << 20)};
    guest.add(q, {{gpa{border.raw - 5000}, 10000, false}, {gpa{border.raw - 1}, 2, true}});
    auto const got = ring.pop(memory, chain);
    REQUIRE(got);
    CHECK(chain.readable_bytes() == 10000);
    REQUIRE(chain.readable().size() == 2);
    CHECK(chain.readable()[0].size() == 5000);
    CHECK(chain.readable()[1].data() == memory.high.data());
    CHECK(chain.readable()[1].size() == 5000);
    CHECK(chain.writable().size() == 2);
    auto const end = gpa{border.raw + (1 << 20)};
    guest.add(q, {{gpa{end.raw - 5000}, 10000, false}});
    CHECK(ring.pop(memory, chain).error().where == "virtq.buffer");
}
