// SPDX-License-Identifier: Apache-2.0
#include "ktstr/virtio/console/device.hpp"

#include "suites/port_host_suite.hpp"
#include "suites/virtio_device_suite.hpp"
#include "virtio/driver.hpp"

#include <algorithm>
#include <array>
#include <doctest/doctest.h>
#include <map>
#include <string>
#include <thread>
#include <vector>

using namespace ktstr;
using namespace ktstr::test;
using event = virtio_console_event;

namespace {
/// Records everything, and can be told to make the guest wait.
struct recording_host {
    std::map<std::uint32_t, std::string> output;
    std::vector<std::pair<std::uint32_t, bool>> opened;
    bool ready = true;
    void on_output(std::uint32_t port, std::span<std::byte const> data) noexcept {
        output[port].append(reinterpret_cast<char const*>(data.data()), data.size());
    }
    void on_open(std::uint32_t port, bool open) noexcept { opened.emplace_back(port, open); }
    bool ready_for(std::uint32_t) noexcept { return ready; }
};
using console = virtio_console<buffer_memory, recording_host, counting_irq>;

struct bare {
    guest_ram ram;
    console device_{ram.memory};
    console& device() { return device_; }
};

/// What the guest's driver reads from the control queue.
struct notice {
    std::uint32_t id = 0;
    event what{};
    std::uint16_t value = 0;
    std::string tail;
    bool operator==(notice const&) const = default;
};

struct fixture : bare {
    virtio_mmio<console> mmio{device_};
    driver<virtio_mmio<console>> guest{mmio, ram};
    std::map<std::uint32_t, gpa> posted; // control buffers by head
    static constexpr std::uint64_t all = ~std::uint64_t{0};

    driver_queue& q(std::uint32_t index) { return guest.queues[index]; }
    recording_host& host() { return device_.host(); }

    void post_control(int count = 4, std::uint32_t length = 4096) {
        for (int i = 0; i < count; ++i) {
            auto const at = ram.allocate(length);
            posted[guest.add(q(2), {{at, length, true}})] = at;
            guest.kick(2); // linux add_inbuf kicks for each
        }
    }
    void send(std::uint32_t id, event what, std::uint16_t value) {
        virtio_console_control const m{id, static_cast<std::uint16_t>(what), value};
        auto const at = ram.allocate(sizeof m);
        (void)store_guest(ram.memory, at, m);
        guest.add(q(3), {{at, sizeof m, false}});
        guest.kick(3);
        CHECK(guest.get_used(q(3)).has_value());
    }
    std::vector<notice> notices() {
        std::vector<notice> out;
        while (auto const used = guest.get_used(q(2))) {
            auto const at = posted[used->head];
            auto const m = *load_guest<virtio_console_control>(ram.memory, at);
            out.push_back({m.id, static_cast<event>(m.event.get()), m.value,
                           ram.text(at + sizeof m, used->length - sizeof m)});
        }
        return out;
    }
    /// From power-on to both ports open, as Linux goes.
    void boot() {
        REQUIRE(guest.bring_up(all));
        post_control(16);
        send(~0u, event::device_ready, 1);
        for (std::uint32_t port : {0u, 1u})
            send(port, event::port_ready, 1);
        for (std::uint32_t port : {0u, 1u})
            send(port, event::port_open, 1);
        notices();
    }
    gpa post_input(std::uint32_t port, std::uint32_t length) {
        auto const at = ram.allocate(length);
        guest.add(q(console::rx_queue(port)), {{at, length, true}});
        guest.kick(console::rx_queue(port));
        return at;
    }
    void write(std::uint32_t port, std::string_view text, bool kick = true) {
        guest.add(q(console::tx_queue(port)), {{ram.place(text), static_cast<std::uint32_t>(text.size()), false}});
        if (kick)
            guest.kick(console::tx_queue(port));
    }
    std::size_t push(std::uint32_t port, std::string_view text) {
        return *device_.push_input(port, std::as_bytes(std::span(text)));
    }
};
} // namespace

