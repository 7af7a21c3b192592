// SPDX-License-Identifier: Apache-2.0
/// \file
/// Getting a guest ready, and handing it over.
#include "ktstr-run/session.hpp"

#include "ktstr-run/kernel_tool.hpp"
#include "ktstr-run/lab_carry.hpp"
#include "ktstr-run/programs.hpp"
#include "ktstr/boot/cmdline.hpp"
#include "ktstr/boot/elf_vmlinux.hpp"
#include "ktstr/sys/mapping.hpp"
#include "support/child.hpp"
#include "support/quantity.hpp"

#include <array>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace ktstr::tool {
namespace {

/// The inside keeps the limit itself; the lab only ends a command that does not.
constexpr nanos lab_margin = seconds(60);

outcome<bytes> kernel_memory(stored_kernel const& kernel) {
    auto const bad = [&](error const& e) {
        return std::unexpected(problem_from(e, exit_code::bad_input, "cannot read this kernel", kernel.vmlinux,
                                            "fetch or add it again with --force"));
    };
    auto const fd = unique_fd::open(kernel.vmlinux.c_str(), O_RDONLY);
    if (!fd)
        return bad(fd.error());
    auto const size = file_size(fd->get());
    if (!size)
        return bad(size.error());
    auto const file = mapping::map(*size, PROT_READ, MAP_PRIVATE, fd->get());
    if (!file)
        return bad(file.error());
    auto const image = parse_vmlinux(file->span());
    if (!image)
        return bad(image.error());
    return bytes{image->extent.size.raw};
}

outcome<std::string> kernel_command_line(boot_options const& options, virtio_transport transport) {
    constexpr std::array<std::string_view, 3> resets{"k", "a", "t"};
    cmdline line;
    auto const add = [&](auto const&... words) { return line.append(words...).has_value(); };
    // quiet: a console byte is an exit, and the log comes by the message port. panic=-1: a panic ends the machine at once.
    // The UART shows what a kernel says that dies before the message port exists (virtio_mmio is a module). Without virtio
    // behind PCI there is no PCI bus to look for.
    // An IOAPIC entry holds eight bits of APIC id: where there are larger ones, device interrupts stay with the first CPU.
    bool const wide = needs_x2apic(options.shape, apic_id_options{options.apic_stride});
    auto const ours = add("console=ttyS0 console=hvc0 quiet panic=-1 ktstr.role=agent") &&
                      add("reboot", resets[static_cast<std::size_t>(options.reset)]) &&
                      (transport == virtio_transport::pci || add("pci", "off")) &&
                      (!wide || add("irqaffinity", "0"));
    if (!ours)
        return problem_of(exit_code::harness, "cannot make the kernel command line");
    if (auto const user = line.append(options.cmdline); !user)
        return problem_of(exit_code::bad_input,
                          user.error().code == errc::no_space
                              ? fmt::format("the kernel command line is longer than {} characters", line.limit())
                              : "the kernel command line has a control character or an open quote in it",
                          "option --cmdline", "shorten it, or close the quote");
    return line.str();
}

outcome<bytes> enough_memory(boot_options const& options, memory_needs const& needs, memory_breakdown const& parts) {
    if (!options.memory)
        return memory_auto(needs);
    if (*options.memory < parts.total())
        return problem_of(exit_code::bad_input,
                          fmt::format("memory of {} is too little for this guest", size_text(options.memory->raw)),
                          text(parts),
                          fmt::format("give at least {}, or leave --memory out",
                                      size_text((parts.total().raw + MiB - 1) / MiB * MiB)));
    return *options.memory;
}

} // namespace

