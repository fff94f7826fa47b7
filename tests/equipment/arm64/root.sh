#!/bin/sh
# Makes a Debian of aarch64 that holds what the edge install fetches, for tests/rigpose/test_edge_on_arm64.py,
# emulated by QEMU. Its packages are unpacked and not configured: their scripts would take longer than all tests.
# Wants root, qemu-user-static and debootstrap. Prints the folder, to be given as RIGPOSE_ARM64_ROOT.
set -eu
here=$(cd "$(dirname "$0")/../../.." && pwd)
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/rigpose/arm64}
python=${PYTHON:-python3}
wanted=$(sha256sum "$here/pyproject.toml" "$0" | sha256sum | cut -d ' ' -f 1)
if [ "$(cat "$folder/.wanted" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$folder" "$folder.part"
    mkdir -p "$folder.part"
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
    debootstrap --foreign --arch=arm64 --variant=minbase --include=python3 bookworm "$folder.part" "$mirror" >&2
    for package in "$folder.part"/var/cache/apt/archives/*.deb; do dpkg -x "$package" "$folder.part"; done
    rm -rf "$folder.part"/var/cache/apt/archives "$folder.part"/debootstrap
    # Only wheels that PyPI has for aarch64: nothing is compiled on the edge.
    fetch() {
        target=$1
        shift
        "$python" -m pip --disable-pip-version-check install --quiet --target "$folder.part/$target" --only-binary=:all: \
            --python-version 3.11 --implementation cp --platform manylinux_2_28_aarch64 \
            --platform manylinux_2_27_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 "$@" >&2
    }
    # What rigpose[litert] needs; the project itself is brought by each test run, as it is then.
    "$python" -c 'import sys, tomllib
project = tomllib.load(open(sys.argv[1], "rb"))["project"]
print(*project["dependencies"], *project["optional-dependencies"]["litert"], sep="\n")' \
        "$here/pyproject.toml" > "$folder.part/edge.txt"
    fetch edge --requirement "$folder.part/edge.txt"
    fetch testing pytest pytest-timeout hypothesis
    mkdir -p "$folder.part/mnt"
    echo "$wanted" > "$folder.part/.wanted"
    mv "$folder.part" "$folder"
fi
# The kernel hands aarch64's programs to QEMU; F: opened now, so that it is found inside the root.
register=/proc/sys/fs/binfmt_misc
[ -e "$register/register" ] || mount -t binfmt_misc binfmt_misc "$register" >&2
[ -e "$register/qemu-aarch64" ] || printf '%s' ':qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:F' > "$register/register"
echo "$folder"