TEST_CASE_TEMPLATE_INVOKE(virtio_device_suite, bare);
TEST_CASE_TEMPLATE_INVOKE(virtio_device_return_suite, bare);
TEST_CASE_TEMPLATE_INVOKE(virtio_device_fault_suite, bare);
TEST_CASE_TEMPLATE_INVOKE(virtio_device_config_suite, bare);
TEST_CASE_TEMPLATE_INVOKE(virtio_device_garbage_suite, bare);
TEST_CASE_TEMPLATE_INVOKE(port_host_suite, recording_host);

TEST_CASE("virtio_console: queues are numbered as the specification says") {
    CHECK(console::queue_count == 6);
    CHECK(console::rx_queue(0) == 0);
    CHECK(console::tx_queue(0) == 1);
    CHECK(console::rx_queue(1) == 4);
    CHECK(console::tx_queue(1) == 5);
    CHECK(console::rx_queue(2) == 6);
    CHECK(console::tx_queue(2) == 7);
    for (std::uint16_t queue = 0; queue < console::queue_count; ++queue)
        CHECK(console::driver_spins_on(queue) == (queue == 1 || queue == 3));
}

TEST_CASE_FIXTURE(fixture, "virtio_console: identity and configuration") {
    CHECK(guest.get(virtio_mmio_reg::device_id) == 3);
    CHECK(guest.offered() == (1ull << 32 | 1ull << 28 | 3));
    device_.resize({132, 43});
    CHECK(guest.get(0x100) == (43u << 16 | 132u));
    CHECK(guest.get(0x104) == 2);
    CHECK(guest.get(0x108) == 0);
    CHECK(guest.get(0x10c) == 0);
    std::array<std::byte, 1> one{};
    mmio.read(0x104, one); // configuration takes any width
    CHECK(one[0] == std::byte{2});
    std::array<std::byte, 8> eight{};
    mmio.read(0x100, eight);
    CHECK(eight[4] == std::byte{2});
    guest.put(0x104, 77);
    CHECK(guest.get(0x104) == 2);
}

TEST_CASE_FIXTURE(fixture, "virtio_console: the conversation with Linux, message by message") {
    REQUIRE(guest.bring_up(all));
    post_control();
    CHECK(notices().empty());
    send(~0u, event::device_ready, 1);
    CHECK(notices() == std::vector<notice>{{0, event::device_add, 1, ""}, {1, event::device_add, 1, ""}});
    send(0, event::port_ready, 1);
    CHECK(notices() == std::vector<notice>{{0, event::console_port, 1, ""}, {0, event::port_open, 1, ""}});
    post_control();
    send(1, event::port_ready, 1);
    CHECK(notices() == std::vector<notice>{{1, event::port_name, 1, "ktstr.msg"}, {1, event::port_open, 1, ""}});
    CHECK(host().opened.empty());
    send(0, event::port_open, 1);
    send(1, event::port_open, 1);
    CHECK(host().opened == std::vector<std::pair<std::uint32_t, bool>>{{0, true}, {1, true}});
    send(1, event::port_open, 0);
    send(1, event::port_open, 0); // again: no news
    CHECK(host().opened.size() == 3);
    CHECK(host().opened.back() == std::pair<std::uint32_t, bool>{1, false});
    CHECK(device_.ignored_messages() == 0);
}

TEST_CASE_FIXTURE(fixture, "virtio_console: messages wait for buffers and however often asked for are owed once") {
    REQUIRE(guest.bring_up(all));
    for (int i = 0; i < 1000; ++i) {
        send(~0u, event::device_ready, 1);
        send(0, event::port_ready, 1);
        send(1, event::port_ready, 1);
    }
    // PORT_READY supersedes what was owed before; ADD is owed again by the next DEVICE_READY only.
    post_control(16);
    auto const got = notices();
    CHECK(got.size() == 4);
    post_control(16);
    CHECK(notices().empty());
}

