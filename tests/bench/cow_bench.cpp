// SPDX-License-Identifier: Apache-2.0
// Taking a consistent image of guest RAM: how long the machine must stand still, and what its writers pay afterwards.
//
// 1 GiB of RAM, 128 MiB of it touched (every page, all over), with small and with huge pages. A scheme `take`s the image
// (the frozen part), then a writer touches each of the 128 MiB once more while somebody reads the image out (into a CRC-like
// sum: no disk), then `drop`s it. `writer` is the time of that one pass, `worst` its longest gap between two pages.
#include "bench_statistics.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <memory>
#include <poll.h>
#include <sched.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

constexpr std::size_t ram_size = std::size_t{1} << 30;
constexpr std::size_t touched = std::size_t{128} << 20;
constexpr std::size_t page = 4096;
constexpr std::size_t run = std::size_t{2} << 20; // touched in runs of 2 MiB, every 16 MiB: huge pages do not multiply it

double now_us() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) * 1e-3;
}

/// The `i`th touched page.
constexpr std::size_t place(std::size_t i) { return i / (run / page) * (ram_size / (touched / run)) + i % (run / page) * page; }
constexpr std::size_t pages = touched / page;

[[noreturn]] void die(char const* what) {
    std::printf("cow_bench: %s: %s\n", what, std::strerror(errno));
    std::exit(99);
}

std::uint64_t read_out(unsigned char const* ram) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < pages; ++i)
        for (std::size_t at = 0; at < page; at += 64) {
            std::uint64_t w = 0;
            std::memcpy(&w, ram + place(i) + at, sizeof w);
            sum = sum * 31 + w;
        }
    return sum;
}

struct pass {
    double whole = 0, worst = 0;
};
pass touch_all(unsigned char* ram, unsigned char value) {
    pass out;
    auto const from = now_us();
    auto last = from;
    for (std::size_t i = 0; i < pages; ++i) {
        ram[place(i) + 8] = value;
        auto const now = now_us();
        out.worst = std::max(out.worst, now - last);
        last = now;
    }
    out.whole = last - from;
    return out;
}

struct figures {
    std::vector<double> frozen, writer, worst;
    bool possible = true;
};

/// What only another scheme uses is no part of the machine that is forked.
unsigned char* not_forked(unsigned char* at, std::size_t size) {
    if (::madvise(at, size, MADV_DONTFORK) != 0)
        die("MADV_DONTFORK");
    return at;
}

