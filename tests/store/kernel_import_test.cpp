// SPDX-License-Identifier: Apache-2.0
#include "ktstr/store/kernel_import.hpp"
#include "ktstr/store/kernel_needs.hpp"
#include "ktstr/store/kernel_unpack.hpp"

#include "ktstr/boot/decompress_zstd.hpp"
#include "suites/fake_kernel.hpp"
#include "suites/temp_folder.hpp"

#include <doctest/doctest.h>
#include <string>
#include <sys/stat.h>
#include <zstd.h>

using namespace ktstr;
using namespace ktstr::test;

namespace {

std::string const good_config = [] {
    std::string out;
    for (auto const* const name : {"X86_64", "BLK_DEV_INITRD", "BINFMT_ELF", "VIRTIO_PCI", "VIRTIO_CONSOLE", "DEVTMPFS",
                                   "PROC_FS", "SYSFS", "CGROUPS", "CPUSETS", "FAIR_GROUP_SCHED", "ACPI", "PRINTK",
                                   "MODULES", "TMPFS", "SCHED_INFO", "SMP", "NUMA", "ACPI_NUMA", "SERIAL_8250_CONSOLE",
                                   "HYPERVISOR_GUEST", "SCHED_CLASS_EXT", "RD_ZSTD", "RD_GZIP"})
        out.append("CONFIG_").append(name).append("=y\n");
    return out + "CONFIG_VIRTIO_MMIO=m\n";
}();

byte_vector packed_kernel() {
    fake_elf kernel;
    kernel.sections = {{".notes", joined(joined(words({4, 3, 3}), bytes_from(std::string("GNU\0", 4))), words({0x00332211}))}};
    auto all = joined(kernel.build(), words({0, 0x81000008, 0, 0x81000010}));
    byte_vector packed(ZSTD_compressBound(all.size()));
    packed.resize(ZSTD_compress(packed.data(), packed.size(), all.data(), all.size(), 1));
    put_at(packed, packed.size(), le32(static_cast<std::uint32_t>(all.size())));
    return fake_bzimage(packed);
}

struct fixture {
    temp_folder folder;
    kernel_store store{folder.at("store")};

    fixture() {
        write("bzImage", packed_kernel());
        ::mkdir(folder.at("modules").c_str(), 0755);
        ::mkdir(folder.at("modules/drivers").c_str(), 0755);
        write_module("drivers/virtio_mmio", "virtio_ring");
        write_module("virtio_ring", "");
        write_module("unrelated", "");
    }
    void write(std::string const& name, byte_vector const& content) { REQUIRE(publish(folder.at(name), content)); }
    void write_module(std::string const& name, std::string const& depends) {
        fake_elf module{.type = elf::et_rel};
        module.sections = {{".modinfo", bytes_from("depends=" + depends)}};
        write("modules/" + name + ".ko", module.build());
    }
    [[nodiscard]] std::expected<std::string, import_refusal> import(kernel_import request) {
        if (request.image.empty())
            request.image = folder.at("bzImage");
        return import_kernel(store, std::move(request), zstd_decompressor{}, [](std::string const&) {});
    }
};

} // namespace

TEST_CASE("kernel_unpack: a bzImage comes apart into vmlinux, relocations, release and build id") {
    auto const file = packed_kernel();
    auto const got = unpack_kernel<zstd_decompressor>(file);
    REQUIRE(got);
    CHECK(got->kind == kernel_kind::bzimage);
    CHECK(got->release == "7.3.4-fake");
    CHECK(got->build_id == "112233");
    CHECK(got->vmlinux.size() + got->relocs.size() == got->storage.size());
    CHECK(parse_relocs(got->relocs)->count() == 2);
    for (std::size_t n = 0; n < file.size(); ++n)
        CHECK_FALSE(unpack_kernel<zstd_decompressor>(std::span(file).first(n)));
    CHECK(unpack_kernel<no_decompressor>(file).error().where == "decompress.method");
}

TEST_CASE("kernel_unpack: a plain vmlinux tells its version in its text") {
    fake_elf kernel;
    kernel.code = bytes_from(std::string("Linux version %s\0Linux version 7.9.1-own (me) #3\nx", 50) + std::string(200, 'x'));
    auto const file = kernel.build();
    auto const got = unpack_kernel<zstd_decompressor>(file);
    REQUIRE(got);
    CHECK(got->release == "7.9.1-own");
    CHECK(got->banner == "7.9.1-own (me) #3");
    CHECK(got->relocs.empty());
    CHECK(unpack_kernel<zstd_decompressor>(fake_elf{.machine = elf::em_aarch64}.build()).error() ==
          error{errc::unsupported, 0, static_cast<std::uint64_t>(kernel_kind::elf_aarch64), "kernel.kind"});
}