TEST_CASE_FIXTURE(fixture, "virtio_console: a control buffer that is too short comes back empty, the message waits") {
    REQUIRE(guest.bring_up(all));
    send(1, event::port_ready, 1);
    post_control(1, 12); // the name needs 17
    auto const used = guest.get_used(q(2));
    REQUIRE(used);
    CHECK(used->length == 0);
    post_control(2);
    CHECK(notices() == std::vector<notice>{{1, event::port_name, 1, "ktstr.msg"}, {1, event::port_open, 1, ""}});
}

TEST_CASE_FIXTURE(fixture, "virtio_console: control messages that make no sense are counted and change nothing") {
    boot();
    auto const opened = host().opened.size();
    send(2, event::port_open, 1);           // no such port
    send(~0u, event::port_ready, 1);        // no such port
    send(0, static_cast<event>(99), 1);     // no such message
    send(0, event::device_add, 1);          // ours to send
    guest.add(q(3), {{ram.allocate(8), 7, false}}); // too short
    guest.add(q(3), {{ram.allocate(8), 8, true}});  // nothing to read
    guest.kick(3);
    CHECK(device_.ignored_messages() == 6);
    CHECK(host().opened.size() == opened);
    CHECK(guest.status() == 0x0f);
    post_control(4);
    CHECK(notices().empty());
}

TEST_CASE_FIXTURE(fixture, "virtio_console: output arrives whole and in order, whatever its shape") {
    boot();
    write(0, "one ");
    write(1, "two");
    write(0, "three");
    CHECK(host().output[0] == "one three");
    CHECK(host().output[1] == "two");
    // larger than the device's copy buffer, in odd pieces, through an indirect table
    std::string big;
    for (int i = 0; i < 100000; ++i)
        big += static_cast<char>('a' + i % 23);
    auto const at = ram.place(big);
    auto const table = ram.allocate(16 * 4);
    std::array<std::uint32_t, 4> const cuts{1, 16384, 16383, 100000 - 1 - 16384 - 16383};
    std::uint64_t from = at.raw;
    for (std::uint16_t i = 0; i < 4; ++i) {
        virtq_desc const d{from, cuts[i], static_cast<std::uint16_t>(i < 3 ? virtq_desc_flag::next : 0),
                           static_cast<std::uint16_t>(i + 1)};
        (void)store_guest(ram.memory, table + 16ull * i, d);
        from += cuts[i];
    }
    auto& tx = q(console::tx_queue(1));
    guest.set_descriptor(tx, tx.next_desc, table, 64, virtq_desc_flag::indirect);
    guest.make_available(tx, tx.next_desc);
    host().output.clear();
    guest.kick(console::tx_queue(1));
    CHECK(host().output[1] == big);
    CHECK(device_.report(1).from_guest == big.size() + 3);
}

TEST_CASE_FIXTURE(fixture, "virtio_console: one notification serves all that waits with one interrupt") {
    boot();
    auto const edges = device_.core().irq().count;
    for (int i = 0; i < 10; ++i)
        write(0, "x", false);
    CHECK(host().output[0].empty());
    mmio.queue_notify(console::tx_queue(0));
    CHECK(host().output[0] == "xxxxxxxxxx");
    CHECK(device_.core().irq().count == edges + 1);
    for (int i = 0; i < 10; ++i)
        CHECK(guest.get_used(q(1)).has_value());
}

