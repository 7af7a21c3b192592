// SPDX-License-Identifier: Apache-2.0
#include "ktstr-lab/engine_state.hpp"
#include "ktstr-lab/image.hpp"
#include "ktstr/sys/io.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <iterator>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

namespace ktstr::lab {

namespace {
constexpr std::size_t console_kept = 256U << 10;
} // namespace

engine::engine(machine box, signal_gate const& gate)
    : box_(std::move(box)), gate_(gate), link_(box_.control()), space_(box_.disk()) {}
engine::~engine() = default;

outcome<> engine::greet(std::string const& name, std::int64_t deadline) {
    hello_message hello;
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    hello.wall_ns = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
    hello.name = name;
    if (::getrandom(hello.seed.data(), hello.seed.size(), 0) < 0)
        return problem_of(exit_code::harness, "no random numbers");
    (void)link_.send(frame_type::hello, 0, hello);
    int stopped_by = 0;
    on_signal([&](int number) { stopped_by = number == SIGWINCH ? stopped_by : number; });
    while (!ready_) {
        if (auto turned = turn(deadline); !turned)
            return turned;
        if (stopped_by != 0)
            return interrupted(stopped_by);
        if (!ready_ && now_ns() >= deadline)
            return problem_of(exit_code::timed_out, "the lab machine did not answer in time", last_lines(console_, 8));
    }
    on_signal({});
    return {};
}

std::uint32_t engine::submit(job_spec spec, done_function done) {
    auto const channel = next_channel_++;
    auto& j = *(jobs_[channel] = std::make_unique<job>());
    j.spec = std::move(spec);
    j.done = std::move(done);
    // The folder of each result is there when the command starts, so that it need not make it.
    for (auto const& each : j.spec.out) {
        put_message folder;
        folder.kind = static_cast<std::uint8_t>(entry_kind::folder);
        folder.mode = put_keep_mode;
        folder.path = each.lab.substr(0, each.lab.rfind('/'));
        if (!folder.path.empty() && link_.send(frame_type::put, channel, folder))
            ++j.puts_left;
    }
    for (auto const& each : j.spec.in) {
        auto const list = lay_out(each, space_);
        if (!list) {
            finish(channel, {static_cast<int>(list.error().code), tool::text(list.error())});
            return channel;
        }
        for (auto const& message : *list) {
            if (!link_.send(frame_type::put, channel, message)) {
                finish(channel, {static_cast<int>(exit_code::bad_input), "error: a path is too long: " + message.path + '\n'});
                return channel;
            }
            ++j.puts_left;
        }
    }
    if (j.puts_left == 0)
        start_program(channel, j);
    return channel;
}

void engine::start_program(std::uint32_t channel, job& j) {
    spawn_message m;
    m.tty = j.spec.tty ? 1 : 0;
    m.rows = j.spec.rows;
    m.columns = j.spec.columns;
    m.output_credit = output_window;
    m.argv = j.spec.argv;
    m.env = j.spec.env;
    m.cwd = j.spec.cwd;
    if (!link_.send(frame_type::spawn, channel, m)) {
        finish(channel, {static_cast<int>(exit_code::bad_input), "error: the command line and its environment exceed 64 KiB\n"});
        return;
    }
    j.now = job::phase::running;
    j.io.in = std::move(j.spec.stdin_fd);
    j.io.out = std::move(j.spec.stdout_fd);
    j.io.err = std::move(j.spec.stderr_fd);
    j.io.open = true;
    if (!j.io.in)
        link_.send(frame_type::stdin_data, channel);
}

void engine::end_job(std::uint32_t channel, int code, int signal, std::string text) {
    auto const at = jobs_.find(channel);
    if (at == jobs_.end())
        return;
    auto& j = *at->second;
    if (j.ended_by_us || j.now == job::phase::putting) {
        link_.send(frame_type::hang_up, channel);
        finish(channel, {j.ended_by_us ? j.answer.code : code, std::move(text)});
        return;
    }
    j.ended_by_us = true;
    j.answer = {code, std::move(text)};
    j.kill_at = now_ns() + (signal == SIGKILL ? 0 : 5 * second);
    j.give_up_at = now_ns() + 12 * second;
    if (signal != SIGKILL)
        signal_job(channel, signal);
}

void engine::signal_job(std::uint32_t channel, int number) {
    (void)link_.send(frame_type::signal, channel, signal_message{static_cast<std::uint32_t>(number)});
}

void engine::resize_job(std::uint32_t channel, std::uint16_t rows, std::uint16_t columns) {
    (void)link_.send(frame_type::winsize, channel, winsize_message{rows, columns});
}

void engine::finish(std::uint32_t channel, job_result result) {
    auto const at = jobs_.find(channel);
    if (at == jobs_.end())
        return;
    auto const j = std::move(at->second);
    jobs_.erase(at);
    if (fetching_ == channel) {
        fetching_ = 0;
        space_.clear_out();
        for (auto& [other, waiting] : jobs_)
            if (waiting->waits_to_fetch) {
                waiting->waits_to_fetch = false;
                fetch_next(other, *waiting);
                break;
            }
    }
    free_space();
    if (j->done)
        j->done(result);
}

void engine::free_space() {
    bool const busy = std::any_of(jobs_.begin(), jobs_.end(), [](auto const& e) { return e.second->now == job::phase::putting; });
    if (!busy)
        space_.clear_in();
}

void engine::fetch_next(std::uint32_t channel, job& j) {
    j.now = job::phase::fetching;
    if (fetching_ != 0 && fetching_ != channel) {
        j.waits_to_fetch = true;
        return;
    }
    if (j.out_index == j.spec.out.size()) {
        j.now = job::phase::over;
        if (j.io.out_queue.empty() && j.io.err_queue.empty())
            finish(channel, j.answer);
        return; // or from turn, once its output is written
    }
    if (fetching_ == channel)
        space_.clear_out();
    fetching_ = channel;
    auto const& what = j.spec.out[j.out_index];
    j.writer = std::make_unique<out_writer>(what);
    (void)link_.send(frame_type::get, channel, get_message{transfer_half, transfer_size, what.lab});
}

void engine::on_done(std::uint32_t channel, done_message const& m) {
    if (auto const at = connections_.find(channel); at != connections_.end()) {
        at->second->open = m.error == 0;
        if (m.error != 0)
            connections_.erase(at);
        return;
    }
    auto const at = jobs_.find(channel);
    if (at == jobs_.end())
        return;
    auto& j = *at->second;
    if (j.now == job::phase::putting) {
        if (m.error != 0) {
            finish(channel, {static_cast<int>(exit_code::harness), "error: cannot make a file in the lab: "
                                                                       + std::string(std::strerror(static_cast<int>(m.error)))
                                                                       + "\n  where: " + m.where + '\n'});
            return;
        }
        if (--j.puts_left == 0) {
            start_program(channel, j);
            free_space();
        }
    } else if (j.now == job::phase::fetching && j.writer) {
        if (m.error != 0)
            j.answer.text += "warning: '" + j.spec.out[j.out_index].host + "' was not written, for the lab could not send '"
                             + j.spec.out[j.out_index].lab + "': " + std::strerror(static_cast<int>(m.error))
                             + (m.where == j.spec.out[j.out_index].lab ? "" : " (" + m.where + ')') + '\n';
        j.writer.reset();
        ++j.out_index;
        fetch_next(channel, j);
    }
}

result<> engine::on_frame(frame const& f) {
    auto const c = f.channel;
    auto const job_at = jobs_.find(c);
    relay* const io = find_relay(c);
    switch (f.type) {
    case frame_type::ready: {
        KTSTR_TRY(facts_, decode_message<ready_message>(f.payload));
        ready_ = true;
        return {};
    }
    case frame_type::done: {
        KTSTR_TRY(auto const m, decode_message<done_message>(f.payload));
        on_done(c, m);
        return {};
    }
    case frame_type::entry: {
        KTSTR_TRY(auto const m, decode_message<put_message>(f.payload));
        if (job_at == jobs_.end() || !job_at->second->writer)
            return {};
        auto& j = *job_at->second;
        if (auto const done = j.writer->take(m, space_.disk()); !done) {
            auto const& p = done.error();
            j.answer = {static_cast<int>(p.code), j.answer.text + tool::text(p)};
        }
        return {};
    }
    case frame_type::stdout_data:
    case frame_type::stderr_data: {
        if (io == nullptr)
            return {};
        bool const is_err = f.type == frame_type::stderr_data;
        auto& queue = is_err ? io->err_queue : io->out_queue;
        if (f.payload.empty() && !is_err)
            io->out_ended = true;
        if (!(is_err ? io->err : io->out)) { // the caller does not want it
            credit_message const back{static_cast<std::uint16_t>(f.type), f.payload.size()};
            return link_.send(frame_type::credit, c, back);
        }
        if (queue.size() + f.payload.size() > 2 * output_window)
            return fail(errc::guest_fault, "lab.engine.credit", queue.size());
        queue.insert(queue.end(), f.payload.begin(), f.payload.end());
        return {};
    }
    case frame_type::credit: {
        KTSTR_TRY(auto const m, decode_message<credit_message>(f.payload));
        if (io != nullptr)
            io->in_credit += m.bytes;
        return {};
    }
    case frame_type::exited: {
        KTSTR_TRY(auto const m, decode_message<exited_message>(f.payload));
        if (job_at == jobs_.end())
            return {};
        auto& j = *job_at->second;
        if (!j.ended_by_us)
            j.answer.code = static_cast<int>(m.code & 0xffU);
        j.kill_at = 0;
        j.io.in.reset();
        fetch_next(c, j);
        return {};
    }
    case frame_type::hang_up: connections_.erase(c); return {};
    default: return {};
    }
}

void engine::fail_all(std::string const& why) {
    while (!jobs_.empty()) {
        auto const& j = *jobs_.begin()->second;
        finish(jobs_.begin()->first, j.ended_by_us ? j.answer : job_result{static_cast<int>(exit_code::harness), why});
    }
    connections_.clear();
}

void engine::check_times(std::int64_t now) {
    std::vector<std::uint32_t> channels;
    for (auto const& [channel, j] : jobs_)
        channels.push_back(channel);
    for (auto const channel : channels) {
        auto const at = jobs_.find(channel);
        if (at == jobs_.end())
            continue;
        auto& j = *at->second;
        if (j.now == job::phase::over && j.io.out_queue.empty() && j.io.err_queue.empty())
            finish(channel, j.answer);
        else if (j.io.broken && !j.ended_by_us)
            end_job(channel, 128 + SIGPIPE, SIGPIPE, "");
        else if (j.spec.deadline != 0 && now >= j.spec.deadline && !j.ended_by_us)
            end_job(channel, static_cast<int>(exit_code::timed_out), SIGTERM, "error: the time limit passed; the command was ended\n");
        else if (j.ended_by_us && now >= j.give_up_at)
            finish(channel, {j.answer.code, j.answer.text + "warning: the lab did not end the command in time\n"});
        else if (j.kill_at != 0 && now >= j.kill_at) {
            j.kill_at = 0;
            link_.send(frame_type::hang_up, channel);
        }
    }
}

outcome<> engine::turn(std::int64_t deadline) {
    auto now = now_ns();
    std::vector<pollfd> set{{box_.control(), static_cast<short>(POLLIN | (link_.wants_write() ? POLLOUT : 0)), 0},
                            {box_.serial(), POLLIN, 0},
                            {box_.ended(), POLLIN, 0},
                            {gate_.fd(), POLLIN, 0}};
    std::vector<std::function<void()>> acts;
    auto const add = [&](int fd, short events, std::function<void()> act) {
        set.push_back({fd, events, 0});
        acts.push_back(std::move(act));
    };
    auto const add_relay = [&](std::uint32_t channel, relay& r) {
        // By channel: an earlier act of the same turn may end this one.
        if (r.open && r.in && r.in_credit != 0)
            add(r.in.get(), POLLIN, [this, channel] { read_input(channel); });
        if (!r.out_queue.empty())
            add(r.out.get(), POLLOUT, [this, channel] { write_output(channel, false); });
        if (!r.err_queue.empty())
            add(r.err.get(), POLLOUT, [this, channel] { write_output(channel, true); });
    };
    for (auto& [channel, j] : jobs_) {
        add_relay(channel, j->io);
        for (auto const time : {j->spec.deadline, j->kill_at, j->give_up_at})
            if (time > now)
                deadline = std::min(deadline, time);
    }
    for (auto& [channel, r] : connections_)
        add_relay(channel, *r);
    for (auto& each : listeners_)
        add(each.fd.get(), POLLIN, [this, &each] { accept_from(each); });
    for (auto& [fd, act] : watched_)
        add(fd, POLLIN, act);
    auto const wait = std::clamp<std::int64_t>((deadline - now + 999'999) / 1'000'000, 0, 1'000'000);
    ::poll(set.data(), set.size(), static_cast<int>(wait));

    if (set[1].revents != 0) {
        char text[8192];
        for (ssize_t n; (n = ::read(box_.serial(), text, sizeof text)) > 0;)
            std::copy_if(text, text + n, std::back_inserter(console_), [](char c) { return c != '\0' && c != '\r'; });
        if (console_.size() > 2 * console_kept)
            console_.erase(0, console_.size() - console_kept);
    }
    for (std::size_t i = 0; i < acts.size(); ++i)
        if (set[4 + i].revents != 0)
            acts[i]();
    link_.flush();
    auto const alive = link_.pump([this](frame const& f) { return on_frame(f); });
    for (auto at = connections_.begin(); at != connections_.end();) {
        auto const& r = *at->second;
        bool const over = r.broken || (r.out_ended && r.out_queue.empty());
        if (over)
            link_.send(frame_type::hang_up, at->first);
        at = over ? connections_.erase(at) : std::next(at);
    }
    if (set[3].revents != 0)
        if (int const number = gate_.take(); number != 0 && on_signal_)
            on_signal_(number);
    check_times(now_ns());
    if (set[2].revents != 0 || !alive || !*alive) {
        auto why = std::string(alive ? "the lab machine ended by itself" : "the lab machine sent nonsense");
        if (auto const said = box_.complaint(); !said.empty())
            why += ": " + said;
        auto const log = why_it_died(console_) + last_lines(console_, 15);
        fail_all("error: " + why + "\n  where: " + log + '\n');
        return problem_of(exit_code::harness, why, log);
    }
    return {};
}

} // namespace ktstr::lab
