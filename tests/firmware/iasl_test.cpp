// SPDX-License-Identifier: Apache-2.0
// The judge is ACPICA's own compiler: it must disassemble every table and compile the result again, without a word.
#include "ktstr/firmware/acpi/dsdt.hpp"

#include "firmware/machine.hpp"

#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace ktstr;
using namespace ktstr::test;

namespace {

/// A folder that goes away with everything in it.
struct scratch {
    std::string path = "/tmp/ktstr-iasl-XXXXXX";
    scratch() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
    scratch(scratch const&) = delete;
    scratch& operator=(scratch const&) = delete;
    ~scratch() {
        for (auto const& name : files)
            ::unlink((path + '/' + name).c_str());
        ::rmdir(path.c_str());
    }
    void write(std::string const& name, std::span<std::byte const> raw) {
        files.push_back(name);
        auto* const file = std::fopen((path + '/' + name).c_str(), "wb");
        REQUIRE(file != nullptr);
        CHECK(std::fwrite(raw.data(), 1, raw.size(), file) == raw.size());
        std::fclose(file);
    }
    std::vector<std::string> files;
};

struct answer {
    int status = -1;
    std::string text;
};

answer run(std::string const& command) {
    answer out;
    auto* const pipe = ::popen((command + " 2>&1").c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::array<char, 4096> chunk{};
    while (auto const n = std::fread(chunk.data(), 1, chunk.size(), pipe))
        out.text.append(chunk.data(), n);
    auto const status = ::pclose(pipe);
    out.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return out;
}

std::string lower(std::string text) {
    for (auto& c : text)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

/// Words that a clean answer has only in its "0 Errors, 0 Warnings, 0 Remarks".
bool complains(std::string const& text) {
    auto clean = lower(text);
    for (std::string const harmless : {"0 errors", "0 warnings", "0 remarks"})
        for (auto at = clean.find(harmless); at != std::string::npos; at = clean.find(harmless))
            if (at == 0 || std::isdigit(static_cast<unsigned char>(clean[at - 1])) == 0)
                clean.erase(at, harmless.size());
            else
                break;
    for (char const* word : {"error", "warning", "remark", "invalid", "unknown", "bad ", "incorrect", "could not", "failed"})
        if (clean.find(word) != std::string::npos)
            return true;
    return false;
}

/// Disassembles and recompiles all tables of a machine in two runs of iasl.
void judge(acpi_tables const& all) {
    scratch folder;
    std::string tables;
    std::string sources;
    for (auto const& each : all.tables) {
        if (each.name == "RSDP")
            continue; // iasl knows no such table on its own; build_test follows it by hand
        std::string const name(each.name);
        folder.write(name + ".dat", std::span(all.image).subspan(each.offset, each.size));
        for (char const* suffix : {".dsl", ".aml"})
            folder.files.push_back(name + suffix);
        tables += ' ' + name + ".dat";
        sources += ' ' + name + ".dsl";
    }
    auto const in_folder = "cd " + folder.path + " && ";
    auto const taken_apart = run(in_folder + "iasl -d" + tables);
    CAPTURE(taken_apart.text);
    CHECK(taken_apart.status == 0);
    CHECK(!complains(taken_apart.text));
    auto const comments = run(in_folder + "grep -inE 'error|warning|unknown|incorrect|invalid' *.dsl");
    CHECK(comments.text == "");
    auto const again = run(in_folder + "for f in" + sources + "; do iasl $f || exit; done");
    CAPTURE(again.text);
    CHECK(again.status == 0);
    CHECK(!complains(again.text));
    // Data tables must come back byte for byte; the DSDT too, but for the compiler's name in its header.
    for (auto const& each : all.tables) {
        if (each.name == "RSDP")
            continue;
        CAPTURE(each.name);
        auto const aml = folder.path + '/' + std::string(each.name) + ".aml";
        std::vector<std::byte> raw(each.size + 1);
        auto* const file = std::fopen(aml.c_str(), "rb");
        REQUIRE(file != nullptr);
        auto const size = std::fread(raw.data(), 1, raw.size(), file);
        std::fclose(file);
        CHECK(size == each.size);
        std::size_t differ = 0;
        for (std::size_t i = 36; i < each.size; ++i)
            differ += raw[i] != all.image[each.offset + i] ? 1U : 0U;
        CHECK(differ == 0);
    }
}

} // namespace

TEST_CASE("iasl: complains() sees complaints") {
    CHECK(!complains("Compilation successful. 0 Errors, 0 Warnings, 0 Remarks, 1 Optimizations"));
    CHECK(complains("Compilation successful. 0 Errors, 10 Warnings, 0 Remarks"));
    CHECK(complains("ACPI Warning: Incorrect checksum in table [FACP] - 0x11, should be 0x22"));
}

TEST_CASE("iasl: takes every preset's tables apart and puts them together again without a complaint") {
    REQUIRE_MESSAGE(run("iasl -v").status == 0, "iasl (package acpica-tools) is needed");
    for (auto const& each : presets()) {
        CAPTURE(each.name);
        judge(machine(each.shape, layout_of(each).value()).tables());
    }
}

TEST_CASE("iasl: odd machines") {
    judge(machine({64, 64, 3, 1}).tables());
    judge(machine({1, 1, 4, 1}, {}, {128}).tables());
    machine full({2, 2, 2, 2});
    full.add_virtio(32);
    full.has_8042 = true;
    judge(full.tables());
    machine on_pci({1, 1, 2, 1});
    on_pci.add_virtio(0);
    on_pci.pci = {gpa{0xd0000000}, bytes{0x10000000}};
    judge(on_pci.tables());
    machine bare({1, 1, 1, 1});
    bare.add_virtio(0);
    bare.uarts.clear();
    judge(bare.tables());
}

TEST_CASE("iasl: a wrong table does not pass") {
    auto all = machine({1, 1, 2, 1}).tables();
    for (auto& each : all.tables)
        if (each.name == "APIC")
            all.image[each.offset + 45] = std::byte{7}; // the length of the first entry
    scratch folder;
    folder.write("APIC.dat", all.find("APIC"));
    folder.files.push_back("APIC.dsl");
    CHECK(complains(run("cd " + folder.path + " && iasl -d APIC.dat").text));
}
