// SPDX-License-Identifier: Apache-2.0
/// \file
/// Debian packages without changing the system: a private apt state below one folder, the mirror and the keyring of the
/// machine's own configuration, `apt-get download`, `dpkg-deb -x`. Works for an ordinary user.
#pragma once

#include "ktstr-lab/waiting.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace ktstr::lab {

/// Where the machine itself gets its packages from.
struct debian_source {
    std::string uri, codename, keyring; ///< keyring may be empty: apt's own default
};

/// A private apt state. Everything it writes lies below its folder.
class debian_fetch {
public:
    /// Reads the machine's configuration, makes the state in `folder` (which exists) and loads the package lists of the
    /// machine's release and its backports for `architecture`.
    [[nodiscard]] static outcome<debian_fetch> open(signal_gate const& gate, std::string folder,
                                                    std::string_view architecture);

    /// The newest version of `package` that starts with `prefix`; a problem (77) when there is none.
    [[nodiscard]] outcome<std::string> newest(std::string const& package, std::string_view prefix = {}) const;
    /// All package names that start with `prefix`.
    [[nodiscard]] outcome<std::vector<std::string>> names(std::string const& prefix) const;
    /// What an installation of `package=version` would have to add on this machine, as "name=version".
    [[nodiscard]] outcome<std::vector<std::string>> missing_for(std::string const& package, std::string const& version) const;
    /// Downloads "name=version" packages (signatures checked by apt) and unpacks them into `root`.
    [[nodiscard]] outcome<> unpack(std::vector<std::string> const& packages, std::string const& root) const;

private:
    [[nodiscard]] outcome<std::string> apt(std::vector<std::string> argv, std::string cwd = {}) const;

    signal_gate const* gate_ = nullptr;
    std::string folder_;
    debian_source source_;
};

} // namespace ktstr::lab
