// SPDX-License-Identifier: Apache-2.0
/// \file
/// A core on disk against dd of the same bytes, and what the parts of it cost: finding zero pages, packing, reading maps.
///
/// Usage: snapshot_bench [FOLDER [PAIRS [MIB]]]. The guest: 1 GiB of RAM, MIB (128) of it written, in pieces of 2 MiB
/// that are half zeros. dd copies a tmpfs file with exactly those bytes that the core holds, `conv=fsync`.
#include "bench/bench_statistics.hpp"
#include "ktstr/base/clock.hpp"
#include "ktstr/mem/mmap_memory.hpp"
#include "ktstr/snapshot/compress_zstd.hpp"
#include "ktstr/snapshot/elf_core.hpp"
#include "ktstr/snapshot/file_sink.hpp"
#include "ktstr/snapshot/put_ram.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace ktstr;

namespace {

double milliseconds(nanos t) { return static_cast<double>(t.raw) / 1e6; }

template <class Work>
double timed(Work work) {
    auto const from = monotonic_clock{}.now();
    if (!work())
        std::exit(99);
    return milliseconds(monotonic_clock{}.now() - from);
}

/// Memory as a guest leaves it: text that repeats a little, tables of small numbers, some noise.
void fill(std::span<std::byte> piece, std::uint64_t seed) {
    for (std::size_t i = 0; i + 8 <= piece.size(); i += 8) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        std::uint64_t word = 0;
        switch (i / 4096 % 4) {
        case 0: word = seed; break;
        case 1: word = (seed >> 60) * 0x0101; break;
        case 2: word = 0xffff'8880'0000'0000 + (seed >> 44 << 6); break;
        default: word = 0x6c6c'6568'206f'7420 + (seed >> 62);
        }
        std::memcpy(piece.data() + i, &word, sizeof word);
    }
}

bool run(char const* command) {
    auto const status = std::system(command); // NOLINT(cert-env33-c): dd is the reference
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

template <class Sink>
double take(Sink& sink, snapshot_header const& header, mmap_memory const& memory) {
    return timed([&] {
        bool const good = sink.begin(header) && put_ram(sink, memory) && sink.commit();
        if (!good)
            sink.abort();
        return good;
    });
}

double blocks_mib(std::string const& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 ? static_cast<double>(st.st_blocks) * 512 / (1024 * 1024) : 0;
}

} // namespace

int main(int argc, char** argv) {
    std::string const folder = argc > 1 ? argv[1] : std::getenv("TMPDIR") != nullptr ? std::getenv("TMPDIR") : "/tmp";
    int const pairs = argc > 2 ? std::atoi(argv[2]) : 9;
    auto const written = static_cast<std::uint64_t>(argc > 3 ? std::atoi(argv[3]) : 128) * MiB;
    auto memory = mmap_memory::make({{{gpa{0}, bytes{1 * GiB}}, 0, bytes{0}}});
    auto const shm = "/dev/shm/ktstr-snapshot-bench-" + std::to_string(::getpid());
    auto const flat = unique_fd::open(shm.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    if (!memory || !flat)
        return 99;
    auto const ram = memory->slice(gpa{0}, 1 * GiB);
    std::uint64_t put = 0;
    for (std::uint64_t at = 0; put < written; at += 4 * MiB, put += 1 * MiB) {
        auto const piece = ram->subspan(static_cast<std::size_t>(at % GiB), 1 * MiB);
        fill(piece, at);
        if (!pwrite_all(flat->get(), piece, put))
            return 99;
    }
    std::vector<vcpu_record> cpus(8);
    snapshot_header header;
    header.arch = "x86_64";
    header.ram = memory->regions();
    header.vcpus = cpus;

    null_sink none;
    ram_counts counts;
    auto const looked = timed([&] {
        auto const done = put_ram(none, *memory);
        if (done)
            counts = *done;
        return done.has_value();
    });
    std::printf("put_ram into nothing: %.2f ms; pages put %llu, zero %llu, untouched %llu\n", looked,
                static_cast<unsigned long long>(counts.put), static_cast<unsigned long long>(counts.zero),
                static_cast<unsigned long long>(counts.untouched));
    auto const zeros = mapping::map(256 * MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE);
    if (!zeros)
        return 99;
    std::uint64_t zero_pages = 0;
    auto const test = timed([&] {
        for (std::size_t at = 0; at < zeros->size(); at += 4096)
            zero_pages += is_zero_page(zeros->data() + at) ? 1U : 0U;
        return zero_pages == zeros->size() / 4096;
    });
    std::printf("is_zero_page over 256 MiB of zeros: %.1f ms, %.1f GiB/s\n", test, 0.25 / test * 1000);
    std::uint32_t sum = 0;
    auto const crc = timed([&] { return (sum = crc32_sliced(ram->first(128 * MiB))) != 0; });
    std::printf("crc32_sliced: %.1f GiB/s\n", 0.125 / crc * 1000);

    auto const core = folder + "/ktstr-bench-core", own = folder + "/ktstr-bench-ktsnap", packed = folder + "/ktstr-bench-zstd",
               copy = folder + "/ktstr-bench-dd";
    auto const dd = "dd if=" + shm + " of=" + copy + " bs=1M conv=fsync status=none";
    elf_core_sink core_sink(core);
    file_sink own_sink(own);
    basic_file_sink<zstd_chunks> zstd_sink(packed);
    std::vector<double> dd_ms, core_ms, own_ms, zstd_ms, core_ratio, own_ratio, zstd_ratio;
    for (int i = 0; i < pairs; ++i) {
        for (auto const& old : {core, own, packed, copy})
            ::unlink(old.c_str());
        double reference = 0, of_core = 0;
        auto const copy_it = [&] { reference = timed([&] { return run(dd.c_str()); }); };
        auto const core_it = [&] { of_core = take(core_sink, header, *memory); };
        i % 2 == 0 ? copy_it() : core_it();
        i % 2 == 0 ? core_it() : copy_it();
        own_ms.push_back(take(own_sink, header, *memory));
        zstd_ms.push_back(take(zstd_sink, header, *memory));
        dd_ms.push_back(reference);
        core_ms.push_back(of_core);
        core_ratio.push_back(of_core / reference);
        own_ratio.push_back(own_ms.back() / reference);
        zstd_ratio.push_back(zstd_ms.back() / reference);
    }
    std::printf("%.0f MiB: dd %.0f ms, core %.0f ms (%.1f MiB on disk), ktsnap %.0f ms (%.1f MiB), zstd %.0f ms (%.1f MiB)\n",
                static_cast<double>(written) / MiB, bench::median(dd_ms), bench::median(core_ms), blocks_mib(core), bench::median(own_ms),
                blocks_mib(own), bench::median(zstd_ms), blocks_mib(packed));
    auto const say = [](char const* name, std::vector<double> const& v, char const* bound) {
        auto const range = bench::median_interval(v);
        std::printf("ratio %s %.3f [%.3f, %.3f]%s\n", name, bench::median(v), range.low, range.high, bound);
    };
    say("snapshot_core_to_dd", core_ratio, " wanted <= 1.2");
    say("snapshot_ktsnap_to_dd", own_ratio, "");
    say("snapshot_zstd_to_dd", zstd_ratio, "");
    for (auto const& path : {core, own, packed, copy, shm})
        ::unlink(path.c_str());
    return 0;
}
