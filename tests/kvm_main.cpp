// SPDX-License-Identifier: Apache-2.0
/// \file
/// The main function of tests that need /dev/kvm: without it they are skipped, and say why.
#define DOCTEST_CONFIG_IMPLEMENT
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char** argv) {
    int const fd = ::open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        std::printf("/dev/kvm cannot be opened: %s\n", std::strerror(errno));
        return 77;
    }
    ::close(fd);
    return doctest::Context(argc, argv).run();
}
