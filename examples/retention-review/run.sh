#!/usr/bin/env bash
# A shorter retention, from the change to the deletion, on thirty nights of real
# backups: the plan says what would be lost and refuses, the loss is approved by
# its code, applied, carried out by the runner, and told by the history.
#
# Run it anywhere in a clone of the project: examples/retention-review/run.sh
# It needs Go, make, and Terraform or OpenTofu 1.11 or newer; no root. Everything
# it makes is below .retention-review, and nothing is left running.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=$PWD/.retention-review

# What the shell says about PostgreSQL, Terraform and backups would lead elsewhere.
for name in $(compgen -e | grep -E '^(PG|TF_|BACKUP_)|^DATABASE_URL$' | grep -vx PGBACKUP_PG_BIN || true); do unset "$name"; done

if [ -n "${1:-}" ]; then terraform=$(realpath "$(command -v "$1")")
elif command -v terraform >/dev/null; then terraform=terraform
elif command -v tofu >/dev/null; then terraform=tofu
else make --silent .tools/bin/tofu && terraform=$PWD/.tools/bin/tofu; fi

make --silent postgres build
runner=$PWD/bin/pgbackup-runner

rm -rf "$here" && mkdir -p "$here/terraform"
cp examples/retention-review/main.tf "$here/terraform/"
platform=$(go env GOOS)_$(go env GOARCH)
for registry in registry.terraform.io registry.opentofu.org; do
	mirror=$here/mirror/$registry/pgbackup/pgbackup/0.0.1/$platform
	mkdir -p "$mirror" && cp bin/terraform-provider-pgbackup "$mirror/terraform-provider-pgbackup_v0.0.1"
done
printf 'provider_installation {\n  filesystem_mirror {\n    path = "%s"\n  }\n}\n' "$here/mirror" >"$here/terraform.rc"
export TF_CLI_CONFIG_FILE=$here/terraform.rc TF_VAR_folder=$here CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 TF_INPUT=0 TF_CLI_ARGS=-no-color

cd "$here/terraform"

say() { printf '\n# %s\n' "$*"; }
# show runs a command as a person would type it. $1 is the exit code it must have.
show() {
	local want=$1 got=0
	shift
	printf '\n$ %s\n' "$(basename "$1")${2:+ ${*:2}}"
	"$@" 2>&1 | tee "$here/last.txt" || got=${PIPESTATUS[0]}
	if [ "$got" != "$want" ]; then
		echo "retention-review: exit code $got instead of $want" >&2
		exit 1
	fi
}

say "A policy that keeps thirty daily recovery points, and thirty nights of backups."
"$terraform" init >"$here/init.txt"
show 0 "$terraform" apply -auto-approve >"$here/apply.txt"
tail -n 8 "$here/apply.txt"
repository=$("$terraform" output -raw repository)
(cd "$here/../" && go run ./internal/history -repository "$repository" -policy shop -nights 30)

say "Somebody changes 30 to 14. The plan says what that loses, and stops."
show 1 "$terraform" plan -var keep_daily=14
code=$(grep -o 'EXPIRE-[0-9]*-[0-9a-f]*' "$here/last.txt" | head -n 1)

say "The loss was reviewed and is meant: its code goes into the configuration."
show 0 "$terraform" plan -var keep_daily=14 -var "approve_expiry=$code" -out=plan.out
show 0 "$terraform" apply plan.out

say "The apply deleted nothing. The runner does, at its next rotation."
show 0 "$runner" rotate --repository "$repository" --policy shop --dry-run
show 0 "$runner" rotate --repository "$repository" --policy shop --quiet
show 0 "$runner" list --repository "$repository"

say "Who changed what, and what it cost, stays readable."
show 0 "$runner" policy history shop --repository "$repository"
show 0 "$runner" policy diff 1 2 --policy shop --repository "$repository"

say "The code has done its work. Taking it out again writes no revision."
show 0 "$terraform" apply -auto-approve -var keep_daily=14
show 0 "$terraform" plan -var keep_daily=14 -detailed-exitcode
