#!/usr/bin/env bash
# Every disaster of the guide "Restore at 3 a.m.", for real, on a throwaway server.
# `make restore-at-3am` lends one; everything else is below .restore-at-3am, and
# nothing is left running.
#
# What the guide shows is in output/, a file for each disaster. This writes them
# anew into .restore-at-3am/output, with names in the place of this machine's:
# cp .restore-at-3am/output/* examples/restore-at-3am/output/ puts them into the guide.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=$PWD/.restore-at-3am

: "${DEMO_PG_HOST:?run make restore-at-3am}"
if [ -n "${1:-}" ]; then terraform=$(realpath "$(command -v "$1")")
elif command -v terraform >/dev/null; then terraform=terraform
elif command -v tofu >/dev/null; then terraform=tofu
else make --silent .tools/bin/tofu && terraform=$PWD/.tools/bin/tofu; fi

rm -rf "$here" && mkdir -p "$here/terraform" "$here/units" "$here/output"
cp examples/restore-at-3am/main.tf "$here/terraform/"
platform=$(go env GOOS)_$(go env GOARCH)
for registry in registry.terraform.io registry.opentofu.org; do
	mirror=$here/mirror/$registry/pgbackup/pgbackup/0.0.1/$platform
	mkdir -p "$mirror" && cp bin/terraform-provider-pgbackup "$mirror/terraform-provider-pgbackup_v0.0.1"
done
printf 'provider_installation {\n  filesystem_mirror {\n    path = "%s"\n  }\n}\n' "$here/mirror" >"$here/terraform.rc"
export TF_CLI_CONFIG_FILE=$here/terraform.rc CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 TF_INPUT=0 TF_CLI_ARGS=-no-color
export TF_VAR_folder=$here TF_VAR_host=$DEMO_PG_HOST TF_VAR_port=$DEMO_PG_PORT TF_VAR_user=$DEMO_PG_USER
bin/pgbackup-runner key generate --out "$here/repository.key" >/dev/null
(cd "$here/terraform" && "$terraform" init && "$terraform" apply -auto-approve) >"$here/apply.txt" || { cat "$here/apply.txt" >&2; exit 1; }

# From here on as on a host of ada's: the runner on PATH, the password in the
# environment, the job file in the folder.
# A person sees warnings, and no more of the log: a pipe would get all of it, as JSON.
mkdir "$here/tty"
printf '#!/bin/sh\nexec "%s" "$@" --log-format text --log-level warn\n' "$here/bin/pgbackup-runner" >"$here/tty/pgbackup-runner"
chmod +x "$here/tty/pgbackup-runner"
export PATH=$here/tty:$DEMO_PG_BIN:$PWD/.venv/bin:$PATH DB_PASSWORD=$DEMO_PG_PASSWORD USER=ada
export PGHOST=$DEMO_PG_HOST PGPORT=$DEMO_PG_PORT PGUSER=$DEMO_PG_USER PGPASSWORD=$DEMO_PG_PASSWORD
# The same server by another name, for the disaster in which it is lost.
other=postgres://$PGUSER@localhost:$PGPORT
today=RESTORE-PROD-$(date -u +%Y%m%d)
cd "$here/etc"