unsigned char* plain_ram(bool huge) {
    auto* const at = static_cast<unsigned char*>(::mmap(nullptr, ram_size + run, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (at == MAP_FAILED)
        die("mmap");
    auto* const ram = at + (run - reinterpret_cast<std::uintptr_t>(at) % run) % run;
    ::madvise(ram, ram_size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    touch_all(ram, 1);
    return ram; // kept until the process ends
}

void check(std::uint64_t a, std::uint64_t b, char const* who) {
    if (a != b) {
        std::printf("cow_bench: the image of %s is not the one at the freeze\n", who);
        std::exit(99);
    }
}

/// A child owns the image.
void with_fork(unsigned char* ram, figures& f, unsigned char value) {
    int out[2];
    if (::pipe(out) != 0)
        die("pipe");
    auto const before = read_out(ram);
    auto const from = now_us();
    auto const child = ::fork();
    if (child == 0) {
        auto const sum = read_out(ram);
        [[maybe_unused]] auto const ignored = ::write(out[1], &sum, sizeof sum);
        ::_exit(0);
    }
    f.frozen.push_back(now_us() - from);
    auto const p = touch_all(ram, value);
    f.writer.push_back(p.whole), f.worst.push_back(p.worst);
    std::uint64_t sum = 0;
    if (::read(out[0], &sum, sizeof sum) != sizeof sum)
        die("child");
    ::waitpid(child, nullptr, 0);
    ::close(out[0]), ::close(out[1]);
    check(before, sum, "fork");
}

/// Everything is copied while the machine stands still.
void with_copy(unsigned char* ram, figures& f, unsigned char value) {
    static auto* const copy = not_forked(static_cast<unsigned char*>(::mmap(nullptr, touched, PROT_READ | PROT_WRITE,
                                                                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0)), touched);
    auto const from = now_us();
    for (std::size_t i = 0; i < pages; i += run / page)
        std::memcpy(copy + i * page, ram + place(i), run);
    f.frozen.push_back(now_us() - from);
    auto const p = touch_all(ram, value);
    f.writer.push_back(p.whole), f.worst.push_back(p.worst);
}

/// Every touched page is write-protected; a thread copies a page before its first write, another walks over the rest.
template <bool Huge> // each RAM has a registration of its own
void with_userfault(unsigned char* ram, figures& f, unsigned char value) {
    static int const fd = [ram] {
        int const at = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY));
        uffdio_api api{UFFD_API, UFFD_FEATURE_PAGEFAULT_FLAG_WP, 0};
        uffdio_register range{{reinterpret_cast<std::uintptr_t>(ram), ram_size}, UFFDIO_REGISTER_MODE_WP, 0};
        if (at < 0 || ::ioctl(at, UFFDIO_API, &api) != 0 || ::ioctl(at, UFFDIO_REGISTER, &range) != 0)
            return -1;
        return at;
    }();
    if (fd < 0) {
        f.possible = false;
        return;
    }
    static auto* const copy = not_forked(static_cast<unsigned char*>(::mmap(nullptr, touched, PROT_READ | PROT_WRITE,
                                                                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0)), touched);
    static std::vector<std::atomic<bool>> saved(pages);
    for (auto& s : saved)
        s = false;
    auto const protect = [](std::uintptr_t at, std::size_t size, bool on) {
        uffdio_writeprotect w{{at, size}, on ? UFFDIO_WRITEPROTECT_MODE_WP : 0U};
        if (::ioctl(fd, UFFDIO_WRITEPROTECT, &w) != 0)
            die("UFFDIO_WRITEPROTECT");
    };
    auto const base = reinterpret_cast<std::uintptr_t>(ram);
    auto const save = [&](std::size_t i) {
        if (saved[i].exchange(true))
            return; // whoever was first lets the writer go
        std::memcpy(copy + i * page, ram + place(i), page);
        protect(base + place(i), page, false);
    };
    std::atomic<bool> end{false};
    std::thread faults([&] {
        while (!end) {
            pollfd p{fd, POLLIN, 0};
            ::poll(&p, 1, 10);
            uffd_msg m{};
            while (::read(fd, &m, sizeof m) == sizeof m) {
                auto const offset = (m.arg.pagefault.address & ~std::uint64_t{page - 1}) - base;
                auto const block = offset / (ram_size / (touched / run));
                save(block * (run / page) + offset % (ram_size / (touched / run)) / page);
            }
        }
    });
    auto const from = now_us();
    protect(base, ram_size, true);
    f.frozen.push_back(now_us() - from);
    std::thread walker([&] {
        for (std::size_t i = 0; i < pages; ++i)
            save(pages - 1 - i);
    });
    auto const p = touch_all(ram, value);
    f.writer.push_back(p.whole), f.worst.push_back(p.worst);
    walker.join();
    end = true;
    faults.join();
    for (std::size_t i = 0; i < pages; ++i)
        if (copy[i * page + 8] != static_cast<unsigned char>(value - 1) && value != 2) {
            std::printf("cow_bench: page %zu of the image is not the one at the freeze\n", i);
            std::exit(99);
        }
}

/// RAM is a memory file; while frozen it is mapped anew, privately, so the file keeps the image. Writers copy into private
/// pages, which go back into the file (not timed) when the image has been read.
struct file_ram {
    unsigned char* ram;
    unsigned char* image;
    int fd;
};
file_ram make_file_ram() {
    int const fd = ::memfd_create("ram", MFD_CLOEXEC);
    if (fd < 0 || ::ftruncate(fd, ram_size) != 0)
        die("memfd");
    auto const map = [fd](int flags) { return static_cast<unsigned char*>(::mmap(nullptr, ram_size, PROT_READ | PROT_WRITE, flags, fd, 0)); };
    file_ram out{not_forked(map(MAP_SHARED), ram_size), not_forked(map(MAP_SHARED), ram_size), fd};
    touch_all(out.ram, 1);
    return out;
}
void with_remap(file_ram const& m, figures& f, unsigned char value) {
    auto const before = read_out(m.image);
    auto const from = now_us();
    if (::mmap(m.ram, ram_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, m.fd, 0) == MAP_FAILED)
        die("remap");
    f.frozen.push_back(now_us() - from);
    std::uint64_t sum = 0;
    std::thread reader([&] { sum = read_out(m.image); });
    auto const p = touch_all(m.ram, value);
    f.writer.push_back(p.whole), f.worst.push_back(p.worst);
    reader.join();
    check(before, sum, "remap");
    for (std::size_t i = 0; i < pages; ++i)
        std::memcpy(m.image + place(i), m.ram + place(i), page);
    if (::mmap(m.ram, ram_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, m.fd, 0) == MAP_FAILED)
        die("map back");
    not_forked(m.ram, ram_size);
    touch_all(m.ram, value); // faults of the way back belong to nobody
}

void show(char const* pages_of, char const* name, figures const& f) {
    if (!f.possible) {
        std::printf("cow %s %s: not permitted here\n", pages_of, name);
        return;
    }
    std::printf("cow %s %s, us: frozen median %.0f p99 %.0f, writer's pass median %.0f, worst gap median %.0f p99 %.0f\n", pages_of, name,
                bench::median(f.frozen), bench::percentile(f.frozen, 0.99), bench::median(f.writer), bench::median(f.worst),
                bench::percentile(f.worst, 0.99));
}

} // namespace

