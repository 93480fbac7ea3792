#!/usr/bin/env bash
# The whole of this example on a laptop, without an AWS account: applied against an
# emulator of AWS, looked at with the AWS CLI, run for real against a local
# PostgreSQL, damaged and repaired, imported, and destroyed without a trace.
#
# `make demo-aws` starts the parts and this script. Everything it makes is below
# .demo-aws, and nothing is left running.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/.demo-aws
runner=$root/bin/pgbackup-runner
demo=$here/demoaws
: "${DEMO_ENDPOINT:?run this with make demo-aws}"
export AWS_ENDPOINT_URL=$DEMO_ENDPOINT DEMO_AWS_BIN=$root/.venv/bin

if [ -n "${1:-}" ]; then terraform=$(realpath "$(command -v "$1")")
elif command -v terraform >/dev/null; then terraform=terraform
elif command -v tofu >/dev/null; then terraform=tofu
else make -C "$root" --silent .tools/bin/tofu && terraform=$root/.tools/bin/tofu; fi

printf 'provider_installation {\n  filesystem_mirror {\n    path = "%s"\n  }\n}\n' "$here/mirror" >"$here/terraform.rc"
export TF_CLI_CONFIG_FILE=$here/terraform.rc CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 TF_INPUT=0 TF_CLI_ARGS=-no-color

say() { printf '\n# %s\n' "$*"; }
die() { echo "demo-aws: $*" >&2; exit 1; }
aws() { "$root/.venv/bin/aws" --endpoint-url "$DEMO_ENDPOINT" --region us-east-1 "$@"; }
# tf runs the CLI; what it prints is kept, and shown when it fails.
tf() { "$terraform" "$@" >"$here/last.txt" 2>&1 || { cat "$here/last.txt" >&2; die "terraform $1 failed"; }; }
# planned prints the resources a plan changes; the plan has to succeed.
planned() {
	local got=0
	"$terraform" plan -detailed-exitcode -out="$here/plan" >"$here/last.txt" 2>&1 || got=$?
	[ "$got" != 1 ] || { cat "$here/last.txt" >&2; die "terraform plan failed"; }
	"$terraform" show -json "$here/plan" | python3 -c '
import json, sys
for c in json.load(sys.stdin).get("resource_changes", []):
    if c["change"]["actions"] != ["no-op"]:
        print(c["address"] + ": " + " and ".join(c["change"]["actions"]))'
}
# account lists all that is in the account, in both regions.
account() { "$root/.venv/bin/python" "$root/examples/aws-complete/account.py"; }

say "An account with what a team has already: a cluster, two RDS instances, secrets."
python3 - "$here/terraform.tfvars.json" "$DEMO_ENDPOINT" <<'PY'
import json, os, sys
database = lambda name: {"host": os.environ["DEMO_PG_HOST"], "port": int(os.environ["DEMO_PG_PORT"]), "user": os.environ["DEMO_PG_USER"],
                         "password_ref": "secretsmanager:pgbackup/database#password", "sslmode": "disable"}
json.dump({"endpoint": sys.argv[2], "bucket": "acme-pg-backups", "databases": {name: database(name) for name in ("app", "orders")},
           "rds_instances": ["acme-prod", "acme-billing"], "cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/backups",
           "subnets": ["subnet-0a1b2c3d"], "security_groups": ["sg-0a1b2c3d"], "email": ["ops@example.org"], "lock_days": None,
           "runner_environment": {"AWS_ENDPOINT_URL": sys.argv[2]}}, open(sys.argv[1], "w"))
PY
aws ecs create-cluster --cluster-name backups >/dev/null
for instance in acme-prod acme-billing; do
	aws rds create-db-instance --db-instance-identifier "$instance" --db-instance-class db.t4g.medium --engine postgres --engine-version 17.5 --allocated-storage 100 \
		--master-username postgres --master-user-password not-a-secret --storage-encrypted --backup-retention-period 1 --no-publicly-accessible >/dev/null
