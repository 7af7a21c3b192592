// SPDX-License-Identifier: Apache-2.0
#include "ktstr/snapshot/elf_core.hpp"

#include "ktstr/abi/elf_core.hpp"
#include "ktstr/snapshot/put_ram.hpp"
#include "snapshot/sample_machine.hpp"
#include "suites/snapshot_sink_suite.hpp"
#include "suites/temp_folder.hpp"

#include <sys/stat.h>

using namespace ktstr;
using test::sample_machine;

namespace {

std::vector<std::byte> bytes_of_file(std::string const& path) {
    auto const text = read_file(path.c_str());
    REQUIRE(text);
    auto const raw = std::as_bytes(std::span(text->data(), text->size()));
    return {raw.begin(), raw.end()};
}

template <class T>
T at(std::span<std::byte const> file, std::uint64_t offset) {
    T out;
    REQUIRE(fits(offset, sizeof(T), file.size()));
    std::memcpy(static_cast<void*>(&out), file.data() + offset, sizeof(T));
    return out;
}

std::vector<std::byte> take_core(sample_machine const& machine, std::string const& path) {
    elf_core_sink sink(path);
    REQUIRE(sink.begin(machine.header()));
    REQUIRE(put_ram(sink, machine.memory));
    REQUIRE(sink.commit());
    return bytes_of_file(path);
}

} // namespace

TEST_CASE("elf_core_sink: conforms") {
    temp_folder folder;
    elf_core_sink sink(folder.at("core"));
    snapshot_sink_suite(sink);
    CHECK(folder.entries() == 1);
}