# named puts names in the place of this machine's, without moving a table's columns.
named() {
	local who
	who=ada@$(uname -n)
	sed -e "s#$PGHOST:$PGPORT#db.example:5432#g" -e "s#localhost:$PGPORT#dr.example:5432#g" -e "s#$PGHOST#db.example#g" -e "s#$here#/srv/pgbackup#g" -e 's# --log-format text --log-level warn##g' \
		-e "s#$(printf "%-${#who}s" WHO) #WHO      #" -e "s#$who#ada@ops1#g"
}

piece=
# disaster begins a piece of the guide.
disaster() { piece=$1 && printf '\n# %s\n' "$2"; }
tell() { printf '%s\n' "$*" | named | tee -a "$here/output/$piece.txt"; }
# show runs a line as a person would type it. $1 is the exit code it must have.
show() {
	local want=$1 got=0
	if [ -s "$here/output/$piece.txt" ]; then tell; fi
	tell "\$ $2"
	bash -o pipefail -c "$2" >"$here/last.txt" 2>&1 || got=$?
	sed 's/ *$//' "$here/last.txt" | named | tee -a "$here/output/$piece.txt"
	if [ "$got" != "$want" ]; then
		cat "$here/last.txt" >&2
		echo "restore-at-3am: exit code $got instead of $want" >&2
		exit 1
	fi
	if [ "$got" != 0 ]; then tell "(exit code $got)"; fi
}

backup() { sleep 1.1 && pgbackup-runner backup --job nightly.job.json --quiet 2>>"$here/backups.txt"; }
sql() { psql -q app -c "$1"; }
# chunk is the file that holds the rows of the newest point.
chunk() { find "$here/repository/points" -type f -path "*/$(pgbackup-runner list --job nightly.job.json --json 2>/dev/null | grep -o '[0-9]\{8\}T[0-9]\{6\}Z-[a-z0-9]\{8\}' | sort | tail -n 1)/*" -size +50k | head -n 1; }

sql "create role web"
sql "create table orders (id bigint primary key, customer text not null, total numeric not null)"
sql "grant select on orders to web"
sql "insert into orders select n, 'customer ' || n % 700, n * 1.01 from generate_series(1, 20000) n"
backup
sql "insert into orders select n, 'customer of today', n * 1.01 from generate_series(20001, 20100) n"
backup

disaster list "What is there?"
show 0 "pgbackup-runner list --job nightly.job.json"
show 0 "pgbackup-runner restore latest --job nightly.job.json --verify-only"

disaster deleted "Somebody deleted a thousand orders. The table comes back beside the live one, and the rows are copied over."
sql "delete from orders where id <= 1000"
show 2 "pgbackup-runner restore latest --job nightly.job.json --table public.orders --to-database app_rescue"
show 0 "pgbackup-runner restore latest --job nightly.job.json --table public.orders --to-database app_rescue --approval $today"
show 0 'psql app_rescue -c "\copy (select * from orders where id <= 1000) to stdout" | psql app -c "\copy orders from stdin"'
show 0 'psql -At app -c "select count(*) from orders"'
show 0 "dropdb app_rescue"

disaster dropped "A table was dropped. It comes back into the live database, and only its part of the backup is read."
sql "drop table public.pgbench_accounts"
show 0 "pgbackup-runner restore latest --job nightly.job.json --table public.pgbench_accounts --to-database app --approval $today"

disaster release "A release broke the data, and a backup was taken since. First what would be done, then the swap."
sleep 1.1
moment=$(date -u +%Y-%m-%dT%H:%M:%SZ)
sql "update orders set total = 0"
backup
show 0 "pgbackup-runner restore $moment --job nightly.job.json --to-database app --replace --dry-run"
show 0 "pgbackup-runner restore $moment --job nightly.job.json --to-database app --replace --approval $today"
old=$(psql -At postgres -c "select datname from pg_database where datname like 'app\_before\_%'")

disaster back "It was the wrong one after all: back again."
show 0 "psql -1 postgres -c 'ALTER DATABASE app RENAME TO app_restored' -c 'ALTER DATABASE \"$old\" RENAME TO app'"
psql -q -1 postgres -c "ALTER DATABASE app RENAME TO \"$old\"" -c "ALTER DATABASE app_restored RENAME TO app"
disaster drop "The restored one is right: the old one goes."
show 0 "dropdb $old"

disaster server "The server is lost: the same on a new one, roles first."
psql -q postgres -c "ALTER ROLE web RENAME TO of_another_server"
show 1 "pgbackup-runner restore latest --job nightly.job.json --to-database $other/app_new --approval $today"
show 0 "pgbackup-runner restore latest --job nightly.job.json --to-database $other/app_new --globals --analyze --approval $today"
show 0 "pgbackup-runner compare latest --job nightly.job.json --database $other/app_new"

disaster host "The host with the job file is lost: repository and key are enough."
show 0 "pgbackup-runner list --repository file://$here/repository --key file:$here/repository.key"

cp -r "$here/repository" "$here/replica"

disaster bad "The newest backup is damaged. Nothing is restored silently; the one before it is chosen once the bad one is marked."
backup
backup
file=$(chunk)
printf 'x' | dd of="$file" bs=1 seek=20000 conv=notrunc status=none
show 6 "pgbackup-runner restore latest --job nightly.job.json --to-database app_check --approval $today"
show 6 "pgbackup-runner verify latest --job nightly.job.json"
show 0 "pgbackup-runner list --job nightly.job.json"
show 0 "pgbackup-runner restore latest --job nightly.job.json --to-database app_check --approval $today"

disaster region "The region is lost, the copy in another one is not. A folder stands for it here."
show 0 "pgbackup-runner list --job nightly.job.json --from replica --replica file://$here/replica"
mv "$here/repository" "$here/lost"
show 4 "pgbackup-runner restore latest --job nightly.job.json --replica file://$here/replica --to-database $other/app_dr --approval $today"
show 0 "pgbackup-runner restore latest --job nightly.job.json --replica file://$here/replica --from replica --to-database $other/app_dr --approval $today"
mv "$here/lost" "$here/repository"

disaster rds "An RDS instance. An emulator answers for RDS here."
rds() { aws --endpoint-url "$DEMO_ENDPOINT" rds "$@" >/dev/null; }
export AWS_ENDPOINT_URL=$DEMO_ENDPOINT
rds create-db-instance --db-instance-identifier acme-prod --engine postgres --engine-version 17.5 --db-instance-class db.t4g.large \
	--allocated-storage 100 --master-username dba --master-user-password not-a-secret
rds create-db-snapshot --db-instance-identifier acme-prod --db-snapshot-identifier before-release
show 0 "pgbackup-runner rds list --instance acme-prod"
show 3 "pgbackup-runner rds restore --instance acme-prod --to acme-prod-restored"
unset AWS_ENDPOINT_URL

disaster file "A backup that an old script made."
pg_dump app | gzip | openssl enc -aes-256-cbc -pbkdf2 -pass pass:old-secret -out old.sql.gz.enc
export OLD_PASSPHRASE=old-secret
show 0 "pgbackup-runner restore ./old.sql.gz.enc --job nightly.job.json --passphrase env:OLD_PASSPHRASE --to-database app_old --approval $today"

disaster afterwards "Afterwards: a new backup, proven before it is needed, and who did what."
show 0 "pgbackup-runner backup --job nightly.job.json"
show 0 "pgbackup-runner drill latest --job nightly.job.json"
show 0 "pgbackup-runner audit --job nightly.job.json"
