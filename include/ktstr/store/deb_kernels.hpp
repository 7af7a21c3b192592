// SPDX-License-Identifier: Apache-2.0
/// \file
/// Chooses the packages of a Debian kernel of a given series among those an archive offers.
///
/// Up to 6.18 a kernel is one package, linux-image-VER. From 6.19 on it is linux-binary-VER (the image),
/// linux-modules-VER and linux-base-VER (.config); linux-image-VER is then an empty package that pulls them in. An
/// archive may have dropped the modules of an older kernel while it still has its signed image.
#pragma once

#include "ktstr/store/deb_control.hpp"
#include "ktstr/store/deb_version.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ktstr {

/// A package at a version.
struct deb_package {
    std::string name;
    std::string version;
    friend bool operator==(deb_package const&, deb_package const&) = default;
};

/// A kernel that the archive offers.
struct deb_kernel {
    std::string release;               ///< "7.3.4+deb13-cloud-amd64".
    std::string version;               ///< Of the package with the image.
    bool cloud = false;                ///< The flavour for virtual machines: smaller, boots faster.
    bool has_modules = false;          ///< Its modules are in the archive.
    std::vector<deb_package> packages; ///< To be fetched: image, modules, base.
};

/// "7.3" of "7.3.4-1~bpo13+1"; release candidates count for the series they lead to.
[[nodiscard]] constexpr std::string_view kernel_series(std::string_view version) noexcept {
    auto const upstream = deb_version::split(version).upstream;
    std::size_t dots = 0;
    for (std::size_t i = 0; i < upstream.size(); ++i) {
        if (upstream[i] == '.' && ++dots == 2)
            return upstream.substr(0, i);
        if (upstream[i] != '.' && !detail::is_digit(upstream[i]))
            return upstream.substr(0, i);
    }
    return upstream;
}

/// Whether a package called `name` can be a part of a kernel for amd64; `kind` gets "image", "binary", "modules" or
/// "base" and `release` the rest of the name.
[[nodiscard]] constexpr bool is_kernel_package(std::string_view name, std::string_view& kind,
                                               std::string_view& release) noexcept {
    for (std::string_view const prefix : {"linux-image-", "linux-binary-", "linux-modules-", "linux-base-"}) {
        if (!name.starts_with(prefix))
            continue;
        kind = prefix.substr(6, prefix.size() - 7);
        release = name.substr(prefix.size());
        if (release.empty() || !detail::is_digit(release[0]) || !release.ends_with("-amd64") ||
            release.ends_with("-rt-amd64") || release.find('.') == std::string_view::npos)
            return false;
        return true;
    }
    return false;
}

/// The kernels among `stanzas` (of the packages' records), newest first, the cloud flavour before the generic one.
[[nodiscard]] inline std::vector<deb_kernel> find_deb_kernels(std::vector<deb_stanza> const& stanzas) {
    struct parts {
        std::string release;
        deb_package image;
        deb_package binary;
        deb_package modules;
        deb_package base;
    };
    std::vector<parts> all;
    for (auto const& stanza : stanzas) {
        auto const name = stanza.get("Package");
        auto const version = stanza.get("Version");
        std::string_view kind;
        std::string_view release;
        if (version.empty() || !is_kernel_package(name, kind, release))
            continue;
        // "linux-image-6.12-amd64" is a name for "the newest 6.12" and holds nothing.
        if (auto const dash = release.find('-'); kernel_series(release.substr(0, dash)) == release.substr(0, dash))
            continue;
        auto found = std::find_if(all.begin(), all.end(), [&](parts const& p) { return p.release == release; });
        if (found == all.end())
            found = all.insert(all.end(), parts{std::string(release), {}, {}, {}, {}});
        auto& slot = kind == "image"     ? found->image
                     : kind == "binary"  ? found->binary
                     : kind == "modules" ? found->modules
                                         : found->base;
        if (slot.name.empty() || compare_deb_versions(version, slot.version) > 0)
            slot = {std::string(name), std::string(version)};
    }
    std::vector<deb_kernel> out;
    for (auto const& p : all) {
        deb_kernel kernel;
        kernel.release = p.release;
        auto const& image = p.binary.name.empty() ? p.image : p.binary;
        if (image.name.empty())
            continue;
        kernel.version = image.version;
        kernel.packages.push_back(image);
        kernel.has_modules = p.binary.name.empty() || p.modules.version == image.version;
        if (!p.binary.name.empty() && kernel.has_modules)
            kernel.packages.push_back(p.modules);
        if (!p.base.name.empty() && p.base.version == image.version)
            kernel.packages.push_back(p.base);
        kernel.cloud = p.release.find("-cloud-") != std::string::npos;
        out.push_back(std::move(kernel));
    }
    std::sort(out.begin(), out.end(), [](deb_kernel const& a, deb_kernel const& b) {
        if (auto const order = compare_deb_versions(a.version, b.version); order != 0)
            return order > 0;
        return a.cloud && !b.cloud;
    });
    return out;
}

} // namespace ktstr
