// SPDX-License-Identifier: Apache-2.0
/// \file
/// Runs one fuzz target as an ordinary test: every seed of its corpus, every truncation of small seeds, and mutations
/// that depend on the seed number alone. Usage: replay-NAME CORPUS [MILLISECONDS [SEED]].
/// Exits 0 when nothing went wrong; the sanitizers this is built with end it otherwise. A corpus without a seed fails.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size);

namespace {

using input = std::vector<std::uint8_t>;

// What is being run, for the message of a crash: kept in a file-scope buffer so that an abort can still show it.
std::string crash_path; // NOLINT(cert-err58-cpp)

/// Gives a copy of exactly this size to the target, so that the address sanitizer sees the first byte beyond it.
void run(input const& bytes) {
    auto* exact = static_cast<std::uint8_t*>(std::malloc(bytes.empty() ? 1 : bytes.size()));
    if (!bytes.empty())
        std::memcpy(exact, bytes.data(), bytes.size());
    if (!crash_path.empty()) {
        if (auto* f = std::fopen(crash_path.c_str(), "wb")) {
            std::fwrite(exact, 1, bytes.size(), f);
            std::fclose(f);
        }
    }
    LLVMFuzzerTestOneInput(exact, bytes.size());
    std::free(exact);
}

std::vector<std::string> files_of(std::string const& folder) {
    std::vector<std::string> out;
    if (auto* dir = ::opendir(folder.c_str())) {
        while (auto const* entry = ::readdir(dir)) {
            if (entry->d_name[0] != '.')
                out.push_back(folder + "/" + entry->d_name);
        }
        ::closedir(dir);
    }
    std::sort(out.begin(), out.end());
    return out;
}

input read(std::string const& path) {
    std::ifstream in(path, std::ios::binary);
    return input(std::istreambuf_iterator<char>(in), {});
}

/// One to four small damages: a bit, a byte, an interesting number, a cut, an insertion, a repeated piece.
input mutate(input bytes, std::mt19937_64& random) {
    auto const below = [&random](std::size_t n) { return static_cast<std::size_t>(random() % std::max<std::size_t>(n, 1)); };
    constexpr std::uint64_t interesting[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
                                             0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff};
    for (auto rounds = 1 + below(4); rounds > 0; --rounds) {
        if (bytes.empty()) {
            bytes.resize(1 + below(64));
            continue;
        }
        auto const at = below(bytes.size());
        switch (below(6)) {
        case 0: bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ (1U << below(8))); break;
        case 1: bytes[at] = static_cast<std::uint8_t>(random()); break;
        case 2: {
            auto const number = interesting[below(std::size(interesting))];
            auto const width = std::min<std::size_t>(std::size_t{1} << below(4), bytes.size() - at);
            std::memcpy(bytes.data() + at, &number, width);
            break;
        }
        case 3: bytes.resize(at); break;
        case 4: bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), 1 + below(16), static_cast<std::uint8_t>(random())); break;
        default: {
            auto const n = std::min<std::size_t>(below(64) + 1, bytes.size() - at);
            input const piece(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                              bytes.begin() + static_cast<std::ptrdiff_t>(at + n));
            bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size())), piece.begin(), piece.end());
        }
        }
    }
    return bytes;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 2)
        return std::fprintf(stderr, "usage: %s CORPUS [MILLISECONDS [SEED]]\n", argv[0]), 2;
    auto const* const slash = std::strrchr(argv[0], '/');
    std::string const name = slash != nullptr ? slash + 1 : argv[0];
    auto const limit = std::chrono::milliseconds(argc > 2 ? std::atol(argv[2]) : 1500);
    std::uint64_t const seed = argc > 3 ? std::strtoull(argv[3], nullptr, 0) : 1;
    if (auto const* path = std::getenv("KTSTR_REPLAY_LAST")) // where the input being run is kept, to reproduce a crash
        crash_path = path;

    auto const paths = files_of(argv[1]);
    if (paths.empty()) {
        std::printf("not ok fuzz.%s the corpus %s has no seed\n", name.c_str(), argv[1]);
        return 1;
    }
    auto const start = std::chrono::steady_clock::now();
    auto const over = [&] { return std::chrono::steady_clock::now() - start > limit; };
    std::vector<input> seeds;
    std::size_t runs = 0;
    run({});
    for (auto const& path : paths) {
        seeds.push_back(read(path));
        run(seeds.back());
        ++runs;
    }
    for (auto const& whole : seeds) {
        auto const step = std::max<std::size_t>(1, whole.size() / 512);
        for (std::size_t n = 0; n < whole.size() && !over(); n += step, ++runs)
            run(input(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)));
    }
    std::mt19937_64 random(seed);
    for (std::size_t i = 0; i < 20'000 && !over(); ++i, ++runs)
        run(mutate(seeds[i % seeds.size()], random));
    std::printf("ok fuzz.%s # %zu seeds, %zu runs, seed %llu\n", name.c_str(), seeds.size(), runs,
                static_cast<unsigned long long>(seed));
    return 0;
}