done
"$runner" key generate >"$here/key" && aws secretsmanager create-secret --name pgbackup/repository-key --secret-string "file://$here/key" >/dev/null && rm "$here/key"
python3 -c 'import json, os; print(json.dumps({"password": os.environ["DEMO_PG_PASSWORD"]}))' >"$here/password"
aws secretsmanager create-secret --name pgbackup/database --secret-string "file://$here/password" >/dev/null && rm "$here/password"
account >"$here/before.txt"
cd "$here/terraform"

say "Apply."
tf init
tf apply -auto-approve -var-file="$here/terraform.tfvars.json"
grep -E '^(Plan|Apply complete)' "$here/last.txt"
export TF_CLI_ARGS_plan="-var-file=$here/terraform.tfvars.json" TF_CLI_ARGS_apply="-var-file=$here/terraform.tfvars.json" TF_CLI_ARGS_destroy="-var-file=$here/terraform.tfvars.json" TF_CLI_ARGS_import="-var-file=$here/terraform.tfvars.json"
[ -z "$(planned)" ] || { cat "$here/last.txt"; die "the second plan is not empty"; }
echo "The second plan is empty."

say "What the AWS CLI sees."
"$root/examples/aws-complete/check.sh" "$here/terraform.tfvars.json"

say "The registered Fargate tasks, run for real: two databases, dumped, verified, stored."
for schedule in $("$terraform" output -json schedules | python3 -c 'import json, sys; print("\n".join(json.load(sys.stdin).values()))'); do
	"$demo" task "$schedule" >"$here/task.txt" || { cat "$here/task.txt"; die "the task of $schedule failed"; }
	grep -c '"_aws"' "$here/task.txt" | sed "s|^|$(basename "$schedule"): lines with metrics: |"
done
repository=$("$terraform" output -raw repository)
"$runner" list --repository "$repository" --log-level warn
"$runner" verify --all --repository "$repository" --log-level warn
grep -rlE "$DEMO_PG_PASSWORD" "$here" && die "the password of the database is in a file" || echo "No file of Terraform, no log and no plan holds the password."

say "Somebody changes and deletes things by hand; the plan finds all of it."
"$root/examples/aws-complete/damage.sh"
planned >"$here/drift.txt" && cat "$here/drift.txt"
tf apply -auto-approve
[ -z "$(planned)" ] || { cat "$here/last.txt"; die "the plan after the repair is not empty"; }
"$root/examples/aws-complete/check.sh" "$here/terraform.tfvars.json" >/dev/null
echo "Repaired; the plan is empty again."

say "Terraform forgets everything, and imports it."
"$terraform" show -json | python3 -c '
import json, sys
for r in json.load(sys.stdin)["values"]["root_module"]["resources"]:
    if r["mode"] == "managed":
        print(r["address"] + "\t" + str(r["values"]["id"]))' >"$here/ids.txt"
cut -f 1 "$here/ids.txt" | tr '\n' '\0' | xargs -0 "$terraform" state rm >"$here/last.txt"
python3 - "$here/ids.txt" >imports.tf <<'PY'
import json, sys
for line in open(sys.argv[1]):
    address, id = line.rstrip("\n").split("\t")
    print("import {\n  to = %s\n  id = %s\n}" % (address, json.dumps(id)))
PY
planned >"$here/imported.txt"
grep '^Plan' "$here/last.txt"
if grep -E ': .*(create|delete)' "$here/imported.txt"; then die "a resource would be made again instead of imported"; fi
tf apply -auto-approve
rm imports.tf
[ -z "$(planned)" ] || { cat "$here/last.txt"; die "the plan after the import is not empty"; }
echo "The plan is empty."

say "Destroy refuses while there are backups, unless that was said before."
if "$terraform" destroy -auto-approve >"$here/last.txt" 2>&1; then die "a repository with recovery points was destroyed"; fi
grep -m1 'has recovery points' "$here/last.txt" || { cat "$here/last.txt"; die "destroy failed for another reason"; }
tf apply -auto-approve -var force_destroy=true
tf destroy -auto-approve -var force_destroy=true
account >"$here/after.txt"
diff "$here/before.txt" "$here/after.txt" || die "the account is not as before"
echo "Destroyed; the account is as before."
