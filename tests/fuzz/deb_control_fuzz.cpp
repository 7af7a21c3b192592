// SPDX-License-Identifier: Apache-2.0
// Any bytes as package records, sources and versions: reading ends, the order of versions has no contradictions.
#include "ktstr/boot/kernel_config.hpp"
#include "ktstr/store/apt_sources.hpp"
#include "ktstr/store/deb_control.hpp"
#include "ktstr/store/deb_kernels.hpp"
#include "ktstr/store/deb_version.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace ktstr;
    auto const text = std::string_view(reinterpret_cast<char const*>(data), size);
    auto const kernels = find_deb_kernels(parse_deb_control(text));
    for (std::size_t i = 1; i < kernels.size(); ++i)
        if (compare_deb_versions(kernels[i - 1].version, kernels[i].version) < 0)
            __builtin_trap();
    static_cast<void>(private_sources(parse_apt_sources(text), suites_for_series("7.3")));
    static_cast<void>(private_sources(parse_apt_list(text), suites_for_series(text)));
    static_cast<void>(config_option(text, "SMP"));
    auto const half = text.size() / 2;
    auto const a = text.substr(0, half);
    auto const b = text.substr(half);
    if (compare_deb_versions(a, a) != 0 || (compare_deb_versions(a, b) < 0) != (compare_deb_versions(b, a) > 0))
        __builtin_trap();
    return 0;
}