TEST_CASE_FIXTURE(fixture, "virtio_console: input waits for the port to open and for buffers, and keeps its order") {
    CHECK(push(1, "before ") == 7); // before there is a driver
    boot();
    CHECK(device_.report(1).waiting == 7);
    CHECK(push(1, "after") == 5);
    auto const first = post_input(1, 4);
    auto const second = post_input(1, 100);
    CHECK(guest.get_used(q(4))->length == 4);
    CHECK(guest.get_used(q(4))->length == 8);
    CHECK(ram.text(first, 4) == "befo");
    CHECK(ram.text(second, 8) == "re after");
    auto const third = post_input(1, 10);
    CHECK_FALSE(guest.get_used(q(4)).has_value());
    CHECK(push(1, "now") == 3); // straight into a waiting buffer
    CHECK(guest.get_used(q(4))->length == 3);
    CHECK(ram.text(third, 3) == "now");
    CHECK(device_.report(1).to_guest == 15);
}

TEST_CASE_FIXTURE(fixture, "virtio_console: a channel gets nothing before it is open, a terminal once it is ready") {
    REQUIRE(guest.bring_up(all));
    post_input(0, 10);
    post_input(1, 10);
    CHECK(push(0, "t") == 1);
    CHECK(push(1, "c") == 1);
    CHECK_FALSE(guest.get_used(q(0)).has_value());
    send(0, event::port_ready, 1);
    send(1, event::port_ready, 1);
    CHECK(guest.get_used(q(0)).has_value());
    CHECK_FALSE(guest.get_used(q(4)).has_value());
    send(1, event::port_open, 1);
    CHECK(guest.get_used(q(4)).has_value());
}

TEST_CASE_FIXTURE(fixture, "virtio_console: input is bounded; what closing leaves behind is forgotten") {
    boot();
    std::string const flood(100000, 'f');
    CHECK(push(1, flood) == 65536);
    CHECK(push(1, flood) == 0);
    CHECK(device_.input_space(1) == 0);
    post_input(1, 4096);
    CHECK(device_.input_space(1) == 4096);
    send(1, event::port_open, 0);
    CHECK(device_.input_space(1) == 65536);
    send(1, event::port_open, 1);
    post_input(1, 10);
    CHECK(push(1, "new") == 3);
    CHECK(guest.get_used(q(4))->length == 4096);
    CHECK(guest.get_used(q(4))->length == 3);
    CHECK(device_.push_input(2, {}).error().code == errc::out_of_range);
    CHECK(device_.input_space(2) == 0);
}

TEST_CASE_FIXTURE(fixture, "virtio_console: a push larger than the ring goes through as far as the guest has buffers") {
    boot();
    for (int i = 0; i < 64; ++i)
        guest.add(q(4), {{ram.allocate(4096), 4096, true}});
    CHECK(push(1, std::string(400000, 'p')) == 64 * 4096 + 65536);
}

TEST_CASE_FIXTURE(fixture, "virtio_console: an unready host leaves a channel's output with the guest, not a terminal's") {
    boot();
    host().ready = false;
    write(0, "terminal");
    write(1, "channel");
    CHECK(host().output[0] == "terminal");
    CHECK(host().output[1].empty());
    CHECK_FALSE(guest.get_used(q(5)).has_value());
    device_.resume_output(1);
    CHECK(host().output[1].empty());
    host().ready = true;
    device_.resume_output(1);
    CHECK(host().output[1] == "channel");
    CHECK(guest.get_used(q(5)).has_value());
    device_.resume_output(9);
}

TEST_CASE_FIXTURE(fixture, "virtio_console: final_drain takes what nobody was told about, ready or not") {
    boot();
    host().ready = false;
    write(0, "last words", false);
    write(1, "EXIT", false);
    device_.final_drain();
    CHECK(host().output[0] == "last words");
    CHECK(host().output[1] == "EXIT");
    device_.final_drain();
    CHECK(host().output[1] == "EXIT");
}

