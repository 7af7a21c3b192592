// SPDX-License-Identifier: Apache-2.0
// Building the machine of a request: everything between the checked command line and the first KVM_RUN.
#include "ktstr-run/linux_machine.hpp"

#include "ktstr/arch/x86_64/apic_id.hpp"
#include "ktstr/arch/x86_64/cpuid.hpp"
#include "ktstr/boot/bzimage.hpp"
#include "ktstr/boot/elf_vmlinux.hpp"
#include "ktstr/boot/mapped_source.hpp"
#include "ktstr/boot/relocs.hpp"
#include "ktstr/firmware/acpi/build.hpp"
#include "ktstr/kvm/x86_64/cpuid.hpp"
#include "ktstr/mem/region.hpp"
#include "ktstr/runner/x86_64/linux_boot.hpp"
#include "ktstr/runner/x86_64/vcpu_setup.hpp"
#include "ktstr/sys/fd.hpp"
#include "ktstr/sys/mapping.hpp"

#include <array>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace ktstr::tool {

namespace {

problem of_host(error const& e, std::string what) {
    if (e.where == "/dev/kvm")
        return problem_from(e, exit_code::missing, "this machine's KVM cannot be used", "/dev/kvm",
                            e.code == errc::permission ? "add this user to the group kvm, or use --machine lab"
                                                       : "use --machine lab");
    return problem_from(e, exit_code::harness, std::move(what), "", "ktstr-run doctor tells what this machine can do");
}

/// The files of a stored kernel, opened for loading.
struct kernel_files {
    unique_fd vmlinux;
    mapping image_bytes;
    vmlinux_image image;
    mapping relocs_bytes;
    reloc_tables relocs;
    std::optional<x86_boot::setup_header> header;
};

result<mapping> map_file(std::string const& path) {
    KTSTR_TRY(auto const fd, unique_fd::open(path.c_str(), O_RDONLY));
    KTSTR_TRY(auto const size, file_size(fd.get()));
    if (size == 0)
        return fail(errc::truncated, "kernel.file", 0);
    return mapping::map(size, PROT_READ, MAP_PRIVATE, fd.get());
}

result<kernel_files> open_kernel(stored_kernel const& kernel, bool relocs) {
    kernel_files out;
    KTSTR_TRY(out.vmlinux, unique_fd::open(kernel.vmlinux.c_str(), O_RDONLY));
    KTSTR_TRY(out.image_bytes, map_file(kernel.vmlinux));
    KTSTR_TRY(out.image, parse_vmlinux(out.image_bytes.span()));
    if (relocs && !kernel.relocs.empty()) {
        KTSTR_TRY(out.relocs_bytes, map_file(kernel.relocs));
        KTSTR_TRY(out.relocs, parse_relocs(out.relocs_bytes.span()));
    }
    if (!kernel.bzimage.empty()) {
        KTSTR_TRY(auto const packed, map_file(kernel.bzimage));
        KTSTR_TRY(auto const parsed, parse_bzimage(packed.span()));
        out.header = parsed.header;
    }
    return out;
}

/// Two numbers from the run's seed that other uses of the seed do not get (splitmix64).
kaslr_random kaslr_from(std::uint64_t seed) {
    auto const next = [&seed] {
        auto z = seed += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    };
    auto const physical = next();
    return {physical, next()};
}

cpu_vendor vendor_of(vendor_choice choice) {
    switch (choice) {
    case vendor_choice::host: return cpu_vendor::host;
    case vendor_choice::intel: return cpu_vendor::intel;
    case vendor_choice::amd: return cpu_vendor::amd;
    }
    return cpu_vendor::host;
}

result<acpi_tables> tables_of(machine_request const& request, std::span<std::uint32_t const> ids,
                              std::span<ram_region const> ram) {
    bool const pci = request.transport == virtio_transport::pci;
    std::array<acpi_virtio_window, machine_devices::virtio_count> windows{};
    for (std::uint32_t i = 0; i < windows.size(); ++i)
        windows[i] = {x86_map::virtio(i), x86_map::virtio_gsi[i]};
    std::array const uarts{acpi_uart{x86_map::com1, x86_map::com1_gsi}, acpi_uart{x86_map::com2, x86_map::com2_gsi}};
    acpi_config config;
    config.shape = request.shape;
    config.layout = request.layout;
    config.apic_ids = ids;
    config.ram = ram;
    if (pci)
        config.pci = x86_map::pci;
    else
        config.virtio = windows;
    config.uarts = uarts;
    config.place = x86_map::acpi;
    return build_acpi(config);
}

problem of_loading(error const& e, machine_request const& request) {
    auto const mib = [](std::uint64_t n) { return std::to_string(n / MiB) + " MiB"; };
    if (e.code == errc::no_space || (e.code == errc::out_of_range && e.where == "guest_memory"))
        return {exit_code::bad_input,
                "the guest's memory of " + mib(request.memory.raw) + " is too small for its kernel and initramfs (" +
                    mib(request.initramfs != nullptr ? request.initramfs->total().raw : 0) + "): " + describe(e),
                "option --memory", "give more, or --memory auto"};
    if (e.where == "kaslr.relocs")
        return {exit_code::bad_input, "this kernel has no relocation tables, so KASLR cannot be on", request.kernel.key,
                "use --kaslr off, or add the kernel's bzImage"};
    return problem_from(e, exit_code::bad_input, "the kernel cannot be loaded", request.kernel.vmlinux,
                        "ktstr-run kernel list shows the kernels; rm and fetch it again");
}

} // namespace

