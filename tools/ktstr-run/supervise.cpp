// SPDX-License-Identifier: Apache-2.0
#include "ktstr-run/supervise.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <utility>
#include <variant>

namespace ktstr::tool {

namespace {

nanos now() { return monotonic_clock{}.now(); }

void write_out(int fd, std::span<std::byte const> data) {
    if (fd >= 0)
        static_cast<void>(write_all(fd, data)); // a reader that went away is its own loss
}

} // namespace

supervisor::supervisor(machine_request const& request, linux_machine& machine, progress& show, nanos from,
                       supervision_limits const& limits)
    : request_(request), machine_(machine), show_(show), from_(from), limits_(limits),
      link_(machine.devices->console()), recorder_(from.raw), wall_(from, request.wall_limit, limits.soft_lead),
      steps_(machine, request.snapshots, request.kernel.vmlinux, from), desk_(steps_, request.snapshots.dual) {}

outcome<run_evidence> supervisor::run() {
    show_.limit(request_.wall_limit);
    mark("first KVM_RUN");
    show_.phase("booting the guest");
    for (auto const& text : request_.snapshots.watch)
        if (auto const why = steps_.check_watch_text(text); !why.empty())
            return problem_of(exit_code::bad_input, "'" + text + "' cannot be watched: " + why, "option --watch",
                              "'ktstr-run kernel symbols' shows what this kernel has");
    if (auto const begun = machine_.runner->start(*machine_.exits); !begun)
        return std::unexpected(problem_from(begun.error(), exit_code::harness, "the vCPU threads cannot be started"));
    heard_at_ = now();
    if (request_.what.mode == run_mode::scenario) {
        auto const& name = request_.snapshots.machine_name;
        if (auto opened = control_.open(name.empty() ? std::to_string(::getpid()) : name); !opened && !name.empty()) {
            static_cast<void>(machine_.runner->stop(stop_cause::supervisor));
            return std::unexpected(opened.error());
        }
    }
    while (!ended_ && !machine_.runner->stopping()) {
        wait();
        take_messages();
        take_input();
        take_events();
        link_.flush();
        take_snapshots();
        serve_control();
        check_deadlines();
        show_.tick();
    }
    auto const seen = machine_.runner->stop(stop_cause::supervisor);
    if (!seen)
        return std::unexpected(problem_from(seen.error(), exit_code::harness, "a vCPU thread does not leave the guest"));
    machine_.devices->finish();
    take_messages();
    take_events();
    // A guest that left without a word is worth a picture: its memory is as it died.
    if (request_.snapshots.death && exit_at_.raw == 0 && end_.kind != end_kind::interrupted)
        desk_.capture(error_exit{true});
    desk_.finish();
    steps_.finish(seconds(60));
    mark("end");
    show_.finish();
    return recorder_.finish(classify(*seen), now().raw, vcpu_times(*machine_.runner));
}

void supervisor::wait() {
    bool const input = request_.input_fd >= 0 && input_open_ && link_.wants_input() && recorder_.so_far().hello;
    std::array<pollfd, 5> set{{{machine_.runner->wake_fd(), POLLIN, 0},
                               {machine_.output->event_fd(), POLLIN, 0},
                               {request_.stop != nullptr ? request_.stop->fd() : -1, POLLIN, 0},
                               {input ? request_.input_fd : -1, POLLIN, 0},
                               {control_.fd(), POLLIN, 0}}};
    std::int64_t most = 50'000'000;
    if (!due_.empty())
        most = std::clamp<std::int64_t>((due_.front() - now()).raw, 0, most);
    if (auto const next = periodic_.next_at(now()))
        most = std::clamp<std::int64_t>((*next - now()).raw, 0, most);
    if (polls_watches_)
        most = std::min<std::int64_t>(most, 5'000'000);
    timespec const limit{0, static_cast<long>(most)};
    ::ppoll(set.data(), set.size(), &limit, nullptr);
    static_cast<void>(machine_.runner->wait(nanos{0}));
}

void supervisor::take_messages() {
    bool const was_full = machine_.output->take_messages(inbox_);
    if (!inbox_.empty()) {
        recorder_.feed(
            inbox_, now().raw, [&] { return vcpu_times(*machine_.runner); },
            [&](wire::guest_message const& m) { on_message(m); });
    }
    if (was_full)
        machine_.devices->console().resume_output(console_message_port);
}

void supervisor::on_message(wire::guest_message const& message) {
    if (std::holds_alternative<wire::hello>(message)) {
        mark("agent");
        link_.send(wire::go{});
        mark("go");
        if (request_.what.mode == run_mode::shell)
            show_.finish(); // from here on the terminal is the shell's
        else
            show_.phase("the agent is up");
    } else if (auto const* const out = std::get_if<wire::output>(&message)) {
        if (out->from == wire::stream::log) {
            recorder_.console({reinterpret_cast<char const*>(out->data.data()), out->data.size()});
        } else {
            show_.clear();
            write_out(out->from == wire::stream::out ? request_.output_fd : request_.error_fd, out->data);
        }
    } else if (std::holds_alternative<wire::scenario_start>(message)) {
        mark("scenario start");
        show_.phase("workers run", nanos{static_cast<std::int64_t>(request_.what.duration_ns)});
        plan_snapshots();
    } else if (std::holds_alternative<wire::scenario_end>(message)) {
        mark("scenario end");
        show_.phase("collecting");
    } else if (auto const* const r = std::get_if<wire::snapshot_request>(&message)) {
        if (requests_.submit(*r, now()) == request_verdict::refused)
            link_.send(wire::snapshot_reply{r->request_id, false, std::string(requests_.refusal())});
    } else if (auto const* const p = std::get_if<wire::progress>(&message)) {
        link_.send(wire::heartbeat_reply{p->guest_ns});
    } else if (std::holds_alternative<wire::exit_message>(message)) {
        mark("exit message");
        if (exit_at_.raw == 0)
            exit_at_ = now();
    }
}

void supervisor::take_input() {
    if (request_.input_fd < 0 || !input_open_ || !recorder_.so_far().hello || !link_.wants_input())
        return;
    pollfd p{request_.input_fd, POLLIN, 0};
    if (::poll(&p, 1, 0) <= 0)
        return;
    std::array<std::byte, 4096> raw;
    auto const n = ::read(request_.input_fd, raw.data(), raw.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    auto const got = std::span(raw).first(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (got.empty())
        input_open_ = false;
    if (request_.what.mode == run_mode::shell) {
        std::vector<std::byte> typed;
        if (request_.raw_input ? escape_.filter(got, typed) : (typed.assign(got.begin(), got.end()), false))
            return end(end_kind::stopped, 0, stop_cause::supervisor);
        if (got.empty() && !request_.raw_input)
            typed.push_back(std::byte{4}); // the end of a script typed into a shell is Ctrl-d
        return link_.type(typed);
    }
    link_.send(wire::stdin_data{got.empty(), {got.begin(), got.end()}});
}

void supervisor::take_events() {
    while (auto const event = machine_.events->pop()) {
        if (event->kind == exit_kind::debug) {
            hits_.push_back(*event);
            continue;
        }
        if (event->kind != exit_kind::unknown)
            fatal_detail_ = event->detail;
    }
}

void supervisor::follow_window() {
    if (request_.what.mode != run_mode::shell || !request_.raw_input)
        return;
    winsize size{};
    if (::ioctl(request_.input_fd, TIOCGWINSZ, &size) != 0 || (size.ws_row == rows_ && size.ws_col == columns_))
        return;
    rows_ = size.ws_row;
    columns_ = size.ws_col;
    machine_.devices->console().resize({columns_, rows_});
    link_.send(wire::window_size{rows_, columns_});
}

supervisor::demand supervisor::service() const {
    demand sum;
    for (auto const& t : vcpu_times(*machine_.runner)) {
        sum.served = sum.served + nanos{t.cpu_ns};
        sum.wanted = sum.wanted + nanos{t.cpu_ns + t.delay_ns};
    }
    return sum;
}

void supervisor::check_deadlines() {
    auto const at = now();
    if (request_.stop != nullptr && interrupt::number() != 0)
        return end(end_kind::interrupted, static_cast<std::uint64_t>(interrupt::number()), stop_cause::signal);
    if (exit_at_.raw != 0) {
        if (at - exit_at_ > limits_.leave)
            end(end_kind::stopped, 0, stop_cause::supervisor);
        return;
    }
    switch (wall_.phase(at)) {
    case deadline_phase::expired:
        return end(end_kind::wall_limit, static_cast<std::uint64_t>(wall_.budget().raw), stop_cause::deadline);
    case deadline_phase::soft:
        if (!std::exchange(asked_to_stop_, true))
            link_.send(wire::stop_request{1});
        break;
    case deadline_phase::running: break;
    }
    if (at >= next_sample_) {
        recorder_.sample(at.raw, vcpu_times(*machine_.runner));
        next_sample_ = at + millis(100);
        look_for_silence(at);
    }
    if (at >= next_window_) {
        follow_window();
        next_window_ = at + millis(500);
    }
}

void supervisor::look_for_silence(nanos at) {
    auto const& known = recorder_.so_far();
    auto const vcpus = static_cast<std::int64_t>(machine_.runner->vcpus().size());
    auto const served = service();
    if (known.last_message_ns != last_heard_ns_) {
        last_heard_ns_ = known.last_message_ns;
        heard_at_ = at;
        heard_service_ = served;
        return;
    }
    auto const since = served.served - heard_service_.served;
    auto const wanted = served.wanted - heard_service_.wanted;
    if (!known.hello) {
        auto const budget = limits_.boot_service + nanos{limits_.boot_service_per_vcpu.raw * vcpus};
        if (since > budget)
            end(end_kind::boot_timeout, static_cast<std::uint64_t>(since.raw), stop_cause::deadline);
        return;
    }
    if (request_.what.mode != run_mode::scenario)
        return;
    auto const budget = limits_.silent_service + nanos{limits_.silent_service_per_vcpu.raw * vcpus};
    // A guest that wants a CPU and does not get it is not silent by its own fault; one that wants none has hung.
    auto const quiet = at - heard_at_;
    bool const idle = quiet > limits_.idle_silence && wanted.raw < quiet.raw / 10;
    if (since.raw > budget.raw / 2 && !std::exchange(early_taken_, true)) {
        desk_.early({since, nanos{budget.raw / 2}});
        after_capture();
    }
    if (since > budget || idle)
        end(end_kind::silence, static_cast<std::uint64_t>(since.raw), stop_cause::deadline);
}

void supervisor::end(end_kind kind, std::uint64_t value, stop_cause cause) {
    if (std::exchange(ended_, true))
        return;
    end_ = {kind, value};
    machine_.runner->request_stop(cause);
}

machine_end supervisor::classify(runner_end const& seen) const {
    if (ended_)
        return end_;
    // A guest that we asked to stop because time was running out, and that cut its scenario short or never began it,
    // ended by the limit, however politely it left.
    auto const& known = recorder_.so_far();
    bool const cut_short = !known.scenario_end || known.scenario_end->early;
    if (asked_to_stop_ && request_.what.mode == run_mode::scenario && cut_short)
        return {end_kind::wall_limit, static_cast<std::uint64_t>(wall_.budget().raw)};
    switch (seen.cause) {
    case stop_cause::fatal: return {end_kind::fatal, fatal_detail_};
    case stop_cause::run_error: return {end_kind::run_error, static_cast<std::uint64_t>(seen.os_errno)};
    case stop_cause::died: return {end_kind::host_failure, static_cast<std::uint64_t>(errc::internal)};
    default: break;
    }
    switch (seen.end) {
    case guest_end::reset_i8042: return {end_kind::i8042_reset, 0};
    case guest_end::reset_acpi:
    case guest_end::system_reset: return {end_kind::acpi_reset, 0};
    case guest_end::power_off:
    case guest_end::system_off: return {end_kind::power_off, 0};
    case guest_end::triple_fault: return {end_kind::triple_fault, 0};
    case guest_end::none: break;
    }
    return {end_kind::host_failure, static_cast<std::uint64_t>(errc::internal)};
}

void supervisor::mark(std::string name) { machine_.boot.push_back({std::move(name), now() - from_}); }

} // namespace ktstr::tool