TEST_CASE("elf_core_sink: headers, segments and notes lie where the format says") {
    temp_folder folder;
    sample_machine machine;
    auto const file = take_core(machine, folder.at("core"));
    auto const head = at<elf::ehdr>(file, 0);
    CHECK(head.type == elf::et_core);
    CHECK(head.machine == elf::em_x86_64);
    REQUIRE(head.phnum == 4);
    auto const segment = [&](std::uint64_t i) { return at<elf::phdr>(file, head.phoff + i * 56); };
    auto const note = segment(0);
    CHECK(note.type == elf::pt_note);
    // The kernel's segment shows the same bytes as the RAM region that holds it.
    CHECK(segment(1).vaddr == test::sample_text);
    CHECK(segment(1).paddr == 8 * MiB);
    CHECK(segment(1).filesz == 4 * MiB);
    CHECK(segment(1).offset == segment(2).offset + 8 * MiB);
    CHECK(segment(2).vaddr == test::sample_direct_map);
    CHECK(segment(2).paddr == 0);
    CHECK(segment(2).memsz == 16 * MiB);
    CHECK(segment(3).vaddr == test::sample_direct_map + 4 * GiB);
    CHECK(segment(3).paddr == 4 * GiB);
    for (std::uint64_t i = 1; i < 4; ++i)
        CHECK(segment(i).offset % 4096 == 0);
    CHECK(file.size() == segment(3).offset + 4 * MiB);
    CHECK(std::memcmp(file.data() + segment(2).offset + 0x2ffc, "over a page's end", 17) == 0);
    CHECK(std::memcmp(file.data() + segment(3).offset + 3 * MiB + 5, "high", 4) == 0);
    CHECK(std::memcmp(file.data() + segment(1).offset + 0x40, "kernel text", 11) == 0);

    // First note: "CORE", NT_PRSTATUS, 336 bytes, registers from byte 112.
    auto const first = at<elf::nhdr>(file, note.offset);
    CHECK(first.namesz == 5);
    CHECK(first.descsz == 336);
    CHECK(first.type == 1);
    auto const status = note.offset + 12 + 8;
    CHECK(at<le32>(file, status + 32) == 1);
    auto const slot = [&](std::uint64_t i) { return at<le64>(file, status + 112 + i * 8).get(); };
    CHECK(slot(0) == 0x1010);                    // r15
    CHECK(slot(10) == 0x1001);                   // rax
    CHECK(slot(15) == ~std::uint64_t{0});        // orig_rax
    CHECK(slot(16) == test::sample_text + 0x40); // rip
    CHECK(slot(17) == 0x10);                     // cs
    CHECK(slot(18) == 0x246);                    // rflags
    CHECK(slot(19) == 0x1007);                   // rsp
    CHECK(slot(22) == 0xffff'8880'0100'0000);    // gs base
    CHECK(at<le32>(file, status + 328) == 1);    // FPU valid
    auto const second = at<elf::nhdr>(file, status + 336);
    CHECK(second.type == 2);
    CHECK(second.descsz == 512);
}

TEST_CASE("elf_core_sink: pages that were not put take no room on disk") {
    temp_folder folder;
    sample_machine machine;
    auto const file = take_core(machine, folder.at("core"));
    struct stat st {};
    REQUIRE(::stat(folder.at("core").c_str(), &st) == 0);
    CHECK(static_cast<std::uint64_t>(st.st_size) > 20 * MiB);
    CHECK(static_cast<std::uint64_t>(st.st_blocks) * 512 < 1 * MiB);
    CHECK((st.st_mode & 0777) == 0600); // guest memory is nobody else's business
}

TEST_CASE("elf_core_sink: without the kernel's place p_vaddr is 0 and no segment is added") {
    sample_machine machine;
    auto header = machine.header();
    header.kernel = {};
    auto plan = detail::plan_core(header);
    REQUIRE(plan);
    CHECK(at<elf::ehdr>(plan->head, 0).phnum == 3);
    CHECK(at<elf::phdr>(plan->head, 64 + 56).vaddr == 0);
    header.kernel = {test::sample_text, 8 * MiB, 64 * MiB, 0}; // ends with its region
    plan = detail::plan_core(header);
    REQUIRE(plan);
    CHECK(at<elf::phdr>(plan->head, 64 + 56).memsz == 8 * MiB);
    header.kernel.text_physical = 1 * GiB; // no RAM
    CHECK(at<elf::ehdr>(detail::plan_core(header)->head, 0).phnum == 3);
}

TEST_CASE("elf_core_sink: refuses what it cannot say") {
    temp_folder folder;
    sample_machine machine;
    elf_core_sink sink(folder.at("core"));
    std::array<std::byte, 16> some{};
    CHECK(sink.put({"ram", 1, 0}, some).error().code == errc::invalid_argument);
    CHECK(sink.commit().error().code == errc::invalid_argument);
    auto header = machine.header();
    header.arch = "m68k";
    CHECK(sink.begin(header).error().code == errc::unsupported);
    REQUIRE(sink.begin(machine.header()));
    CHECK(sink.put({"ram", 1, 16 * MiB - 8}, some).error().code == errc::out_of_range);
    sink.abort();
    CHECK(folder.entries() == 0);
    elf_core_sink nowhere(folder.at("missing/core"));
    CHECK(nowhere.begin(machine.header()).error().code == errc::not_found);
}

TEST_CASE("elf_core_sink: aarch64 has its own status note") {
    snapshot_header header;
    header.arch = "aarch64";
    std::array<vcpu_record, 1> cpus{};
    cpus[0].registers = {{"x0", register_group::general, 5}, {"pc", register_group::general, 9}};
    header.vcpus = cpus;
    auto const plan = detail::plan_core(header);
    REQUIRE(plan);
    auto const note = at<elf::phdr>(plan->head, 64);
    CHECK(at<elf::ehdr>(plan->head, 0).machine == elf::em_aarch64);
    CHECK(at<elf::nhdr>(plan->head, note.offset).descsz == 392);
    CHECK(at<le64>(plan->head, note.offset + 20 + 112) == 5U);
    CHECK(at<le64>(plan->head, note.offset + 20 + 112 + 32 * 8) == 9U);
}
