package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

func newKey(a *app) *cobra.Command {
	return group(&cobra.Command{Use: "key", Short: "Work with encryption keys"}, newKeyGenerate(a), newKeyList(a), newKeyRotate(a))
}

func newKeyGenerate(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "generate", Short: "Make a 256-bit key that encrypts a repository", Args: cobra.NoArgs,
		Long: `Make a random 256-bit key, in base64. Keep a copy where a fire in the data centre does
not reach it: without the key the backups can not be read by anybody.`,
		Example: "  pgbackup-runner key generate --out /etc/pgbackup/key\n  pgbackup-runner init --repository file:///var/backups/pg --key file:/etc/pgbackup/key",
		RunE:    func(*cobra.Command, []string) error { return a.generateKey(out) },
	}
	cmd.Flags().StringVar(&out, "out", "", "write the key to a new `FILE` that only its owner may read (default: standard output)")
	return cmd
}

func (a *app) generateKey(out string) error {
	key := seal.NewKey()
	if out == "" {
		if a.flags.json {
			return a.printJSON(map[string]string{"key": key.Encode(), "fingerprint": key.Fingerprint()})
		}
		_, err := fmt.Fprintln(a.out, key.Encode())
		return err
	}
	if err := writeKey(out, key); err != nil {
		return err
	}
	if a.flags.json {
		return a.printJSON(map[string]string{"file": out, "fingerprint": key.Fingerprint()})
	}
	a.say("Wrote key %s to %s. Copy it to a safe place now: without it the backups can not be read.", key.Fingerprint(), out)
	return nil
}

// writeKey never overwrites: the old key may be all that opens old backups.
func writeKey(path string, key seal.Key) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return usagef("%s is there already and may be the key of existing backups: it is not overwritten; choose another name", path)
	}
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	_, err = fmt.Fprintln(f, key.Encode())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write key %s: %w", path, errors.Join(err, os.Remove(path)))
	}
	return nil
}
