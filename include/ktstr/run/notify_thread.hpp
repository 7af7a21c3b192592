// SPDX-License-Identifier: Apache-2.0
/// \file
/// A thread that waits on eventfds and calls a function for each that fires: virtio queue notifications that KVM turned
/// into events (ioeventfd) are served here, so that the vCPU that sent one stays in the guest.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/run/parker.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/schedstat.hpp"
#include "ktstr/sys/thread.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <poll.h>
#include <sys/types.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace ktstr {

/// Serves eventfds until destroyed or stopped. Made and stopped by one thread; `served` runs on its own thread.
class notify_thread {
public:
    notify_thread() = default;
    notify_thread(notify_thread&&) = default;
    notify_thread& operator=(notify_thread&&) = delete;
    ~notify_thread() { stop(); }

    /// Starts waiting on `events` (borrowed, non-blocking eventfds; they outlive this object). `serve(i)` is called,
    /// once however often event `i` fired since, after its counter was taken; it must not throw.
    template <class F>
    [[nodiscard]] static result<notify_thread> start(char const* name, std::vector<int> events, F serve) {
        return start(name, std::move(events), std::move(serve), [](int) -> result<never_parks> { return never_parks{}; });
    }

    /// As above, for a machine that can be frozen: `make_park(kick)` gives the thread's `Parker`, a `result`; whoever
    /// freezes signals the eventfd `kick`.
    template <class F, class MakePark>
    [[nodiscard]] static result<notify_thread> start(char const* name, std::vector<int> events, F serve, MakePark make_park) {
        notify_thread out;
        out.shared_ = std::make_unique<shared>();
        auto* const s = out.shared_.get();
        KTSTR_TRY(s->stop, unique_fd::eventfd());
        KTSTR_TRY(s->kick, unique_fd::eventfd());
        KTSTR_TRY(auto park, make_park(s->kick.get()));
        auto const served = events.size();
        events.push_back(s->kick.get());
        events.push_back(s->stop.get());
        KTSTR_TRY(out.thread_, thread::start(name, [s, served, park, fds = std::move(events),
                                                    serve = std::move(serve)]() mutable noexcept {
            s->tid.store(this_thread_id(), std::memory_order_release);
            std::vector<pollfd> set;
            for (int const fd : fds)
                set.push_back({fd, POLLIN, 0});
            for (;;) {
                if (park.wanted()) {
                    park.park();
                    continue;
                }
                park.entering();
                int const ready = ::poll(set.data(), set.size(), -1);
                park.returned();
                if (ready < 0)
                    continue;
                static_cast<void>(take(s->kick.get()));
                for (std::size_t i = 0; i < served; ++i) {
                    if ((set[i].revents & POLLIN) != 0 && take(set[i].fd))
                        serve(i);
                }
                if ((set.back().revents & POLLIN) != 0)
                    break;
            }
            park.ended();
            if (auto const used = read_thread_service(this_thread_id()))
                s->used = *used;
        }));
        return out;
    }

    /// Ends the thread after the call in progress. Does nothing the second time.
    void stop() noexcept {
        if (!thread_.joinable())
            return;
        std::uint64_t const one = 1;
        [[maybe_unused]] auto const ignored = ::write(shared_->stop.get(), &one, sizeof one);
        thread_.join();
    }

    /// CPU service of the thread; complete once stopped.
    [[nodiscard]] thread_service service() const noexcept {
        if (!shared_)
            return {};
        if (thread_.joinable()) {
            if (auto const now = read_thread_service(shared_->tid.load(std::memory_order_acquire)))
                return *now;
            return {};
        }
        return shared_->used;
    }

private:
    struct shared {
        unique_fd stop;
        unique_fd kick;
        std::atomic<pid_t> tid{0};
        thread_service used{};
    };
    static bool take(int fd) noexcept {
        std::uint64_t count = 0;
        return ::read(fd, &count, sizeof count) == sizeof count;
    }

    std::unique_ptr<shared> shared_;
    thread thread_;
};

} // namespace ktstr
