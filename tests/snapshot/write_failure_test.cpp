// SPDX-License-Identifier: Apache-2.0
// What both file formats promise when the disk does not play along: an error, nothing under the final name, old files
// whole. The file size limit of a child process stands for a full disk.
#include "ktstr/snapshot/elf_core.hpp"
#include "ktstr/snapshot/file_sink.hpp"

#include "ktstr/snapshot/put_ram.hpp"
#include "snapshot/sample_machine.hpp"
#include "suites/temp_folder.hpp"

#include <csignal>
#include <filesystem>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace ktstr;
using test::sample_machine;

namespace {

/// Runs `work` in a child; its exit code.
template <class Work>
int in_child(Work work) {
    auto const child = ::fork();
    if (child == 0)
        ::_exit(work());
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 200 + WTERMSIG(status);
}

template <class Sink>
result<> take(Sink& sink, sample_machine const& machine) {
    auto const all = [&]() -> result<> {
        KTSTR_CHECK(sink.begin(machine.header()));
        KTSTR_TRY(auto const counts, put_ram(sink, machine.memory));
        static_cast<void>(counts);
        return sink.commit();
    };
    auto const done = all();
    if (!done)
        sink.abort();
    return done;
}

} // namespace

TEST_CASE_TEMPLATE("snapshot files: no room", Sink, elf_core_sink, file_sink) {
    sample_machine machine;
    temp_folder folder;
    auto const path = folder.at("snapshot");
    {
        Sink sink(path);
        REQUIRE(take(sink, machine));
    }
    auto const old = read_file(path.c_str());
    REQUIRE(old);
    for (rlim_t const limit : {rlim_t{0}, rlim_t{4096}, rlim_t{8192}, static_cast<rlim_t>(old->size() - 1)}) {
        CAPTURE(limit);
        CHECK(in_child([&] {
                  ::signal(SIGXFSZ, SIG_IGN);
                  rlimit const no_more{limit, limit};
                  ::setrlimit(RLIMIT_FSIZE, &no_more);
                  Sink sink(path);
                  auto const done = take(sink, machine);
                  return !done && done.error().os_errno == EFBIG ? 7 : 1;
              }) == 7);
        CHECK(folder.entries() == 1);
        CHECK(*read_file(path.c_str()) == *old);
    }
}

TEST_CASE_TEMPLATE("snapshot files: killed half-way, nothing appears under the name", Sink, elf_core_sink, file_sink) {
    sample_machine machine;
    temp_folder folder;
    CHECK(in_child([&] {
              Sink sink(folder.at("snapshot"));
              if (!sink.begin(machine.header()) || !put_ram(sink, machine.memory))
                  return 1;
              ::raise(SIGKILL);
              return 2;
          }) == 200 + SIGKILL);
    CHECK(::access(folder.at("snapshot").c_str(), F_OK) != 0);
}

TEST_CASE_TEMPLATE("snapshot files: a pipe, a link and a missing folder are refused before a byte is written", Sink, elf_core_sink,
                   file_sink) {
    sample_machine machine;
    temp_folder folder;
    REQUIRE(::mkfifo(folder.at("pipe").c_str(), 0600) == 0);
    REQUIRE(::symlink("elsewhere", folder.at("link").c_str()) == 0);
    for (auto const* name : {"pipe", "link"}) {
        Sink sink(folder.at(name));
        CHECK(take(sink, machine).error().code == errc::unsupported);
    }
    Sink sink(folder.at("none/snapshot"));
    CHECK(take(sink, machine).error().code == errc::not_found);
    CHECK(folder.entries() == 2);
}

TEST_CASE_TEMPLATE("snapshot files: written by a forked child from its own view of RAM", Sink, elf_core_sink, file_sink) {
    sample_machine machine;
    temp_folder folder;
    Sink here(folder.at("here"));
    REQUIRE(take(here, machine));
    int fds[2];
    REQUIRE(::pipe(fds) == 0);
    auto const child = ::fork();
    if (child == 0) {
        char go = 0;
        Sink there(folder.at("there"));
        ::_exit(::read(fds[0], &go, 1) == 1 && take(there, machine) ? 0 : 1);
    }
    machine.write(0x1000, "changed after the fork");
    REQUIRE(::write(fds[1], "g", 1) == 1);
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(status == 0);
    CHECK(*read_file(folder.at("here").c_str()) == *read_file(folder.at("there").c_str()));
    ::close(fds[0]);
    ::close(fds[1]);
}
