#!/bin/sh
# Makes sure that the PostgreSQL server and client programs are there. On Debian
# and Ubuntu it installs them when it may; elsewhere it prints the line to type.
set -eu

find_programs() {
	for dir in "${PGBACKUP_PG_BIN:-}" $(pg_config --bindir 2>/dev/null || true) /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
		[ -n "$dir" ] && [ -x "$dir/initdb" ] && [ -x "$dir/pg_dump" ] && [ -x "$dir/pgbench" ] && return 0
	done
	command -v initdb >/dev/null 2>&1 && command -v pg_dump >/dev/null 2>&1
}

if find_programs; then exit 0; fi

if command -v apt-get >/dev/null 2>&1; then
	sudo=""
	if [ "$(id -u)" -ne 0 ]; then
		if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then sudo="sudo -n"; else
			echo "PostgreSQL is missing. Type: sudo apt-get install -y postgresql" >&2
			exit 1
		fi
	fi
	echo "PostgreSQL is missing: installing Debian's package (no server is started)"
	# The package would make and start a cluster of its own; the tests start theirs.
	fresh=""
	if [ ! -e /etc/postgresql-common ]; then
		fresh=1
		$sudo mkdir -p /etc/postgresql-common/createcluster.d
		echo "create_main_cluster = false" | $sudo tee /etc/postgresql-common/createcluster.d/pgbackup.conf >/dev/null
	fi
	$sudo apt-get update -qq
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null
	[ -z "$fresh" ] || $sudo rm -f /etc/postgresql-common/createcluster.d/pgbackup.conf
	find_programs && exit 0
fi
echo "PostgreSQL's server and client programs (initdb, pg_dump, pg_restore, pgbench) are missing." >&2
if command -v dnf >/dev/null 2>&1; then
	echo "Type: sudo dnf install -y postgresql-server postgresql-contrib" >&2
elif command -v brew >/dev/null 2>&1; then
	echo "Type: brew install postgresql@17" >&2
else
	echo "Install PostgreSQL 13 or newer, or set PGBACKUP_PG_BIN to the folder of its programs." >&2
fi
exit 1
