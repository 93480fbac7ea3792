package push_test

import (
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/waltest"
)

func TestMain(m *testing.M) { waltest.Main(m) }
