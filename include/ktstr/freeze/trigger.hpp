// SPDX-License-Identifier: Apache-2.0
/// \file
/// Why a machine is frozen for a snapshot, and what each cause is entitled to: one table.
#pragma once

#include "ktstr/base/units.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace ktstr {

/// A cause by name; the tables below are in this order.
enum class freeze_cause : std::uint8_t { error_exit, early, request, watch, periodic, host };
inline constexpr std::size_t freeze_causes = 6;

/// The scheduler died of an error, or something says so: the late trigger.
struct error_exit {
    static constexpr freeze_cause cause = freeze_cause::error_exit;
    bool certain = false; ///< False: only a watchpoint says so; what the frozen machine shows decides.
};
/// A task has waited for half the watchdog's time.
struct early_age {
    static constexpr freeze_cause cause = freeze_cause::early;
    nanos age{};
    nanos threshold{};
};
/// How long a task must have waited for the early trigger: half the watchdog's time, 2 s where there is no watchdog.
[[nodiscard]] constexpr nanos early_threshold(std::optional<nanos> watchdog) noexcept {
    return watchdog && watchdog->raw > 0 ? nanos{watchdog->raw / 2} : seconds(2);
}

/// The guest asked, through the message port.
struct guest_request {
    static constexpr freeze_cause cause = freeze_cause::request;
    std::uint32_t id = 0;
    std::string tag{};
};
/// A watchpoint's predicate was true.
struct watch_hit {
    static constexpr freeze_cause cause = freeze_cause::watch;
    std::uint32_t slot = 0;
    std::string tag{};
    std::uint64_t value = 0; ///< What was stored, when `known`.
    bool known = false;
    bool polled = false; ///< Seen by looking at the memory on a timer, not by the processor.
};
/// A boundary of the periodic captures was reached.
struct periodic_due {
    static constexpr freeze_cause cause = freeze_cause::periodic;
    std::uint32_t index = 0;
};
/// The host asked: the command line, the control socket, the harness.
struct host_call {
    static constexpr freeze_cause cause = freeze_cause::host;
    std::string name{};
};

/// Where a cause's snapshot goes.
enum class publish_as : std::uint8_t {
    main,   ///< The run's own snapshot.
    kept,   ///< Held in memory until the late trigger or the end of the run says under which name.
    tagged, ///< A sibling with the trigger's name.
};

/// What a cause is entitled to.
struct cause_policy {
    bool gate = false;            ///< Once frozen the machine itself is asked whether the trigger was right.
    bool extend = false;          ///< The deadline is moved by the frozen time.
    publish_as publish = publish_as::tagged;
    bool reply = false;           ///< Somebody waits for an answer.
    bool queue_when_busy = false; ///< While a freeze is held it waits for its turn; else the answer is "in flight".
    friend constexpr bool operator==(cause_policy const&, cause_policy const&) noexcept = default;
};

namespace detail {
inline constexpr std::array<cause_policy, freeze_causes> cause_policies{{
    // gate, extend, publish, reply, queue when busy
    {true, false, publish_as::main, false, true},    // error_exit: the run ends with it
    {false, true, publish_as::kept, false, false},   // early: the next look at the tasks asks again
    {false, true, publish_as::tagged, true, false},  // request
    {false, true, publish_as::tagged, false, true},  // watch: the vCPU that hit is held meanwhile
    {false, true, publish_as::tagged, false, true},  // periodic: late is better than never
    {false, true, publish_as::tagged, true, false},  // host
}};
inline constexpr std::array<std::string_view, freeze_causes> cause_names{"error exit", "early",    "guest request",
                                                                         "watch",      "periodic", "host call"};
} // namespace detail

/// What `cause` is entitled to.
[[nodiscard]] constexpr cause_policy policy_of(freeze_cause cause) noexcept {
    auto const i = static_cast<std::size_t>(cause);
    return i < freeze_causes ? detail::cause_policies[i] : cause_policy{};
}

/// The name of a cause, as in reports.
[[nodiscard]] constexpr std::string_view name_of(freeze_cause cause) noexcept {
    auto const i = static_cast<std::size_t>(cause);
    return i < freeze_causes ? detail::cause_names[i] : std::string_view("unknown cause");
}
[[nodiscard]] constexpr std::string_view name_of(publish_as how) noexcept {
    constexpr std::array<std::string_view, 3> names{"main", "kept", "tagged"};
    auto const i = static_cast<std::size_t>(how);
    return i < names.size() ? names[i] : std::string_view("unknown place");
}

/// The cause of a trigger of any mode.
template <class... Causes>
[[nodiscard]] constexpr freeze_cause cause_of(std::variant<Causes...> const& trigger) noexcept {
    constexpr std::array<freeze_cause, sizeof...(Causes)> causes{Causes::cause...};
    return causes[trigger.index()];
}

/// What a snapshot is called beside the run's own one.
[[nodiscard]] inline std::string tag_of(error_exit const&) { return {}; }
[[nodiscard]] inline std::string tag_of(early_age const&) { return "early"; }
[[nodiscard]] inline std::string tag_of(guest_request const& t) { return t.tag; }
[[nodiscard]] inline std::string tag_of(watch_hit const& t) { return t.tag; }
[[nodiscard]] inline std::string tag_of(periodic_due const& t) {
    auto number = std::to_string(t.index);
    return "periodic_" + std::string(number.size() < 3 ? 3 - number.size() : 0, '0') + number;
}
[[nodiscard]] inline std::string tag_of(host_call const& t) { return t.name; }
template <class... Causes>
[[nodiscard]] std::string tag_of(std::variant<Causes...> const& trigger) {
    return std::visit([](auto const& t) { return tag_of(t); }, trigger);
}

} // namespace ktstr
