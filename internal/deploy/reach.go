package deploy

// RunnerHash is the variable that tells the runner its own SHA-256, which it holds
// itself against when it starts.
const RunnerHash = "PGBACKUP_RUNNER_SHA256"
