#!/bin/sh
# Prepares pgBackRest, which the benchmark compares base backups and archiving with, in
# FOLDER/pgbackrest: Debian's package is unpacked into a folder (nothing is installed)
# and run with the libraries of that folder.
#
# usage: ensure-pgbackrest.sh FOLDER
set -eu

mkdir -p "${1:?usage: ensure-pgbackrest.sh FOLDER}"
tree=$(cd "$1" && pwd)/pgbackrest
program=$tree/pgbackrest
if [ -x "$program" ] && "$program" version >/dev/null 2>&1; then exit 0; fi
if [ "$(uname -s)" != Linux ] || [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null 2>&1; then
	echo "pgBackRest is not in $tree, and unpacking it takes Linux, root and debootstrap (Debian, Ubuntu: sudo apt-get install -y debootstrap)." >&2
	exit 1
fi
echo "pgBackRest is missing: unpacking it from Debian trixie into $tree (a minute)"
rm -rf "$tree" "$tree.new"
if ! debootstrap --variant=minbase --include=pgbackrest trixie "$tree.new" >"$tree.log" 2>&1; then
	umount "$tree.new/proc" "$tree.new/sys" 2>/dev/null || true # what an interrupted debootstrap may leave mounted
	echo "debootstrap of Debian trixie failed:" >&2
	tail -n 5 "$tree.log" >&2
	exit 1
fi
rm -rf "$tree.new/var/cache/apt" "$tree.new/var/lib/apt"
# It starts workers by the name it was called by, which is this script's.
cat >"$tree.new/pgbackrest" <<'WRAPPER'
#!/bin/sh
self=$(readlink -f "$0")
tree=${self%/pgbackrest}
loader=$(echo "$tree"/lib64/ld-linux-x86-64.so.2 "$tree"/lib/ld-linux-aarch64.so.1 | tr ' ' '\n' | while read -r l; do [ -e "$l" ] && echo "$l" && break; done)
exec "$loader" --argv0 "$self" --library-path "$(echo "$tree"/usr/lib/*-linux-gnu)" "$tree/usr/bin/pgbackrest" "$@"
WRAPPER
chmod 755 "$tree.new/pgbackrest"
mv "$tree.new" "$tree" # whole or not at all
"$program" version
