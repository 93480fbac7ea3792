#!/usr/bin/env bash
# Point-in-time recovery, for real: a server whose log is archived, a ledger that
# somebody writes into, a mistake, a data directory that is destroyed, and the ledger as
# it was in the second before the mistake. `make pitr` runs it; nothing is left running.
#
# What the guide shows is in output/. This writes it anew into .pitr/output, with names
# in the place of this machine's: cp .pitr/output/* examples/pitr/output/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
project=$PWD here=$PWD/.pitr

programs=${PGBACKUP_PG_BIN:-$({ ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin 2>/dev/null || true; } | sort -V | tail -n 1)}
[ -x "$programs/initdb" ] || { echo "pitr: PostgreSQL's programs are not where they usually are: run make postgres, or name their folder in PGBACKUP_PG_BIN" >&2; exit 1; }
if [ -n "${1:-}" ]; then terraform=$(realpath "$(command -v "$1")")
elif command -v terraform >/dev/null; then terraform=terraform
elif command -v tofu >/dev/null; then terraform=tofu
else make --silent .tools/bin/tofu && terraform=$PWD/.tools/bin/tofu; fi

# A server refuses to run as root: then it is the user postgres, or nobody, whose all of
# this is.
owner=() who=$(id -un)
if [ "$(id -u)" = 0 ]; then
	who=postgres && id -u postgres >/dev/null 2>&1 || who=nobody
	owner=(setpriv --reuid="$who" --regid="$(id -g "$who")" --clear-groups)
fi
db() { "${owner[@]}" env -u PGPASSWORD PATH="$PATH" HOME="$box" PGHOST="$box/socket" PGPORT="$port" PGUSER=postgres PGDATABASE=shop "$@"; }
box=$(mktemp -d "${TMPDIR:-/tmp}/pitr.XXXXXX") port=5432
chmod 755 "$box"
ended() { [ -f "$box/data/postmaster.pid" ] && db "$programs/pg_ctl" -D "$box/data" -m immediate stop >/dev/null 2>&1; rm -rf "$box"; }
trap ended EXIT

rm -rf "$here" && mkdir -p "$here/terraform" "$here/output"
cp examples/pitr/main.tf "$here/terraform/"
platform=$(go env GOOS)_$(go env GOARCH)
for registry in registry.terraform.io registry.opentofu.org; do
	mirror=$here/mirror/$registry/pgbackup/pgbackup/0.0.1/$platform
	mkdir -p "$mirror" && cp bin/terraform-provider-pgbackup "$mirror/terraform-provider-pgbackup_v0.0.1"
done
printf 'provider_installation {\n  filesystem_mirror {\n    path = "%s"\n  }\n}\n' "$here/mirror" >"$here/terraform.rc"
export TF_CLI_CONFIG_FILE=$here/terraform.rc CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 TF_INPUT=0 TF_CLI_ARGS=-no-color
export TF_VAR_folder=$box TF_VAR_host=$box/socket TF_VAR_port=$port
mkdir "$box/units" "$box/socket"
bin/pgbackup-runner key generate --out "$box/repository.key" >/dev/null
(cd "$here/terraform" && "$terraform" init && "$terraform" apply -auto-approve) >"$here/apply.txt" || { cat "$here/apply.txt" >&2; exit 1; }
archive_command=$(cd "$here/terraform" && "$terraform" output -raw archive_command)
chown -R "$who" "$box"

