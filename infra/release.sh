#!/usr/bin/env bash
# Builds the files of a release in dist/release: the functions' zips, the templates that deploy them, the rotor command, the
# package for JavaScript, an SBOM and checksums. Writes its notes to dist/notes.md. Needs what `make build templates` makes.
#
#   release.sh TAG           makes the release of a tag
#   release.sh zips FOLDER   copies the zips to a folder, under the names that the templates have for them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tag=${1:?Usage: infra/release.sh TAG}
version=$(sed -n 's/^const Number = "\(.*\)"$/\1/p' shared/version/version.go)

# Lambda calls amd64 x86_64.
zips() {
	local zip name
	for zip in dist/{arm64,amd64}/*.zip; do
		name=rotor-$version-$(basename "$zip" .zip)-$(basename "$(dirname "$zip")").zip
		cp "$zip" "$1/${name/-amd64.zip/-x86_64.zip}"
	done
}

if [[ $tag == zips ]]; then
	zips "${2:?Usage: infra/release.sh zips FOLDER}"
	exit
fi
if [[ $version == *-* ]]; then
	echo "release: $version is no release: set shared/version to the number without -dev, in a commit of its own" >&2
	exit 1
fi
if [[ $tag != "v$version" ]]; then
	echo "release: the tag is $tag, and shared/version says $version" >&2
	exit 1
fi
rm -rf dist/release
mkdir -p dist/release

# The notes are the version's part of CHANGELOG.md, which must be dated.
awk -v version="$version" '
	/^## \[/ { wanted = index($0, "## [" version "] - 2") == 1; next }
	/^\[[^]]*\]: / { wanted = 0 }
	wanted
' CHANGELOG.md >dist/notes.md
if ! grep -q '[^[:space:]]' dist/notes.md; then
	echo "release: CHANGELOG.md has no dated part for $version" >&2
	exit 1
fi

zips dist/release
for name in template template-domain; do
	cp "dist/templates/$name/rotor-$name.template.json" "dist/release/rotor-$version-$name.json"
done
for target in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64; do
	name=rotor-$version-${target/\//-}
	mkdir -p "dist/$name"
	program=dist/$name/rotor
	[[ $target != windows/* ]] || program+=.exe
	CGO_ENABLED=0 GOOS=${target%/*} GOARCH=${target#*/} GOFLAGS='' go build -trimpath -buildvcs=false -ldflags '-s -w -buildid=' -o "$program" ./cmd/rotor
	tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "dist/$name" -c . | gzip -n >"dist/release/$name.tar.gz"
done
(cd clients/js && npm pack --silent --pack-destination ../../dist/release)
go run "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@${CYCLONEDX_GOMOD_VERSION:?}" mod -json -licenses \
	-noserial -output "dist/release/rotor-$version-sbom.json" .
(cd dist/release && sha256sum -- * >SHA256SUMS)
ls -l dist/release
