# SPDX-License-Identifier: Apache-2.0
# The Debian packages this project needs: the one place that names them. Sourced by tools/quickstart and tools/run-tests.

# To build the programs and to fetch kernels.
ktstr_packages_build=(g++ meson ninja-build pkg-config python3 libboost-dev libboost-program-options-dev libfmt-dev
  nlohmann-json3-dev libzstd-dev liblzma-dev liblz4-dev zlib1g-dev xz-utils ca-certificates)
# To run the lab: nothing. `ktstr-lab prepare` fetches its emulator and kernel beside the system's, as any user.
# To run the tests of the CI tier.
ktstr_packages_test=(git doctest-dev acpica-tools codespell cpio gdb util-linux kmod)
# To run what `run-tests --full` adds.
ktstr_packages_full=(clang-19 clang-tidy-19 libclang-rt-19-dev)

# Prints those of its arguments that are not installed. Asks dpkg only: no network, no lock.
ktstr_missing() {
  local name
  for name in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
  done
}

# Installs those of its arguments that are missing. 0 when all are there afterwards; otherwise says what to do.
ktstr_install() {
  local missing as_root=()
  mapfile -t missing < <(ktstr_missing "$@")
  if [ ${#missing[@]} -eq 0 ]; then
    return 0
  fi
  if ! command -v apt-get >/dev/null; then
    echo "needed, and this is no Debian where they could be installed: ${missing[*]}" >&2
    return 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
      echo "needed packages are missing, and installing them takes root. Ask for:" >&2
      echo "  sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo -n)
  fi
  echo "installing: ${missing[*]}"
  local log
  log=$(mktemp)
  # A lock held by another apt is waited for, not failed on.
  if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive timeout 900 sh -c '
      apt-get -q -o DPkg::Lock::Timeout=300 update &&
      apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "$@"' sh "${missing[@]}" >"$log" 2>&1; then
    tail -5 "$log" >&2
    echo "apt-get could not install: ${missing[*]} (all of its output: $log)" >&2
    return 1
  fi
  rm -f "$log"
  mapfile -t missing < <(ktstr_missing "$@")
  if [ ${#missing[@]} -ne 0 ]; then
    echo "still missing after apt-get install: ${missing[*]}" >&2
    return 1
  fi
}

# Prints the folder that builds of this checkout go to: the checkout itself, or the user's cache when it is read-only.
ktstr_build_base() {
  local root=$1 cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}
  if [ -w "$root" ]; then
    echo "$root"
  else
    cache=$cache/ktstr/builds/$(printf %s "$root" | cksum | cut -d' ' -f1)
    mkdir -p "$cache" && echo "$cache"
  fi
}