TEST_CASE("kernel_unpack: BTF tells what is built in") {
    fake_elf kernel;
    kernel.sections = {{".BTF", bytes_from(std::string("\0virtio_pci_probe\0virtcons_probe2\0", 34))}};
    auto const file = kernel.build();
    CHECK(has_built_in_function(file, "virtio_pci_probe"));
    CHECK_FALSE(has_built_in_function(file, "virtcons_probe"));
    CHECK_FALSE(has_built_in_function(fake_elf{}.build(), "virtio_pci_probe"));
}

TEST_CASE("kernel_needs: what is missing is named, modules will do where they can") {
    CHECK(check_kernel_config(good_config).vital.empty());
    CHECK(check_kernel_config(good_config).notes.empty());
    auto const without = [](std::string_view option) {
        auto text = good_config;
        auto const line = "CONFIG_" + std::string(option) + "=";
        text.replace(text.find(line), line.size() + 1, "# gone");
        return check_kernel_config(text);
    };
    CHECK(without("CPUSETS").vital == std::vector<std::string>{"CONFIG_CPUSETS (the checks of cpuset isolation)"});
    auto half = good_config;
    half.replace(half.find("CONFIG_CPUSETS=y"), 16, "CONFIG_CPUSETS=m");
    CHECK(check_kernel_config(half).vital.size() == 1); // a module will not do there
    CHECK(without("NUMA").vital.empty());
    CHECK(without("NUMA").notes.size() == 1);
    CHECK(without("VIRTIO_PCI").vital.empty()); // mmio as a module is left
    auto none = good_config;
    none.replace(none.find("CONFIG_VIRTIO_PCI=y"), 19, "");
    none.replace(none.find("CONFIG_VIRTIO_MMIO=m"), 20, "");
    CHECK(check_kernel_config(none).vital.front().starts_with("CONFIG_VIRTIO_MMIO or CONFIG_VIRTIO_PCI ("));
    auto modular = good_config;
    modular.replace(modular.find("CONFIG_MODULES=y"), 16, "");
    CHECK(check_kernel_config(modular).vital.empty());
    modular.replace(modular.find("CONFIG_VIRTIO_CONSOLE=y"), 23, "CONFIG_VIRTIO_CONSOLE=m");
    CHECK(check_kernel_config(modular).vital.size() == 1);
    CHECK(initramfs_formats(good_config) == "zstd gzip");
}

TEST_CASE("kernel_import: image, config and modules become an entry") {
    fixture f;
    auto const key = f.import({.config = good_config, .modules_root = f.folder.at("modules"), .source = "/x", .aliases = {"me"}});
    REQUIRE(key);
    CHECK(key->starts_with("local-7.3.4-fake-"));
    auto const kernel = f.store.resolve("me", verify::full);
    REQUIRE(kernel);
    CHECK(kernel->release == "7.3.4-fake");
    CHECK_FALSE(kernel->bzimage.empty());
    CHECK_FALSE(kernel->relocs.empty());
    CHECK_FALSE(kernel->config.empty());
    REQUIRE(kernel->modules.size() == 2);
    CHECK(kernel->modules[0].name == "virtio_ring");
    CHECK(kernel->modules[1].name == "virtio_mmio");
    CHECK(kernel->manifest.modules.size() == 2); // the unrelated one is not kept
    CHECK(kernel->manifest.drivers == kernel_drivers{config_state::module, config_state::built_in, config_state::built_in});
    CHECK(kernel->manifest.initramfs == "zstd gzip");
    CHECK(kernel->manifest.source == "/x");
    // The same again is the same entry.
    CHECK(*f.import({.config = good_config, .modules_root = f.folder.at("modules")}) == *key);
}

TEST_CASE("kernel_import: refused kernels leave nothing behind") {
    fixture f;
    auto const bad = f.import({.config = "CONFIG_X86_64=y\n"});
    REQUIRE_FALSE(bad);
    CHECK(bad.error().cause.where == "kernel.needs");
    CHECK(bad.error().missing.size() > 5);
    // The driver is said to be a module, and its file is nowhere.
    auto no_pci = good_config;
    no_pci.replace(no_pci.find("CONFIG_VIRTIO_PCI=y"), 19, "");
    auto const lost = f.import({.config = no_pci});
    REQUIRE_FALSE(lost);
    CHECK(lost.error().missing.front().starts_with("a virtio transport"));
    // Without a config and without BTF nothing says that there is any driver.
    CHECK_FALSE(f.import({}));
    f.write("empty", {});
    CHECK(f.import({.image = f.folder.at("empty")}).error().cause.code == errc::truncated);
    CHECK(f.import({.image = f.folder.at("absent")}).error().cause.code == errc::not_found);
    f.write("modules/drivers/virtio_mmio.ko", bytes_from("no ELF"));
    CHECK_FALSE(f.import({.config = good_config, .modules_root = f.folder.at("modules")}));
    CHECK(f.store.keys()->empty());
    for (auto const& e : std::filesystem::directory_iterator(f.folder.path()))
        if (e.path().filename() == "store")
            for (auto const& inner : std::filesystem::directory_iterator(e.path()))
                CHECK_FALSE(inner.path().filename().string().starts_with(".tmp-"));
}
