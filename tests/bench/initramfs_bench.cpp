// SPDX-License-Identifier: Apache-2.0
// Copying the initramfs base into guest RAM against mapping the cache file over it: host time until it is in place, and
// the time a guest takes to read one byte of each page for the first time. Fresh RAM and a fresh machine each time.
#include "ktstr/boot/initramfs_cache.hpp"
#include "ktstr/mem/mmap_memory.hpp"
#include "ktstr/probe/kvm_probe.hpp"
#include "bench_statistics.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace ktstr;

namespace {

constexpr std::uint64_t ram_size = 64 * MiB;
constexpr gpa place_at{32 * MiB};

// again: mov al, [rsi]; add rsi, 4096; dec rcx; jnz again; out 0x80, al; hlt
constexpr unsigned char touch[]{0x8a, 0x06, 0x48, 0x81, 0xc6, 0x00, 0x10, 0x00, 0x00, 0x48, 0xff, 0xc9, 0x75, 0xf2, 0xe6, 0x80, 0xf4};

struct sample {
    double place_us = 0;
    double touch_us = 0;
    double private_kib = 0; ///< Memory of our own that it took, before the guest touched it.
};

double microseconds(nanos t) { return static_cast<double>(t.raw) / 1000; }

/// Resident anonymous memory of this process.
double resident_anonymous_kib() {
    auto const text = read_file("/proc/self/status");
    auto const at = text ? text->find("RssAnon:") : std::string::npos;
    return at == std::string::npos ? 0 : std::strtod(text->c_str() + at + 8, nullptr);
}

template <InitramfsPlacement Placement>
result<sample> once(kvm::hypervisor& host, initramfs_image const& image) {
    sample out;
    KTSTR_TRY(auto ram, anonymous_ram::make(bytes{ram_size}));
    buffer_memory const memory(ram.span());
    KTSTR_CHECK(write_boot_tables(memory));
    KTSTR_CHECK(write_guest(memory, probe_stub::code, std::as_bytes(std::span(touch))));
    auto const before = resident_anonymous_kib();
    auto const from = monotonic_clock{}.now();
    KTSTR_TRY(auto const placed, place_initramfs<Placement>(memory, place_at, image));
    out.place_us = microseconds(monotonic_clock{}.now() - from);
    out.private_kib = resident_anonymous_kib() - before;
    KTSTR_TRY(auto vm, host.create_vm({.irqchip = false}));
    KTSTR_CHECK(vm.map(0, gpa{0}, ram.span()));
    KTSTR_TRY(auto cpu, vm.create_vcpu(vcpu_index{0}, 0));
    auto state = probe_stub::start(placed.range.start);
    state.regs.rcx = image.base.size() / initramfs_page;
    KTSTR_CHECK(kvm::set_boot_state(cpu.fd(), state));
    auto const start = monotonic_clock{}.now();
    while (::ioctl(cpu.fd(), KVM_RUN, 0UL) < 0 && errno == EINTR) {
    }
    if (cpu.page().exit_reason != KVM_EXIT_IO)
        return fail(errc::guest_fault, "initramfs_bench", cpu.page().exit_reason);
    out.touch_us = microseconds(monotonic_clock{}.now() - start);
    return out;
}

template <InitramfsPlacement Placement>
void report(char const* name, std::vector<sample> const& all) {
    auto const middle = [&all](double sample::*field) {
        std::vector<double> v;
        for (auto const& s : all)
            v.push_back(s.*field);
        return bench::median(v);
    };
    std::printf("%s: in place after %.0f us, then read by the guest in %.0f us, %.0f KiB of our own\n", name,
                middle(&sample::place_us), middle(&sample::touch_us), middle(&sample::private_kib));
}

} // namespace

int main(int argc, char** argv) {
    int const pairs = argc > 1 ? std::atoi(argv[1]) : 31;
    std::string folder = std::string(std::getenv("TMPDIR") != nullptr ? std::getenv("TMPDIR") : "/tmp") + "/ktstr-bench-XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr)
        return 99;
    initramfs_builder files;
    std::vector<std::byte> content(4 * MiB);
    for (std::size_t i = 0; i < content.size(); ++i)
        content[i] = static_cast<std::byte>(i * 31 >> 5);
    auto host = kvm::hypervisor::open();
    if (!host) {
        std::printf("skip initramfs_bench %s\n", host.error().where.data());
        ::rmdir(folder.c_str());
        return 77;
    }
    initramfs_cache const cache(folder);
    bool good = files.add_file("init", 0755, std::move(content)).has_value();
    auto const image = cache.get(files, store_only{}, std::vector<std::byte>(512));
    good = good && image && image->image.file;
    if (image)
        ::unlink(image->path.c_str());
    ::rmdir(folder.c_str());

    std::vector<sample> copied, mapped;
    std::vector<double> place, total;
    for (int i = 0; good && i < pairs; ++i) {
        auto c = i % 2 == 0 ? once<copy_placement>(*host, image->image) : result<sample>{};
        auto const m = once<map_placement>(*host, image->image);
        if (i % 2 != 0)
            c = once<copy_placement>(*host, image->image);
        good = c && m;
        if (!good)
            break;
        copied.push_back(*c);
        mapped.push_back(*m);
        place.push_back(m->place_us / c->place_us);
        total.push_back((m->place_us + m->touch_us) / (c->place_us + c->touch_us));
    }
    if (!good)
        return 99;
    report<copy_placement>("copy", copied);
    report<map_placement>("map ", mapped);
    auto const p = bench::median_interval(place);
    auto const t = bench::median_interval(total);
    std::printf("ratio initramfs_map_place %.4f [%.4f, %.4f] wanted <= 0.5\n", bench::median(place), p.low, p.high);
    std::printf("ratio initramfs_map_place_and_read %.4f [%.4f, %.4f]\n", bench::median(total), t.low, t.high);
    return 0;
}
