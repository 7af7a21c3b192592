// SPDX-License-Identifier: Apache-2.0
#include "ktstr/sys/io.hpp"

#include "suites/temp_folder.hpp"

#include <array>
#include <csignal>
#include <doctest/doctest.h>
#include <pthread.h>

using namespace ktstr;

/// A pipe and a second thread that feeds or drains it, so that transfers are short and signals interrupt them.
struct pipe_pair {
    unique_fd in;
    unique_fd out;
    pipe_pair() {
        int fds[2];
        REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
        in = unique_fd(fds[0]);
        out = unique_fd(fds[1]);
    }
};

TEST_CASE("write_all and read_full: a transfer larger than the pipe, interrupted by signals") {
    struct sigaction act {};
    act.sa_handler = [](int) {}; // without SA_RESTART: read and write come back with EINTR
    struct sigaction old {};
    ::sigaction(SIGUSR1, &act, &old);

    constexpr std::size_t size = 3 * 1024 * 1024;
    struct job {
        pipe_pair pair;
        pthread_t main_thread = ::pthread_self();
        result<> answer{};
    } work;
    pthread_t thread{};
    REQUIRE(::pthread_create(
                &thread, nullptr,
                [](void* p) -> void* {
                    auto& j = *static_cast<job*>(p);
                    std::vector<std::byte> data(size, std::byte{7});
                    for (std::size_t at = 0; at < size && j.answer; at += size / 16) {
                        ::pthread_kill(j.main_thread, SIGUSR1);
                        j.answer = write_all(j.pair.out.get(), std::span(data).subspan(at, size / 16));
                    }
                    j.pair.out.reset();
                    return nullptr;
                },
                &work) == 0);
    std::vector<std::byte> got(size + 100);
    auto const n = read_full(work.pair.in.get(), got);
    ::pthread_join(thread, nullptr);
    ::sigaction(SIGUSR1, &old, nullptr);
    CHECK(work.answer);
    CHECK(n == size); // the end of the stream is no error
    CHECK(got[size - 1] == std::byte{7});
    CHECK(got[size] == std::byte{0});
}

TEST_CASE("write_all: a reader that went away is an error with its errno") {
    ::signal(SIGPIPE, SIG_IGN);
    pipe_pair pair;
    pair.in.reset();
    CHECK(write_all(pair.out.get(), "x").error() == error{errc::os, EPIPE, 0, "write"});
    CHECK(write_all(pair.out.get(), ""));
    CHECK(write_all(-1, "x").error().os_errno == EBADF);
    std::array<std::byte, 1> one{};
    CHECK(read_full(-1, one).error().where == "read");
}

TEST_CASE("pread_all: fills from an offset and says where the file ended") {
    auto const fd = unique_fd::memfd("test").value();
    REQUIRE(write_all(fd.get(), "0123456789"));
    std::array<char, 4> four{};
    CHECK(pread_all(fd.get(), std::as_writable_bytes(std::span(four)), 6));
    CHECK(std::string_view(four.data(), 4) == "6789");
    CHECK(pread_all(fd.get(), std::as_writable_bytes(std::span(four)), 7).error() ==
          error{errc::truncated, 0, 10, "pread"});
    CHECK(file_size(fd.get()) == 10);
    CHECK(file_size(-1).error().where == "fstat");
}

TEST_CASE("read_file: whole files, files of /proc, and a limit") {
    temp_folder const folder;
    {
        auto const fd = unique_fd::open(folder.at("f").c_str(), O_CREAT | O_WRONLY, 0600).value();
        REQUIRE(write_all(fd.get(), std::string(200'000, 'a')));
    }
    CHECK(read_file(folder.at("f").c_str()) == std::string(200'000, 'a'));
    CHECK(read_file(folder.at("f").c_str(), 200'000));
    CHECK(read_file(folder.at("f").c_str(), 199'999).error().code == errc::no_space);
    CHECK(read_file("/proc/self/status")->starts_with("Name:"));
    CHECK(read_file(folder.at("none").c_str()).error().code == errc::not_found);
    CHECK(read_file(folder.path().c_str()).error().os_errno == EISDIR);
}

TEST_CASE("write_control: one write into a file that exists, and never a new file") {
    temp_folder const folder;
    CHECK(write_control(folder.at("none").c_str(), "1").error().code == errc::not_found);
    CHECK(folder.entries() == 0);
    {
        auto const fd = unique_fd::open(folder.at("f").c_str(), O_CREAT | O_WRONLY, 0600);
        REQUIRE(fd);
    }
    CHECK(write_control(folder.at("f").c_str(), "42\n"));
    CHECK(read_file(folder.at("f").c_str()) == "42\n");
    CHECK(write_control("/dev/full", "1").error().code == errc::no_space);
}
