// SPDX-License-Identifier: Apache-2.0
// Any bytes as a manifest, as they are and with a correct seal: no name leads out of the entry, and what was read can
// be written and read again.
#include "ktstr/store/manifest.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {
void check(std::string_view text) {
    auto const got = ktstr::read_manifest(text);
    if (!got)
        return;
    for (auto const& file : got->files)
        if (file.name.starts_with("/") || file.name.find("..") == 0 || file.name.find("/../") != std::string::npos)
            __builtin_trap();
    auto const again = ktstr::read_manifest(ktstr::write_manifest(*got));
    if (!again || again->key != got->key || again->files.size() != got->files.size())
        __builtin_trap();
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto text = std::string(reinterpret_cast<char const*>(data), size);
    check(text);
    if (auto const seal = text.rfind("\nsha256 "); seal != std::string::npos)
        text.resize(seal + 1);
    if (!text.ends_with('\n'))
        text += '\n';
    check(text + "sha256 " + ktstr::sha256_hex(text) + '\n');
    return 0;
}
