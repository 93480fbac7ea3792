#!/bin/sh
# Prepares newer major versions of PostgreSQL beside the installed one, for the tests
# across majors: 17 and 18, in .tools/pg17 and .tools/pg18. Debian's packages are
# unpacked into a folder (nothing is installed) and run with the libraries of that
# folder, so that any Linux of the same architecture with a root user will do.
#
# usage: ensure-majors.sh FOLDER [MAJOR…]
set -eu

folder=${1:?usage: ensure-majors.sh FOLDER [MAJOR...]}
shift
[ $# -gt 0 ] || set -- 17 18
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# Which Debian has it. sid moves on: when it has no 18 any more, forky or its successor does.
suite_of() {
	case $1 in
	15) echo bookworm ;;
	17) echo trixie ;;
	18) echo sid ;;
	*) echo "ensure-majors.sh: no release of Debian is known for PostgreSQL $1 (known: 15, 17, 18)" >&2; exit 2 ;;
	esac
}

# The packaged programs move aside and a script takes the place of each: started by
# the loader of their own folder, told the name they were called by, they find each
# other (initdb runs postgres, pg_dumpall runs pg_dump) and their share directory.
wrap() (
	tree=$1 major=$2
	programs=$tree/usr/lib/postgresql/$major
	loader=$(cd "$tree" && ls lib64/ld-linux-x86-64.so.2 lib/ld-linux-aarch64.so.1 2>/dev/null | head -n 1)
	[ -n "$loader" ] || { echo "ensure-majors.sh: $tree has no loader for x86-64 or arm64" >&2; exit 1; }
	mv "$programs/bin" "$programs/packaged"
	mkdir "$programs/bin"
	cat >"$programs/wrapper" <<-WRAPPER
		#!/bin/sh
		self=\$(readlink -f "\$0")
		tree=\${self%/usr/lib/postgresql/$major/bin/*}
		libraries=\$(echo "\$tree"/usr/lib/*-linux-gnu)
		exec "\$tree/$loader" --argv0 "\$self" --library-path "\$libraries" "\$tree/usr/lib/postgresql/$major/packaged/\${self##*/}" "\$@"
	WRAPPER
	chmod 755 "$programs/wrapper"
	for program in "$programs/packaged"/*; do
		cp "$programs/wrapper" "$programs/bin/${program##*/}"
	done
	rm "$programs/wrapper"
	ln -sfn "usr/lib/postgresql/$major/bin" "$tree/programs"
)

for major; do
	tree=$folder/pg$major
	if [ -x "$tree/programs/postgres" ] && "$tree/programs/postgres" --version 2>/dev/null | grep -q "PostgreSQL) $major"; then continue; fi
	suite=$(suite_of "$major")
	if [ "$(uname -s)" != Linux ] || [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null 2>&1; then
		echo "PostgreSQL $major is not in $tree, and unpacking it takes Linux, root and debootstrap (Debian, Ubuntu: sudo apt-get install -y debootstrap, then sudo make majors)." >&2
		exit 1
	fi
	echo "PostgreSQL $major is missing: unpacking it from Debian $suite into $tree (a minute)"
	rm -rf "$tree" "$tree.new"
	if ! debootstrap --variant=minbase --include="postgresql-$major" "$suite" "$tree.new" >"$folder/pg$major.log" 2>&1; then
		umount "$tree.new/proc" "$tree.new/sys" 2>/dev/null || true # what an interrupted debootstrap may leave mounted
		echo "debootstrap of Debian $suite failed:" >&2
		tail -n 5 "$folder/pg$major.log" >&2
		exit 1
	fi
	rm -rf "$tree.new/var/cache/apt" "$tree.new/var/lib/apt"
	wrap "$tree.new" "$major"
	mv "$tree.new" "$tree" # whole or not at all
	"$tree/programs/postgres" --version
done
