#!/usr/bin/env bash
# Makes the base images that the Dockerfile names, from Debian's packages and this machine's Rust toolchain, where no
# image registry can be reached. Usage: bases.sh RUST_VERSION SUITE RUNTIME KEY
set -euo pipefail
rust=$1 suite=$2 runtime=$3 key=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2016 # apt expands it
mirror=$(apt-get indextargets --format '$(SITE)' "Codename: $suite" | head -n 1)
quietly() {
    "$@" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        exit 1
    }
}

# As rust:VERSION-SUITE: a C toolchain, CARGO_HOME, and cargo on the PATH.
quietly debootstrap --variant=minbase --include=gcc,g++,libc6-dev,make,ca-certificates "$suite" "$work/build" "$mirror"
mkdir -p "$work/build/usr/local/rust" "$work/build/usr/local/cargo"
cp -a "$(rustc --print sysroot)/." "$work/build/usr/local/rust"
rm -rf "$work/build/usr/local/rust/share"
# Registries may be reached through certificates of this machine.
cp -L --remove-destination /etc/ssl/certs/ca-certificates.crt "$work/build/etc/ssl/certs/ca-certificates.crt"
tar -C "$work/build" -c . | docker import \
    --change 'ENV PATH=/usr/local/cargo/bin:/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'ENV CARGO_HOME=/usr/local/cargo' --change "LABEL key=$key" - "rust:$rust-$suite" >/dev/null

# As distroless/cc: the C library and what C++ needs, certificates, time zones, a user, and no shell.
mkdir -p "$work/packages" "$work/runtime/etc" "$work/runtime/home/nonroot" "$work/runtime/tmp"
cd "$work/packages"
quietly apt-get download base-files netbase tzdata libc6 libgcc-s1 libgomp1 libstdc++6 libssl3
for package in "$work"/packages/*.deb; do dpkg-deb --extract "$package" "$work/runtime"; done
rm -rf "$work/runtime/usr/share/doc" "$work/runtime/usr/share/man" "$work/runtime/usr/bin" "$work/runtime/usr/sbin"
mkdir -p "$work/runtime/etc/ssl/certs"
cp -L /etc/ssl/certs/ca-certificates.crt "$work/runtime/etc/ssl/certs"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$work/runtime/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$work/runtime/etc/group"
chown -R 65532:65532 "$work/runtime/home/nonroot"
chmod 1777 "$work/runtime/tmp"
tar -C "$work/runtime" -c . | docker import \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' \
    --change 'USER 65532' --change 'WORKDIR /home/nonroot' --change "LABEL key=$key" - "$runtime" >/dev/null
docker images --format '{{.Repository}}:{{.Tag}} {{.Size}}'
