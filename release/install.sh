#!/bin/sh
# Installs a release of Snowmelt, once it is what its release says.
#
#   sh install.sh [--version 0.1.0] [--to /usr/local/bin] [--signed]
#
# The tarball has to have the SHA-256 that SHA256SUMS of the release gives. Where cosign is installed (2.4 or later),
# SHA256SUMS has to be signed by the project's release workflow; with --signed nothing is installed where it is not.
# SNOWMELT_RELEASES names another place of releases, a mirror of one's own.
set -eu

releases=${SNOWMELT_RELEASES:-@RELEASES@}
version=@VERSION@
identity='@IDENTITY@'
to=/usr/local/bin
signed=

while [ $# -gt 0 ]; do
    case $1 in
        --version) version=$2; shift 2 ;;
        --to) to=$2; shift 2 ;;
        --signed) signed=yes; shift ;;
        *) sed -n '2,8p' "$0" >&2; exit 64 ;;
    esac
done

die() {
    echo "install.sh: $*" >&2
    exit 1
}

case $(uname -s)-$(uname -m) in
    Linux-x86_64) target=x86_64-unknown-linux-gnu ;;
    Linux-aarch64 | Linux-arm64) target=aarch64-unknown-linux-gnu ;;
    Darwin-arm64) target=aarch64-apple-darwin ;;
    Darwin-x86_64) target=x86_64-apple-darwin ;;
    *) die "there is no release for $(uname -s) on $(uname -m); build it with cargo build --profile dist" ;;
esac

name=snowmelt-$version-$target
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

for file in "$name.tar.gz" SHA256SUMS; do
    curl -fsSL --retry 3 -o "$file" "$releases/v$version/$file" || die "$releases/v$version/$file cannot be had"
done

if command -v cosign >/dev/null; then
    curl -fsSL --retry 3 -o SHA256SUMS.sigstore.json "$releases/v$version/SHA256SUMS.sigstore.json" ||
        die "the signature cannot be had"
    cosign verify-blob --new-bundle-format --bundle SHA256SUMS.sigstore.json \
        --certificate-identity "$identity$version" \
        --certificate-oidc-issuer https://token.actions.githubusercontent.com SHA256SUMS ||
        die "SHA256SUMS is not signed by the release workflow"
elif [ -n "$signed" ]; then
    die "cosign is not installed, so that the signature cannot be verified"
fi

# One line of the file, which has to be there: a list without the tarball vouches for nothing.
grep " [ *]\{0,1\}$name.tar.gz\$" SHA256SUMS >wanted || die "SHA256SUMS has no $name.tar.gz"
if command -v sha256sum >/dev/null; then
    sha256sum -c wanted >/dev/null || die "$name.tar.gz is not what SHA256SUMS says"
else
    shasum -a 256 -c wanted >/dev/null || die "$name.tar.gz is not what SHA256SUMS says"
fi

tar -xzf "$name.tar.gz"
install -m 755 "$name/snowmelt" "$to/snowmelt"
"$to/snowmelt" --version