outcome<ready_guest> make_ready(boot_options const& options, plan const& what,
                                std::vector<include_file> const& programs, progress& show) {
    ready_guest out;
    auto const choose = [&]() -> outcome<> {
        auto facts = look_at_machine(options.machine);
        if (!facts)
            return std::unexpected(facts.error());
        auto where = choose_machine(options.machine, *facts);
        if (!where)
            return std::unexpected(where.error());
        out.where = *std::move(where);
        if (options.machine == machine_wish::automatic) // Whoever asked knows.
            show.line(out.where.why);
        return {};
    };
    // What was asked for by name is looked at first; a probe that may have to run guests comes after the kernel's name.
    if (options.machine != machine_wish::automatic)
        if (auto done = choose(); !done)
            return std::unexpected(done.error());
    auto kernel = resolve_kernel(options.kernel, show);
    if (!kernel)
        return std::unexpected(kernel.error());
    out.kernel = *std::move(kernel);
    auto const transport = choose_transport(out.kernel, options.transport);
    if (!transport)
        return std::unexpected(transport.error());
    out.transport = *transport;
    if (options.kaslr && out.kernel.relocs.empty())
        return problem_of(exit_code::bad_input,
                          "this kernel cannot be placed at a random address: it has no relocation tables",
                          fmt::format("option --kaslr, kernel {}", out.kernel.key),
                          "use --kaslr off, or a bzImage built with CONFIG_RELOCATABLE");
    if (options.machine == machine_wish::automatic)
        if (auto done = choose(); !done)
            return std::unexpected(done.error());
    auto line = kernel_command_line(options, out.transport);
    if (!line)
        return std::unexpected(line.error());
    out.cmdline = *std::move(line);

    auto const encoded = encode_plan(what);
    if (!encoded)
        return std::unexpected(problem_from(encoded.error(), exit_code::harness, "the plan for the guest is wrong"));
    if (!options.initramfs.empty()) {
        auto image = read_initramfs(options.initramfs, *encoded);
        if (!image)
            return std::unexpected(image.error());
        out.initramfs.image = *std::move(image);
        out.initramfs.base_file = options.initramfs;
    } else {
        initramfs_request request;
        auto const modules = transport_modules(out.kernel, out.transport);
        if (!modules)
            return std::unexpected(modules.error());
        for (auto const& module : *modules)
            request.modules.push_back(module.file);
        request.include = options.include;
        request.include.insert(request.include.end(), programs.begin(), programs.end());
        request.plan = *encoded;
        auto made = make_initramfs(request);
        if (!made)
            return std::unexpected(made.error());
        out.initramfs = *std::move(made);
        if (!out.initramfs.note.empty())
            show.line("note: " + out.initramfs.note);
    }

    auto const kernel_bytes = kernel_memory(out.kernel);
    if (!kernel_bytes)
        return std::unexpected(kernel_bytes.error());
    memory_needs needs;
    needs.kernel = *kernel_bytes;
    needs.packed = out.initramfs.image.total();
    needs.unpacked = out.initramfs.image.unpacked_base + bytes{out.initramfs.image.suffix.size()};
    needs.cpus = cpus(options.shape);
    needs.nodes = node_count(options.shape, options.layout);
    for (auto const& group : what.cgroups)
        needs.workers += group.workers;
    out.needs = break_down(needs);
    auto const memory = enough_memory(options, needs, out.needs);
    if (!memory)
        return std::unexpected(memory.error());
    out.memory = *memory;
    if (interrupt::number() != 0)
        return std::unexpected(interrupt::as_problem());
    return out;
}

machine_request request_for(boot_options const& options, ready_guest& guest, plan const& what, interrupt const& stop) {
    machine_request out;
    out.kernel = std::move(guest.kernel);
    out.shape = options.shape;
    out.layout = options.layout;
    out.memory = guest.memory;
    out.cmdline = guest.cmdline;
    out.initramfs = &guest.initramfs.image;
    out.what = what;
    out.wall_limit = options.wall_limit;
    out.seed = what.seed;
    out.kaslr = options.kaslr;
    out.vendor = options.vendor;
    out.apic_ids.stride = options.apic_stride;
    out.reset = options.reset;
    out.transport = guest.transport;
    out.console_fd = options.console ? STDERR_FILENO : -1;
    out.stop = &stop;
    return out;
}

outcome<exit_code> run_in_lab(invocation const& call, boot_options const& options, ready_guest const& guest,
                              std::vector<std::pair<std::string, std::string>> resolved, std::string lab_option,
                              interrupt const& stop) {
    if (guest.initramfs.base_file.empty())
        return problem_of(exit_code::harness, "the lab needs the initramfs as a file, and it could not be saved",
                          guest.initramfs.note, "make the cache folder writable, or point XDG_CACHE_HOME elsewhere");
    carry_context context;
    context.lab_program = lab_program();
    context.own_program = own_program();
    context.folder = absolute_path(".");
    context.kernel_folder = guest.kernel.dir;
    context.initramfs = guest.initramfs.base_file;
    context.lab_option = std::move(lab_option);
    context.limit = options.wall_limit + lab_margin;
    context.resolved = std::move(resolved);
    auto const words = carry_into_lab(call, context);
    if (!words)
        return std::unexpected(words.error());
    return run_child(*words, stop);
}

} // namespace ktstr::tool
