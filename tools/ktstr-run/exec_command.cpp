// SPDX-License-Identifier: Apache-2.0
/// \file
/// `ktstr-run exec -- CMD` and `ktstr-run shell`: programs of this machine in a guest.
#include "ktstr-run/exec_plan.hpp"
#include "ktstr-run/report.hpp"
#include "ktstr-run/results.hpp"
#include "ktstr-run/session.hpp"
#include "support/quantity.hpp"
#include "support/terminal.hpp"

#include <atomic>
#include <fmt/format.h>
#include <span>
#include <termios.h>
#include <unistd.h>

namespace ktstr::tool {
namespace {

/// The terminal's mode before we changed it, for the way out that skips destructors.
termios terminal_before{};
void restore_terminal() { ::tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal_before); }

/// Both commands from the plan on; `call` is what the lab would run.
outcome<exit_code> run_program(invocation const& call, boot_options const& options, program_plan const& program) {
    if (!options.dmesg.empty())
        if (auto writable = check_writable(options.dmesg, "dmesg"); !writable)
            return std::unexpected(writable.error());
    interrupt const stop;
    auto const shell = program.what.mode == run_mode::shell;
    progress show(STDERR_FILENO, progress_style_for(STDERR_FILENO, options.quiet));
    auto guest = make_ready(options, program.what, program.files, show);
    if (!guest)
        return std::unexpected(guest.error());
    if (guest->where.place == machine_kind::lab) {
        show.finish();
        std::vector<std::pair<std::string, std::string>> resolved;
        // The rest of exec's words stands after "--" inside as it does here.
        for (auto const& word : std::span(program.what.arguments).first(shell ? program.what.arguments.size() : 1))
            resolved.emplace_back("guest-command", word);
        return run_in_lab(call, options, *guest, std::move(resolved),
                          shell && ::isatty(STDIN_FILENO) == 1 ? "-t" : "-i", stop);
    }
    auto request = request_for(options, *guest, program.what, stop);
    request.input_fd = STDIN_FILENO;
    request.raw_input = shell && ::isatty(STDIN_FILENO) == 1;
    if (shell)
        show.line("the shell ends with 'exit', or at once with Ctrl-a x");
    auto ended = [&]() {
        if (!request.raw_input)
            return run_machine(request, show);
        ::tcgetattr(STDIN_FILENO, &terminal_before);
        interrupt::on_second() = restore_terminal;
        raw_terminal const raw(STDIN_FILENO);
        show.finish();
        return run_machine(request, show);
    }();
    show.finish();
    if (!ended)
        return std::unexpected(ended.error());
    show.line(fmt::format("machine ended by {} after {}; {} KVM_RUN calls", name_of(ended->evidence.end.kind),
                          time_text(ended->wall), ended->runs));
    if (!options.dmesg.empty())
        if (auto put = put_file(options.dmesg, kernel_log_of(ended->evidence), "dmesg"); !put)
            return std::unexpected(put.error());
    return program_exit(program.what, *ended);
}

} // namespace

outcome<exit_code> exec_command(invocation const& call) {
    if (call.tail.empty())
        return problem_of(exit_code::bad_input, "no command to run", "command 'exec'",
                          "write 'ktstr-run exec -- CMD [ARG...]'");
    if (!call.words.empty())
        return problem_of(exit_code::bad_input, fmt::format("'{}' stands before '--'", call.words[0]), "command 'exec'",
                          "write 'ktstr-run exec [OPTION...] -- CMD [ARG...]'");
    auto options = read_boot_options(call);
    if (!options)
        return std::unexpected(options.error());
    auto program = plan_exec(call.tail, *options, call.values("guest-command"));
    if (!program)
        return std::unexpected(program.error());
    return run_program(call, *options, *program);
}

outcome<exit_code> shell_command(invocation const& call) {
    if (!call.words.empty())
        return problem_of(exit_code::bad_input, fmt::format("'{}' has no meaning here", call.words[0]),
                          "command 'shell'", "to run one program, write 'ktstr-run exec -- CMD'");
    auto options = read_boot_options(call);
    if (!options)
        return std::unexpected(options.error());
    auto program = plan_shell(*options, call.values("guest-command"));
    if (!program)
        return std::unexpected(program.error());
    return run_program(call, *options, *program);
}

} // namespace ktstr::tool
