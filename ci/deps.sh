#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that building and testing need, --dev those of lint, valgrind, fuzz and coverage too,
# --real those of the tests on a real system, --web a browser and what drives it. --guest FOLDER: an emulator (16 MB to
# download, 82 MB on disk) and into the folder a kernel with the modules that tests/real_guest*.c need (27 MB to download,
# 18 MB on disk).
set -eu
packages='gcc libc6-dev make pkg-config libyaml-dev libcjson-dev libssl-dev librandom123-dev check gnuplot-nox libxml2-utils
	liblz4-dev libxxhash-dev libcurl4-openssl-dev libmicrohttpd-dev libpcap-dev libnl-3-dev libnl-route-3-dev
	libseccomp-dev libnftables-dev libfuse3-dev libsqlite3-dev openssl lz4'
# --real: what `make check-real` and `make bench-peers` start or compare with.
if [ "${1-}" = --real ]; then
	packages="$packages redis-server restic borgbackup strace faketime sqlite3 iproute2"
fi
if [ "${1-}" = --dev ]; then
	packages="$packages clang clang-tidy clang-format libclang-rt-14-dev cppcheck valgrind gcovr"
fi
# Node.js and npm are often there from elsewhere: a command counts, not its package.
if [ "${1-}" = --web ]; then
	packages="$packages fonts-dejavu-core fonts-liberation poppler-utils"
	for pair in chromium=chromium node=nodejs npm=npm; do
		command -v "${pair%=*}" >/dev/null || packages="$packages ${pair#*=}"
	done
fi
if [ "${1-}" = --guest ]; then
	packages=qemu-system-x86
fi

as_root=
[ "$(id -u)" -eq 0 ] || as_root=sudo
echo "apt-get install $packages"

if ! command -v dpkg-query >/dev/null; then
	echo 'deps: no dpkg on this system: install these by hand, by the names your distribution gives them'
	exit 0
fi
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $packages 2>/dev/null || true)
missing=
for package in $packages; do
	case "
$installed
" in
	*"
installed $package
"*) ;;
	*) missing="$missing $package" ;;
	esac
done

# The kernel is only unpacked, not installed: what starts this machine stays as it is.
kernel() {
	[ ! -e "$1/vmlinuz" ] || [ ! -e "$1/dm-mod.ko" ] || exit 0
	mkdir -p "$1"
	cd "$1"
	name=$(apt-cache depends --important linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
	apt-get download -q "$name" || { $as_root apt-get update -q && apt-get download -q "$name"; }
	dpkg -x "$name"_*.deb unpacked
	for module in llc stp bridge veth sch_netem sch_tbf nfnetlink libcrc32c nf_tables nft_objref nft_meta_bridge nft_numgen \
		nft_limit nft_reject nf_reject_ipv4 nf_reject_ipv6 nft_reject_bridge \
		loop dm-mod dm-flakey dm-dust dm-delay crc16 mbcache jbd2 ext4; do
		find unpacked -name "$module.ko" -exec mv {} . \;
	done
	mv unpacked/boot/vmlinuz-* vmlinuz
	rm -rf unpacked "$name"_*.deb
}

if [ -z "$missing" ]; then
	[ "${1-}" != --guest ] || kernel "$2"
	exit 0
fi
echo "deps: missing:$missing"
if [ -n "$as_root" ] && ! command -v sudo >/dev/null; then
	echo 'deps: installing needs root or sudo' >&2
	exit 1
fi
install() {
	# Runlevel 1: a server that comes with a package is not started.
	$as_root env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
}
# A fresh machine has no package lists, an old one has stale lists: update only when the first try fails.
install || { $as_root apt-get update -q && install; }
[ "${1-}" != --guest ] || kernel "$2"
