// SPDX-License-Identifier: Apache-2.0
#include "ktstr-lab/image.hpp"
#include "ktstr-lab/cpio.hpp"
#include "ktstr-lab/debian_fetch.hpp"
#include "ktstr-lab/link.hpp"
#include "ktstr-lab/sha256.hpp"
#include "ktstr/sys/io.hpp"
#include "ktstr/sys/publish.hpp"
#include "support/xdg.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <poll.h>
#include <sys/stat.h>

namespace ktstr::lab {

namespace {
/// Part of every key: raise it when the meaning of the entries changes.
constexpr char const* recipe = "2";

void progress(std::string const& line) { std::fprintf(stderr, "lab: %s\n", line.c_str()); }

outcome<> copy_file(std::string const& from, std::string const& to, mode_t mode) {
    auto const content = read_file(from.c_str(), 512U << 20);
    if (!content)
        return std::unexpected(tool::problem_from(content.error(), exit_code::harness, "a fetched package lacks a file", from));
    if (auto const done = publish(to, *content, mode); !done)
        return std::unexpected(tool::problem_from(done.error(), exit_code::harness, "cannot write to the cache", to,
                                                  "check the free space of the cache folder"));
    return {};
}

/// One file name below `folder` that starts with `prefix`; "" when there is none.
std::string only_match(std::string const& folder, std::string_view prefix) {
    auto* const list = ::opendir(folder.c_str());
    std::string out;
    while (auto const* const each = list == nullptr ? nullptr : ::readdir(list))
        if (std::string_view(each->d_name).starts_with(prefix))
            out = each->d_name;
    if (list != nullptr)
        ::closedir(list);
    return out;
}

constexpr std::array modules{"virt/lib/irqbypass", "arch/x86/kvm/kvm", "arch/x86/kvm/kvm-amd", "drivers/block/virtio_blk",
                             "drivers/block/loop"};

/// Fetches the packages and keeps what a machine needs of them.
outcome<> build_base(signal_gate const& gate, std::string const& cache, std::string const& name) {
    auto draft = cache_draft::open(cache, name);
    if (!draft)
        return std::unexpected(draft.error());
    auto const work = draft->path() + "/work";
    auto const root = work + "/root";
    if (auto made = tool::make_folders(root); !made)
        return made;
    progress("reading the package lists (private apt state)");
    auto apt = debian_fetch::open(gate, work, "amd64");
    if (!apt)
        return std::unexpected(apt.error());
    auto const qemu = apt->newest("qemu-system-x86", "1:10.");
    if (!qemu)
        return std::unexpected(qemu.error());
    auto const kernels = apt->names("linux-image-6.12.");
    if (!kernels)
        return std::unexpected(kernels.error());
    std::string kernel;
    for (auto const& each : *kernels)
        if (each.ends_with("-cloud-amd64") && (kernel.empty() || ::strverscmp(each.c_str(), kernel.c_str()) > 0))
            kernel = each;
    if (kernel.empty())
        return problem_of(exit_code::missing, "the mirror has no cloud kernel 6.12");
    auto extra = apt->missing_for("qemu-system-x86", *qemu);
    if (!extra)
        return std::unexpected(extra.error());
    std::vector<std::string> wanted;
    for (std::string const package : {"qemu-system-data", "seabios", "busybox-static", kernel.c_str()}) {
        auto const version = apt->newest(package);
        if (!version)
            return std::unexpected(version.error());
        wanted.push_back(package + '=' + *version);
    }
    wanted.push_back("qemu-system-x86=" + *qemu);
    for (auto const& each : *extra) {
        auto const package = each.substr(0, each.find('='));
        bool const known = std::any_of(wanted.begin(), wanted.end(), [&](auto const& w) { return w.starts_with(package + '='); });
        if (!known && !package.starts_with("qemu-") && !package.starts_with("ipxe"))
            wanted.push_back(each);
    }
    progress("fetching QEMU " + *qemu + " and " + kernel + " (" + std::to_string(wanted.size()) + " packages, about 50 MB)");
    if (auto done = apt->unpack(wanted, root); !done)
        return done;

    auto const& to = draft->path();
    ::mkdir((to + "/firmware").c_str(), 0755);
    ::mkdir((to + "/lib").c_str(), 0755);
    ::mkdir((to + "/modules").c_str(), 0755);
    std::vector<std::string> files;
    auto const take = [&](std::string const& from, std::string const& as, mode_t mode = 0644) -> outcome<> {
        files.push_back(as);
        return copy_file(root + from, to + '/' + as, mode);
    };
    auto const release = only_match(root + "/lib/modules", "6.");
    std::vector<std::pair<std::string, std::string>> plan{{"/usr/bin/qemu-system-x86_64", "qemu"},
                                                          {"/boot/vmlinuz-" + release, "vmlinuz"},
                                                          {"/bin/busybox", "busybox"},
                                                          {"/usr/share/seabios/bios-256k.bin", "firmware/bios-256k.bin"},
                                                          {"/usr/share/qemu/linuxboot_dma.bin", "firmware/linuxboot_dma.bin"},
                                                          {"/usr/share/qemu/kvmvapic.bin", "firmware/kvmvapic.bin"}};
    for (std::size_t i = 0; i < modules.size(); ++i) {
        std::string const path = modules[i];
        plan.emplace_back("/lib/modules/" + release + "/kernel/" + path + ".ko.xz",
                          "modules/0" + std::to_string(i) + '-' + path.substr(path.rfind('/') + 1) + ".ko.xz");
    }
    for (char const* folder : {"/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu"}) {
        auto* const list = ::opendir((root + folder).c_str());
        while (auto const* const each = list == nullptr ? nullptr : ::readdir(list))
            if (std::strstr(each->d_name, ".so.") != nullptr)
                plan.emplace_back(std::string(folder) + '/' + each->d_name, std::string("lib/") + each->d_name);
        if (list != nullptr)
            ::closedir(list);
    }
    for (auto const& [from, as] : plan)
        if (auto done = take(from, as, as == "qemu" || as == "busybox" ? 0755 : 0644); !done)
            return done;
    remove_tree(work);
    return draft->publish(gate, "QEMU " + *qemu + ", kernel " + release + "\n", files);
}

/// The initial file system: us as /init, busybox, modules.
outcome<> build_image(signal_gate const& gate, std::string const& cache, std::string const& name, std::string const& base, std::string const& self) {
    auto draft = cache_draft::open(cache, name);
    if (!draft)
        return std::unexpected(draft.error());
    cpio_archive archive;
    for (char const* folder : {"bin", "sbin", "usr", "usr/bin", "usr/sbin", "dev", "lib", "lib/modules", "lib/modules/lab"})
        archive.folder(folder);
    archive.character_device("dev/console", 5, 1);
    auto const add = [&](std::string const& from, std::string const& as, unsigned mode) -> outcome<> {
        auto const content = read_file(from.c_str(), 512U << 20);
        if (!content)
            return std::unexpected(tool::problem_from(content.error(), exit_code::harness, "cannot read a file", from));
        archive.file(as, mode, *content);
        return {};
    };
    if (auto done = add(self, "init", 0755); !done)
        return done;
    if (auto done = add(base + "/busybox", "bin/busybox", 0755); !done)
        return done;
    for (std::size_t i = 0; i < modules.size(); ++i) {
        auto const file = only_match(base + "/modules", "0" + std::to_string(i) + '-');
        if (auto done = add(base + "/modules/" + file, "lib/modules/lab/" + file, 0644); !done)
            return done;
    }
    if (auto const done = publish(draft->path() + "/initrd", archive.finish()); !done)
        return std::unexpected(tool::problem_from(done.error(), exit_code::harness, "cannot write to the cache", draft->path()));
    return draft->publish(gate, "lab image\n", {"initrd"});
}

/// Boots a machine until its init says ready and saves it.
outcome<> build_snapshot(signal_gate const& gate, std::string const& cache, std::string const& name,
                         machine_config const& config, machine_files const& files) {
    auto draft = cache_draft::open(cache, name);
    if (!draft)
        return std::unexpected(draft.error());
    auto const started = now_ns();
    auto const deadline = started + 300 * second;
    auto box = machine::start(config, files);
    if (!box)
        return std::unexpected(box.error());
    std::string log;
    frame_link control(box->control());
    bool ready = false, has_kvm = false;
    while (!ready) {
        pollfd set[4] = {{box->control(), POLLIN, 0}, {box->serial(), POLLIN, 0}, {box->ended(), POLLIN, 0}, {gate.fd(), POLLIN, 0}};
        ::poll(set, 4, 1000);
        if (set[3].revents != 0)
            if (auto const number = gate.take(); number == SIGINT || number == SIGTERM || number == SIGHUP)
                return interrupted(number);
        char text[4096];
        if (auto const n = ::read(box->serial(), text, sizeof text); n > 0)
            log.append(text, static_cast<std::size_t>(n));
        auto const alive = control.pump([&](frame const& f) -> result<> {
            if (f.type != frame_type::ready)
                return {};
            KTSTR_TRY(auto const m, decode_message<ready_message>(f.payload));
            ready = true;
            has_kvm = m.has_kvm != 0;
            return {};
        });
        if (!ready && (set[2].revents != 0 || now_ns() > deadline || !alive))
            return problem_of(exit_code::harness, "the lab machine did not come up: " + box->complaint(), last_lines(log, 12));
    }
    if (!has_kvm)
        return problem_of(exit_code::harness, "the lab machine has no /dev/kvm", last_lines(log, 12));
    // Let the boot's own left-overs (module init work, RCU) settle, so that a copy starts idle.
    if (auto const waited = gate.readable(-1, now_ns() + second / 2); !waited)
        return std::unexpected(waited.error());
    auto const booted = now_ns();
    if (auto done = box->save(gate, draft->path() + "/state", deadline); !done)
        return done;
    char line[160];
    std::snprintf(line, sizeof line, "%s, %u CPU, %llu MiB; booted in %.1f s", config.virtual_time ? "virtual time" : "real time",
                  config.cpus, static_cast<unsigned long long>(config.memory_mib), static_cast<double>(booted - started) / 1e9);
    return draft->publish(gate, std::string(line) + '\n', {"state"});
}

std::string key_of(std::initializer_list<std::string_view> parts) {
    sha256 sum;
    for (auto const& each : parts) {
        sum.update(each);
        sum.update(std::string_view("\0", 1));
    }
    return sum.finish().substr(0, 16);
}

/// The CPU matters to a snapshot: its clock runs at the host's TSC rate.
std::string host_cpu() {
    auto const text = read_file("/proc/cpuinfo");
    std::string out;
    for (char const* field : {"model name", "flags"})
        if (auto const at = text ? text->find(field) : std::string::npos; at != std::string::npos)
            out += text->substr(at, text->find('\n', at) - at);
    return out;
}

outcome<std::string> own_binary() {
    char path[4096];
    auto const n = ::readlink("/proc/self/exe", path, sizeof path);
    if (n <= 0)
        return problem_of(exit_code::harness, "cannot find our own binary", "/proc/self/exe", "mount /proc");
    return std::string("/proc/self/exe");
}
} // namespace

std::string why_it_died(std::string const& log) {
    for (char const* sign : {"Kernel panic", "BUG:", "Oops", "general protection fault"}) {
        auto const at = log.find(sign);
        if (at == std::string::npos)
            continue;
        auto const from = log.rfind('\n', at) + 1;
        return log.substr(from, log.find('\n', at) - from) + '\n';
    }
    return {};
}

std::string last_lines(std::string const& log, std::size_t lines) {
    auto at = log.size();
    while (at > 0 && lines > 0) {
        at = log.rfind('\n', at - 1);
        if (at == std::string::npos)
            return log;
        --lines;
    }
    return log.substr(at);
}

outcome<prepared> prepare_files(signal_gate const& gate, prepare_options const& options) {
    auto const xdg = tool::xdg_make(tool::xdg_folder::cache);
    if (!xdg)
        return std::unexpected(xdg.error());
    auto const cache = *xdg + "/lab";
    if (auto made = tool::make_folders(cache); !made)
        return std::unexpected(made.error());
    auto const self = own_binary();
    if (!self)
        return std::unexpected(self.error());
    auto const self_digest = digest_of(*self);
    if (!self_digest)
        return std::unexpected(self_digest.error());

    auto const base_name = std::string("base-") + recipe;
    auto const base = cache + '/' + base_name;
    if (options.verify)
        for (auto const& each : {base, cache})
            ::unlink((each + "/stamps").c_str());
    for (int attempt = 0; attempt < 4; ++attempt) {
        prepared out;
        auto in_use = file_lock::take(gate, cache + "/in-use.lock", false);
        if (!in_use)
            return std::unexpected(in_use.error());
        out.in_use = std::move(*in_use);
        bool const base_good = entry_is_good(base) && !(options.refresh && attempt == 0);
        auto const manifest = read_file((base + "/manifest").c_str());
        auto const image_name = "image-" + key_of({recipe, manifest ? *manifest : "", *self_digest});
        auto const image = cache + '/' + image_name;
        auto const snapshot_name = "snapshot-"
                                   + key_of({image_name, std::to_string(options.config.cpus), std::to_string(options.config.memory_mib),
                                             options.config.virtual_time ? "virtual" : "real", host_cpu()});
        auto const snapshot = cache + '/' + snapshot_name;
        if (options.verify && attempt == 0)
            for (auto const& each : {image, snapshot})
                ::unlink((each + "/stamps").c_str());
        bool const image_good = base_good && entry_is_good(image);
        out.files = {base + "/qemu", base + "/firmware", base + "/lib", base + "/vmlinuz", image + "/initrd", ""};
        if (image_good && entry_is_good(snapshot)) {
            out.files.snapshot = snapshot + "/state";
            out.parts = manifest->substr(0, manifest->find('\n'));
            return out;
        }
        // Something has to be built: one builder at a time, and nobody else may be reading while entries are replaced.
        out.in_use = file_lock();
        auto const build = file_lock::take(gate, cache + "/build.lock", true);
        if (!build)
            return std::unexpected(build.error());
        if (!base_good) {
            bool const wanted = options.refresh && attempt == 0;
            if (wanted || !entry_is_good(base)) // else somebody was faster
                if (auto done = build_base(gate, cache, base_name); !done)
                    return std::unexpected(done.error());
            continue; // the image's name follows from what was fetched
        }
        if (!entry_is_good(image)) {
            progress("building the image");
            if (auto done = build_image(gate, cache, image_name, base, *self); !done)
                return std::unexpected(done.error());
        }
        if (!entry_is_good(snapshot)) {
            progress(std::string("booting once for the snapshot (") + (options.config.virtual_time ? "virtual" : "real") + " time, "
                     + std::to_string(options.config.cpus) + " CPU, " + std::to_string(options.config.memory_mib) + " MiB)");
            if (auto done = build_snapshot(gate, cache, snapshot_name, options.config, out.files); !done)
                return std::unexpected(done.error());
        }
        auto const alone = file_lock::take(gate, cache + "/in-use.lock", true);
        if (!alone)
            return std::unexpected(alone.error());
        prune(cache, "base", 2);
        prune(cache, "image", 4);
        prune(cache, "snapshot", 8);
    }
    return problem_of(exit_code::harness, "the lab's cache does not stay good", cache, "check the disk; remove the folder");
}

} // namespace ktstr::lab
