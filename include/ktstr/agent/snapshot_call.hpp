// SPDX-License-Identifier: Apache-2.0
/// \file
/// A snapshot or a watchpoint from inside the guest: asks the host and waits for its answer.
#pragma once

#include "ktstr/agent/session.hpp"
#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/base/units.hpp"
#include "ktstr/wire/messages.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace ktstr::agent {

/// The host's answer to a snapshot request.
struct snapshot_answer {
    bool ok = false;
    std::string reason; ///< Why not; empty when `ok`.
};

/// How long a guest waits for an answer, in guest time; the host's own bound on a freeze.
inline constexpr nanos snapshot_patience = seconds(30);

/// Asks through one session; numbers its requests. Used by the session's thread. What else the host sends meanwhile is
/// kept in the session.
class snapshot_caller {
public:
    explicit snapshot_caller(session& to, std::uint32_t first_id = 1) noexcept : session_(to), next_(first_id) {}

    /// Freezes the machine and keeps it as snapshot `name`; back when that is done. `errc::timeout` with the request's id
    /// when no answer came, `errc::not_found` when the host is gone, `errc::out_of_range` for a name that is too long.
    [[nodiscard]] result<snapshot_answer> snapshot(std::string_view name, nanos patience = snapshot_patience) {
        return ask(wire::snapshot_kind::capture, name, patience);
    }
    /// Has the machine frozen when something is stored at a kernel symbol: `SYMBOL[+OFFSET][:SIZE][OP VALUE]`. Back when
    /// the watchpoint is armed or refused. Errors as above.
    [[nodiscard]] result<snapshot_answer> watch(std::string_view what, nanos patience = snapshot_patience) {
        return ask(wire::snapshot_kind::watch, what, patience);
    }

private:
    [[nodiscard]] result<snapshot_answer> ask(wire::snapshot_kind kind, std::string_view tag, nanos patience) {
        if (tag.empty() || tag.size() > wire::max_snapshot_tag)
            return fail(errc::out_of_range, "snapshot.tag", tag.size());
        auto const id = next_++;
        session_.send(wire::snapshot_request{id, kind, std::string(tag)});
        auto const until = static_cast<std::int64_t>(guest_now()) + patience.raw;
        for (;;) {
            // An answer that came after its caller had given up is thrown away here.
            auto& replies = session_.asked().snapshot_replies;
            std::erase_if(replies, [id](wire::snapshot_reply const& r) { return static_cast<std::int32_t>(r.request_id - id) < 0; });
            auto const mine = std::ranges::find(replies, id, &wire::snapshot_reply::request_id);
            if (mine != replies.end()) {
                snapshot_answer out{mine->ok, std::move(mine->reason)};
                replies.erase(mine);
                return out;
            }
            if (session_.host_gone() || session_.fd() < 0)
                return fail(errc::not_found, "snapshot.host", id);
            auto const left = until - static_cast<std::int64_t>(guest_now());
            if (left <= 0)
                return fail(errc::timeout, "snapshot.reply", id);
            session_.pump(static_cast<int>(std::min<std::int64_t>(left / 1'000'000 + 1, 1000)));
        }
    }

    session& session_;
    std::uint32_t next_;
};

} // namespace ktstr::agent