# named puts names in the place of this machine's.
named() { sed -e "s#$box/socket#/run/postgresql#g" -e "s#$box/data#/var/lib/postgresql/15/main#g" -e "s#$box#/srv/pgbackup#g" -e "s#$who@$(uname -n)#postgres@db1#g" -e "s#$(uname -n)#db1#g"; }
piece=
part() { piece=$1 && printf '\n# %s\n' "$2"; }
tell() { printf '%s\n' "$*" | named | tee -a "$here/output/$piece.txt"; }
# show runs a line as the server's administrator would type it. $1 is its exit code.
show() {
	local want=$1 got=0
	if [ -s "$here/output/$piece.txt" ]; then tell; fi
	tell "\$ $2"
	(cd "$box/etc" && db bash -o pipefail -c "$2") >"$here/last.txt" 2>&1 || got=$?
	sed 's/ *$//' "$here/last.txt" | named | tee -a "$here/output/$piece.txt"
	if [ "$got" != "$want" ]; then
		echo "pitr: exit code $got instead of $want" >&2
		[ -f "$box/log" ] && tail -n 20 "$box/log" >&2
		exit 1
	fi
	if [ "$got" != 0 ]; then tell "(exit code $got)"; fi
}
# A person sees warnings, and no more of the log: a pipe would get all of it, as JSON.
mkdir "$box/tty"
printf '#!/bin/sh\nexec "%s" "$@" --log-format text --log-level warn\n' "$box/bin/pgbackup-runner" >"$box/tty/pgbackup-runner"
chmod +x "$box/tty/pgbackup-runner"
export PATH=$box/tty:$programs:$PATH
sql() { db psql -q -v ON_ERROR_STOP=1 -At -c "$1"; }

# A server with a ledger. `wal settings --apply` would set all but the socket as well.
db initdb --pgdata "$box/data" --auth trust --username postgres --no-sync >/dev/null
printf '%s\n' "unix_socket_directories = '$box/socket'" "listen_addresses = ''" "archive_mode = on" "archive_timeout = 60" "wal_level = replica" \
	"archive_command = '${archive_command//\'/\'\'}'" >"$box/extra.conf"
db sh -c "cat '$box/extra.conf' >>'$box/data/postgresql.conf'"
db pg_ctl -D "$box/data" -l "$box/log" -w start >/dev/null
db createdb -U postgres --maintenance-db postgres shop
sql "create role backup login replication; grant pg_monitor to backup"
sql "create table ledger (id bigint generated always as identity primary key, at timestamptz not null default clock_timestamp(), account text not null, cents bigint not null)"

part archive "The log is archived, and a base backup is taken."
show 0 "psql -c 'show archive_command'"
sql "insert into ledger (account, cents) select 'account ' || n % 50, n from generate_series(1, 5000) n" >/dev/null
show 0 "pgbackup-runner backup --job base.job.json"
sql "insert into ledger (account, cents) select 'account ' || n % 50, n from generate_series(5001, 6000) n" >/dev/null
show 0 "pgbackup-runner wal status --job log.job.json"

part mistake "A mistake at a moment that somebody remembers."
sleep 1.2
before=$(date -u +%Y-%m-%dT%H:%M:%SZ)
show 0 "psql -c 'select count(*), sum(cents) from ledger'"
sleep 2
sql "delete from ledger where account <> 'account 7'" >/dev/null
sql "insert into ledger (account, cents) values ('account 7', 1)" >/dev/null
show 0 "psql -c 'select count(*), sum(cents) from ledger'"
# archive_timeout would finish the segment within a minute; nobody wants to watch that.
segment=$(sql "select pg_walfile_name(pg_switch_wal())")
for _ in $(seq 600); do
	[ "$(sql "select coalesce(last_archived_wal >= '$segment', false) from pg_stat_archiver")" = t ] && break
	sleep 0.1
done

part destroyed "The server and its data directory are gone."
db pg_ctl -D "$box/data" -m immediate stop >/dev/null
rm -rf "$box/data"
show 0 "pgbackup-runner list --job base.job.json"
show 4 "pgbackup-runner restore latest --job base.job.json --to-directory $box/data --target-time 2020-01-01"

part recovered "It comes back as it was in the second before the mistake."
show 0 "pgbackup-runner restore latest --job base.job.json --to-directory $box/data --target-time $before --dry-run"
show 0 "pgbackup-runner restore latest --job base.job.json --to-directory $box/data --target-time $before --target-action promote --start"
show 0 "psql -c 'select count(*), sum(cents) from ledger'"
left=$(sql "select count(*) || ' ' || sum(cents) from ledger")
[ "$left" = "6000 18003000" ] || { echo "pitr: the ledger has $left instead of 6000 18003000" >&2; exit 1; }
show 0 "pgbackup-runner wal status --job log.job.json"
