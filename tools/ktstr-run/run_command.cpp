// SPDX-License-Identifier: Apache-2.0
/// \file
/// `ktstr-run run`: from the command line to a verdict.
#include "ktstr-run/report.hpp"
#include "ktstr-run/results.hpp"
#include "ktstr-run/run_options.hpp"
#include "ktstr-run/session.hpp"

#include <cstdio>
#include <ctime>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ktstr::tool {
namespace {

outcome<results_folder> open_results(run_options const& options) {
    return options.results.empty() ? results_folder::make_new(options.seed) : results_folder::use(options.results);
}

/// Which file stands at `path`, so that one sees whether another took its place.
struct file_mark {
    ino_t inode = 0;
    timespec changed{};

    explicit file_mark(std::string const& path) {
        struct stat st{};
        if (::stat(path.c_str(), &st) == 0) {
            inode = st.st_ino;
            changed = st.st_mtim;
        }
    }
    [[nodiscard]] bool same(file_mark const& other) const noexcept {
        return inode == other.inode && changed.tv_sec == other.changed.tv_sec &&
               changed.tv_nsec == other.changed.tv_nsec;
    }
};

outcome<exit_code> here(boot_options const& boot, run_options const& options, ready_guest& guest,
                        results_folder const& folder, std::string const& started, interrupt const& stop,
                        progress& show) {
    auto const kernel = kernel_facts{guest.kernel.key, guest.kernel.release, guest.kernel.manifest.build_id};
    auto request = request_for(boot, guest, options.what, stop);
    request.seed = options.seed;
    request.snapshots = options.snapshots;
    if (request.snapshots.folder.empty()) {
        request.snapshots.folder = folder.path();
        request.snapshots.shown_as = options.shown_as.empty() ? folder.path() : options.shown_as;
    }
    if (options.keep)
        request.memory_file = folder.path() + "/memory.img";
    auto ended = run_machine(request, show);
    show.finish();
    if (!ended)
        return std::unexpected(ended.error());
    report_input input;
    input.boot = &boot;
    input.what = &options.what;
    input.machine = &*ended;
    input.kernel = kernel;
    input.host = read_host_facts();
    input.place = guest.where;
    input.memory = request.memory;
    input.cmdline = request.cmdline;
    input.lab_host = options.lab_host;
    input.folder = options.shown_as.empty() ? folder.path() : options.shown_as;
    input.snapshot_folder = options.snapshots.shown_as.empty() ? input.folder : options.snapshots.shown_as;
    input.started = started;
    input.strict = options.strict;
    auto const report = make_report(std::move(input));
    auto const json = json_text(report);
    auto const log = kernel_log_of(ended->evidence);
    for (auto const& [name, content] : {std::pair<std::string_view, std::string_view>("result.json", json),
                                        {"dmesg.txt", log},
                                        {"console.txt", ended->evidence.console}})
        if (auto put = folder.put(name, content); !put)
            return std::unexpected(put.error());
    if (!boot.dmesg.empty())
        if (auto put = put_file(boot.dmesg, log, "dmesg"); !put)
            return std::unexpected(put.error());
    if (!options.json.empty())
        if (auto put = put_file(options.json, json, "json"); !put)
            return std::unexpected(put.error());
    // With the JSON on standard output, that is all there is to be there.
    auto* const out = options.json == "-" ? stderr : stdout;
    auto const text = human_text(report, use_colour(::fileno(out)));
    std::fwrite(text.data(), 1, text.size(), out);
    return code_of(report.status);
}

} // namespace

outcome<exit_code> run_command(invocation const& call) {
    auto const boot = read_boot_options(call);
    if (!boot)
        return std::unexpected(boot.error());
    auto options = read_run_options(call, *boot);
    if (!options)
        return std::unexpected(options.error());
    interrupt const stop;
    progress show(STDERR_FILENO, progress_style_for(STDERR_FILENO, boot->quiet));
    show.limit(boot->wall_limit);
    auto const started = utc_timestamp();
    auto guest = make_ready(*boot, options->what, {}, show);
    auto const strictly = [&](problem p) {
        // Also a run that came to nothing leaves its JSON; when even that fails, the first problem counts.
        if (!options->json.empty())
            (void)put_file(options->json, json_text(p, options->what, started, options->strict), "json");
        p.code = code_of(status_of(p, options->strict));
        return std::unexpected(std::move(p));
    };
    if (!guest)
        return strictly(guest.error());
    auto const folder = open_results(*options);
    if (!folder)
        return strictly(folder.error());
    if (auto const& wanted = options->snapshots.folder; !wanted.empty())
        if (auto made = results_folder::use(wanted); !made)
            return strictly(made.error());
    if (options->lab_host.empty()) // Inside the lab it has been said outside.
        show.line(fmt::format("scenario {}, kernel {}, topology {}, seed {}", options->what.scenario,
                              guest->kernel.release, boot->shape_name, options->seed));
    if (guest->where.place == machine_kind::lab) {
        show.finish();
        auto const outside = read_host_facts();
        std::vector<std::pair<std::string, std::string>> resolved{
            {"seed", std::to_string(options->seed)},
            {"results", folder->path()},
            {"shown-as", folder->path()},
            {"lab-host", fmt::format("{}, Linux {}", outside.cpu_model, outside.kernel_release)}};
        if (!options->snapshots.folder.empty())
            resolved.emplace_back("snapshots-shown-as", options->snapshots.folder);
        file_mark const before(options->json);
        auto code = run_in_lab(call, *boot, *guest, std::move(resolved), "-n", stop);
        if (code && *code != exit_code::pass && !options->json.empty() && options->json != "-" &&
            before.same(file_mark(options->json)))
            (void)put_file(options->json,
                           json_text(problem{*code, "the lab ended before the run had a result", "ktstr-lab", ""},
                                     options->what, started, options->strict),
                           "json");
        folder->remove_if_empty();
        if (!code)
            return strictly(code.error());
        if (options->strict && (*code == exit_code::missing || *code == exit_code::inconclusive))
            return exit_code::fail; // The lab's own; the inside has been strict already.
        return code;
    }
    auto code = here(*boot, *options, *guest, *folder, started, stop, show);
    if (!code) {
        folder->remove_if_empty();
        return strictly(code.error());
    }
    return code;
}

} // namespace ktstr::tool
