// SPDX-License-Identifier: Apache-2.0
// Any bytes as a vmlinux or a module: what is parsed lies inside the file, and loading stays inside guest memory.
#include "ktstr/boot/load_vmlinux.hpp"
#include "ktstr/boot/elf_sections.hpp"
#include "ktstr/store/kernel_unpack.hpp"
#include "ktstr/store/module_info.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace ktstr;
    auto const input = std::as_bytes(std::span(data, size));
    if (auto const image = parse_vmlinux(input)) {
        if (image->elf_size > size || !image->extent.contains(image->entry))
            __builtin_trap();
        std::vector<std::byte> ram(64 * 1024);
        buffer_memory const memory(ram, image->extent.start);
        auto const loaded = load_vmlinux(memory, span_source{input}, *image, {.ram_is_zero = false});
        if (loaded && loaded->end - loaded->start > ram.size())
            __builtin_trap();
    }
    static_cast<void>(read_module_info(input));
    static_cast<void>(detail::find_build_id(input));
    static_cast<void>(has_built_in_function(input, "virtio_pci_probe"));
    return 0;
}