int main(int argc, char** argv) {
    int const rounds = argc > 1 ? std::atoi(argv[1]) : 21;
    for (bool const huge : {false, true}) {
        auto* const forked = plain_ram(huge);
        auto* const copied = not_forked(plain_ram(huge), ram_size);
        auto* const faulted = not_forked(plain_ram(huge), ram_size);
        static file_ram const file = make_file_ram();
        figures by_fork, by_copy, by_fault, by_remap, nothing;
        for (int i = 0; i < rounds; ++i) {
            auto const value = static_cast<unsigned char>(2 + i % 200);
            auto const p = touch_all(copied, value);
            nothing.frozen.push_back(0), nothing.writer.push_back(p.whole), nothing.worst.push_back(p.worst);
            with_fork(forked, by_fork, value);
            with_copy(copied, by_copy, value);
            huge ? with_userfault<true>(faulted, by_fault, value) : with_userfault<false>(faulted, by_fault, value);
            if (!huge) // the page cache of this file has small pages either way
                with_remap(file, by_remap, value);
        }
        char const* const of = huge ? "huge" : "4k";
        show(of, "nothing", nothing);
        show(of, "fork", by_fork);
        show(of, "copy", by_copy);
        auto fastest = bench::median(by_copy.frozen);
        show(of, "userfaultfd", by_fault);
        if (by_fault.possible)
            fastest = std::min(fastest, bench::median(by_fault.frozen));
        if (!huge) {
            show(of, "remap", by_remap);
            fastest = std::min(fastest, bench::median(by_remap.frozen));
        }
        not_forked(forked, ram_size); // nor in the next turn
        std::printf("ratio fork_frozen_per_fastest_%s %.3f wanted <= 2\n", of, bench::median(by_fork.frozen) / fastest);
    }
    return 0;
}
