// SPDX-License-Identifier: Apache-2.0
// What the test of the lab runs inside: `kvm` runs a tiny real-mode guest, `echo PATH` answers one connection at a unix
// socket in capitals. Built static by the test.
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {
/// The guest writes 'A' to 'E' to port 0x10 and halts.
constexpr unsigned char guest_code[] = {0xb0, 'A', 0xe6, 0x10, 0xfe, 0xc0, 0x3c, 'F', 0x75, 0xf8, 0xf4};

int run_guest() {
    int const kvm = ::open("/dev/kvm", O_RDWR);
    int const vm = ::ioctl(kvm, KVM_CREATE_VM, 0);
    if (vm < 0) {
        std::perror("KVM_CREATE_VM");
        return 1;
    }
    void* const memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    std::memcpy(memory, guest_code, sizeof guest_code);
    kvm_userspace_memory_region region{};
    region.guest_phys_addr = 0x1000;
    region.memory_size = 4096;
    region.userspace_addr = reinterpret_cast<std::uintptr_t>(memory);
    ::ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
    int const vcpu = ::ioctl(vm, KVM_CREATE_VCPU, 0);
    auto const size = static_cast<std::size_t>(::ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
    auto* const run = static_cast<kvm_run*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0));
    kvm_sregs sregs{};
    ::ioctl(vcpu, KVM_GET_SREGS, &sregs);
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    ::ioctl(vcpu, KVM_SET_SREGS, &sregs);
    kvm_regs regs{};
    regs.rip = 0x1000;
    regs.rflags = 2;
    ::ioctl(vcpu, KVM_SET_REGS, &regs);
    for (int i = 0; i < 100; ++i) {
        if (::ioctl(vcpu, KVM_RUN, 0) < 0) {
            std::perror("KVM_RUN");
            return 1;
        }
        if (run->exit_reason == KVM_EXIT_IO)
            std::putchar(*(reinterpret_cast<char const*>(run) + run->io.data_offset));
        else if (run->exit_reason == KVM_EXIT_HLT) {
            std::puts(" halted");
            return 0;
        } else {
            std::printf("exit %u\n", run->exit_reason);
            return 1;
        }
    }
    return 1;
}

int echo(char const* path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int const listening = ::socket(AF_UNIX, SOCK_STREAM, 0);
    if (::bind(listening, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listening, 4) != 0)
        return 1;
    std::puts("listening");
    std::fflush(stdout);
    int const peer = ::accept(listening, nullptr, nullptr);
    char buffer[65536];
    for (ssize_t n; (n = ::read(peer, buffer, sizeof buffer)) > 0;) {
        for (ssize_t i = 0; i < n; ++i)
            buffer[i] = static_cast<char>(std::toupper(static_cast<unsigned char>(buffer[i])));
        for (ssize_t sent = 0; sent < n;) {
            auto const part = ::write(peer, buffer + sent, static_cast<std::size_t>(n - sent));
            if (part <= 0)
                return 1;
            sent += part;
        }
    }
    return 0;
}
} // namespace

int main(int argc, char** argv) {
    if (argc == 2 && std::strcmp(argv[1], "kvm") == 0)
        return run_guest();
    if (argc == 3 && std::strcmp(argv[1], "echo") == 0)
        return echo(argv[2]);
    return 2;
}