std::vector<vcpu_time> vcpu_times(machine_runner& runner) {
    std::vector<vcpu_time> out;
    for (auto const& slot : runner.vcpus()) {
        auto const s = slot.service();
        out.push_back({s.cpu_ns, s.run_delay_ns});
    }
    return out;
}

outcome<linux_machine> build_linux_machine(machine_request const& request, nanos from) {
    linux_machine out;
    auto const mark = [&](std::string name) { out.boot.push_back({std::move(name), monotonic_clock{}.now() - from}); };

    auto const nodes = node_memory(request.shape, request.layout, request.memory);
    if (!nodes)
        return std::unexpected(of_loading(nodes.error(), request));
    auto const ram = lay_out_ram(*nodes, x86_map::mmio_hole);
    if (!ram)
        return std::unexpected(problem_from(ram.error(), exit_code::bad_input, "the guest's memory cannot be laid out"));

    machine_shape shape;
    shape.ram = *ram;
    for (std::uint32_t cpu = 0; cpu < cpus(request.shape); ++cpu)
        shape.vcpu_ids.push_back(apic_id(request.shape, cpu, request.apic_ids));
    auto const ids = shape.vcpu_ids;
    out.hardware_ids = ids;

    auto runner = machine_runner::make(std::move(shape));
    if (!runner)
        return std::unexpected(of_host(runner.error(), "the virtual machine cannot be made"));
    out.runner = std::make_unique<machine_runner>(std::move(*runner));
    mark("machine");

    auto kernel = open_kernel(request.kernel, request.kaslr);
    if (!kernel)
        return std::unexpected(of_loading(kernel.error(), request));
    auto const tables = tables_of(request, ids, *ram);
    if (!tables)
        return std::unexpected(problem_from(tables.error(), exit_code::harness, "the ACPI tables cannot be made"));
    linux_boot boot;
    boot.image = &kernel->image;
    boot.relocs = kernel->relocs;
    boot.header = kernel->header;
    boot.cmdline = request.cmdline;
    boot.initramfs = request.initramfs;
    boot.acpi = tables->image;
    if (request.kaslr)
        boot.kaslr = kaslr_from(request.seed);
    auto const placed = place_linux<map_placement>(out.runner->memory(), *ram,
                                                   mapped_source{kernel->vmlinux.get(), kernel->image_bytes.size()}, boot);
    if (!placed)
        return std::unexpected(of_loading(placed.error(), request));
    mark("kernel loaded");

    auto const supported = kvm::supported_cpuid(out.runner->hypervisor().fd());
    if (!supported)
        return std::unexpected(of_host(supported.error(), "KVM does not say which CPUID it supports"));
    cpuid_options options;
    options.vendor = vendor_of(request.vendor);
    options.ids = request.apic_ids;
    options.tsc_deadline = out.runner->hypervisor().capability(KVM_CAP_TSC_DEADLINE_TIMER) != 0;
    options.extended_destination = needs_x2apic(request.shape, request.apic_ids);
    for (std::uint32_t cpu = 0; cpu < ids.size(); ++cpu) {
        auto const leaves = make_cpuid(*supported, request.shape, cpu, options);
        if (!leaves)
            return std::unexpected(problem_from(leaves.error(), exit_code::missing, "the guest's CPUID cannot be made"));
        if (auto const done = set_up_linux_vcpu(out.runner->vcpu(cpu), *leaves, cpu == 0 ? &placed->bsp : nullptr,
                                                options.extended_destination);
            !done)
            return std::unexpected(of_host(done.error(), "vCPU " + std::to_string(cpu) + " cannot be set up"));
    }

    auto output = guest_output::make(request.console_fd, request.output_fd);
    if (!output)
        return std::unexpected(of_host(output.error(), "the guest's ports cannot be made"));
    out.output = std::move(*output);
    if (request.what.mode == run_mode::shell)
        out.output->open_terminal();
    auto devices = machine_devices::make(request.transport, out.runner->memory(), guest_ports{out.output},
                                         serial_output{out.output}, serial_output{nullptr});
    if (!devices)
        return std::unexpected(of_host(devices.error(), "the guest's devices cannot be made"));
    out.devices = std::move(*devices);
    if (auto const done = out.devices->connect(out.runner->vm(), [&](int kick) { return out.runner->add_worker(kick); }); !done)
        return std::unexpected(of_host(done.error(), "the guest's devices cannot be connected"));
    out.events = std::make_unique<event_queue<vcpu_event>>();
    out.exits = std::make_unique<machine_exits>(out.devices->exits(), *out.events);
    out.exits->watch_over(out.runner.get(), *out.watches);
    mark("vCPUs and devices");
    return out;
}

} // namespace ktstr::tool