TEST_CASE_FIXTURE(fixture, "virtio_console: a reset takes the output first, closes the ports and starts over") {
    boot();
    write(1, "EXIT", false);
    push(1, "stale");
    guest.put(virtio_mmio_reg::status, 0);
    CHECK(host().output[1] == "EXIT");
    CHECK(host().opened.back() == std::pair<std::uint32_t, bool>{1, false});
    CHECK(device_.report(1).waiting == 0);
    CHECK_FALSE(device_.report(0).guest_ready);
    device_.final_drain();
    guest.queues.clear();
    boot();
    write(1, "again");
    CHECK(host().output[1] == "EXITagain");
}

TEST_CASE_FIXTURE(fixture, "virtio_console: a new driver is not told what the old one was owed") {
    REQUIRE(guest.bring_up(all));
    send(~0u, event::device_ready, 1);
    send(1, event::port_ready, 1);
    guest.queues.clear();
    REQUIRE(guest.bring_up(all));
    post_control(8);
    CHECK(notices().empty());
}

TEST_CASE_FIXTURE(fixture, "virtio_console: the guest hears of the terminal's size and of our end") {
    device_.resize({80, 24});
    REQUIRE(guest.bring_up(all));
    post_control(16);
    send(0, event::port_ready, 1);
    CHECK(notices() == std::vector<notice>{{0, event::console_port, 1, ""},
                                           {0, event::resize, 1, std::string("\x50\0\x18\0", 4)},
                                           {0, event::port_open, 1, ""}});
    device_.resize({100, 30});
    CHECK(notices() == std::vector<notice>{{0, event::resize, 1, std::string("\x64\0\x1e\0", 4)}});
    send(1, event::port_ready, 1);
    notices();
    device_.set_host_open(1, false);
    device_.set_host_open(1, false);
    CHECK(notices() == std::vector<notice>{{1, event::port_open, 0, ""}});
    device_.set_host_open(5, false);
}

TEST_CASE_FIXTURE(fixture, "virtio_console: without multiport there is port 0 and no control") {
    REQUIRE(guest.bring_up(virtio_feature::version_1));
    CHECK(host().opened == std::vector<std::pair<std::uint32_t, bool>>{{0, true}});
    write(0, "plain");
    CHECK(host().output[0] == "plain");
    auto const at = post_input(0, 10);
    CHECK(push(0, "in") == 2);
    CHECK(ram.text(at, 2) == "in");
    post_control(4);
    send(~0u, event::device_ready, 1);
    CHECK(notices().empty());
    CHECK(push(1, "x") == 1);
    post_input(1, 10);
    CHECK_FALSE(guest.get_used(q(4)).has_value());
}

TEST_CASE_FIXTURE(fixture, "virtio_console: a broken data queue stops the device, and the host's side stays usable") {
    boot();
    guest.make_available(q(5), 9999);
    guest.kick(5);
    CHECK(guest.status() == 0x4f);
    CHECK(device_.core().last_fault().where == "virtq.head");
    CHECK(push(1, "x") == 1);
    device_.resume_output(1);
    device_.resize({1, 1});
    device_.set_host_open(1, false);
    device_.final_drain();
    CHECK(device_.core().faults() == 1);
}

TEST_CASE_FIXTURE(fixture, "virtio_console: host threads and the guest at the same time") {
    boot();
    constexpr std::size_t total = 50000;
    std::thread pusher([&] {
        std::string const text(97, 'h');
        for (std::size_t sent = 0; sent < total;)
            sent += push(1, std::string_view(text).substr(0, std::min(text.size(), total - sent)));
    });
    std::size_t got = 0;
    auto const at = ram.allocate(512);
    auto const word = ram.place("w");
    while (got < total) {
        guest.add(q(4), {{at, 512, true}});
        guest.kick(4);
        guest.add(q(5), {{word, 1, false}});
        guest.kick(5);
        REQUIRE(guest.get_used(q(5)).has_value());
        for (;;) {
            if (auto const used = guest.get_used(q(4))) {
                got += used->length;
                break;
            }
            std::this_thread::yield();
        }
    }
    pusher.join();
    CHECK(got == total);
    CHECK(device_.core().faults() == 0);
}
