// SPDX-License-Identifier: Apache-2.0
/// \file
/// The machine's answer to "can Linux run here", with a memory: a probe is good for one boot of the host and one user.
#pragma once

#include "ktstr/base/error.hpp"
#include "ktstr/base/fail.hpp"
#include "ktstr/probe/kvm_facts.hpp"
#include "ktstr/probe/kvm_probe.hpp"
#include "ktstr/sys/io.hpp"
#include "ktstr/sys/publish.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace ktstr {

/// What `--machine auto` and the first lines of `doctor` need.
struct machine_probe {
    kvm_judgement judgement;
    std::uint64_t loop_ps = 0;
    std::uint64_t exit_ns = 0;
    stub_outcome xsave = stub_outcome::not_run;
    stub_outcome cmpxchg16b = stub_outcome::not_run;
    std::int32_t os_errno = 0;
    bool from_cache = false;
    friend constexpr bool operator==(machine_probe const&, machine_probe const&) noexcept = default;
};

/// The part of `facts` that is remembered, with what follows from it.
[[nodiscard]] constexpr machine_probe summarise(kvm_facts const& facts) noexcept {
    return {judge_kvm(facts), facts.loop_ps, facts.exit_ns, facts.xsave.outcome, facts.cmpxchg16b.outcome, facts.os_errno, false};
}

/// What a remembered probe is valid for, as text: boot id of the kernel, user, and the device node as it is now (a chmod,
/// a group change or a loaded module makes another text).
[[nodiscard]] inline std::string probe_circumstances() {
    std::string out;
    if (auto const id = read_file("/proc/sys/kernel/random/boot_id"))
        out = id->substr(0, id->find('\n'));
    struct stat st {};
    if (::stat("/dev/kvm", &st) == 0)
        out += " dev=" + std::to_string(st.st_rdev) + " mode=" + std::to_string(st.st_mode) + " uid=" +
               std::to_string(st.st_uid) + " gid=" + std::to_string(st.st_gid) + " ctime=" + std::to_string(st.st_ctim.tv_sec);
    else
        out += " dev=none";
    out += " user=" + std::to_string(::geteuid()) + " open=" + (::access("/dev/kvm", R_OK | W_OK) == 0 ? "1" : "0");
    return out;
}

namespace detail {
inline constexpr std::string_view probe_magic = "ktstr-probe 1";
}

/// The text that remembers `probe` for `circumstances`: magic, circumstances, numbers, one a line.
[[nodiscard]] inline std::string probe_text(machine_probe const& probe, std::string_view circumstances) {
    std::string out = std::string(detail::probe_magic) + '\n' + std::string(circumstances) + '\n';
    for (auto const n : {static_cast<std::uint64_t>(probe.judgement.verdict), static_cast<std::uint64_t>(probe.judgement.reason),
                         probe.loop_ps, probe.exit_ns, static_cast<std::uint64_t>(probe.xsave),
                         static_cast<std::uint64_t>(probe.cmpxchg16b), static_cast<std::uint64_t>(probe.os_errno)})
        out += std::to_string(n) + '\n';
    return out + "end\n";
}

/// Reads a remembered probe. `errc::bad_format` for any other text, `errc::not_found` for other circumstances.
[[nodiscard]] inline result<machine_probe> parse_probe(std::string_view text, std::string_view circumstances) noexcept {
    auto const line = [&text] {
        auto const end = text.find('\n');
        auto const out = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        return out;
    };
    if (line() != detail::probe_magic)
        return fail(errc::bad_format, "probe.magic");
    if (line() != circumstances)
        return fail(errc::not_found, "probe.circumstances");
    std::array<std::uint64_t, 7> n{};
    for (auto& value : n) {
        auto const digits = line();
        auto const [stop, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (problem != std::errc{} || stop != digits.data() + digits.size())
            return fail(errc::bad_format, "probe.number");
    }
    if (line() != "end" || !text.empty())
        return fail(errc::bad_format, "probe.end");
    if (n[0] > static_cast<std::uint64_t>(kvm_verdict::absent) || n[1] > static_cast<std::uint64_t>(kvm_reason::slow_kernel_mode) ||
        n[4] > static_cast<std::uint64_t>(stub_outcome::failed) || n[5] > static_cast<std::uint64_t>(stub_outcome::failed) || n[6] > 4095)
        return fail(errc::bad_format, "probe.enum");
    return machine_probe{{static_cast<kvm_verdict>(n[0]), static_cast<kvm_reason>(n[1])}, n[2], n[3],
                         static_cast<stub_outcome>(n[4]), static_cast<stub_outcome>(n[5]), static_cast<std::int32_t>(n[6]), true};
}

/// The remembered probe of `cache_file` if it is for now, else a new one, which is then remembered. A cache file that
/// cannot be read, is damaged or cannot be written costs time, nothing else. An empty name: no memory.
[[nodiscard]] inline result<machine_probe> probe_machine(std::string cache_file, probe_options const& options = {}) {
    auto const now = probe_circumstances();
    if (!cache_file.empty()) {
        if (auto const text = read_file(cache_file.c_str(), 64 * KiB)) {
            if (auto const known = parse_probe(*text, now))
                return *known;
        }
    }
    KTSTR_TRY(auto const facts, probe_kvm(options));
    auto const out = summarise(facts);
    // A loaded machine can make a stub run into its watchdog; such an answer is given, and not kept.
    bool const steady = facts.loop.outcome != stub_outcome::timed_out && facts.exits.outcome != stub_outcome::timed_out &&
                        facts.xsave.outcome != stub_outcome::timed_out && facts.cmpxchg16b.outcome != stub_outcome::timed_out;
    if (!cache_file.empty() && steady)
        [[maybe_unused]] auto const saved = publish(std::move(cache_file), probe_text(out, now), 0600);
    return out;
}

} // namespace ktstr
