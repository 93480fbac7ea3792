package physical

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

const defaultPort = 5432

// portFree refuses to restore for a start as configured whose port another server has: a
// copy is easily recovered on the machine of the first. It reads the configuration in the
// backup. What that does not tell, as where it includes other files, the start will.
func (r *restore) portFree(ctx context.Context) error {
	c, known, err := r.configured(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		// What is damaged, or frozen, is found and told where all is fetched.
		r.Log.Debug("the port of the restored server is not known beforehand", "error", err)
		return nil
	}
	if !known {
		return nil
	}
	if where := c.taken(ctx); where != "" {
		return fmt.Errorf("%w: port %d is that of the restored server, and something listens at %s here already: give it another (--port), stop what runs there, or leave --start out and start it yourself", ErrOptions, c.port, where)
	}
	return nil
}

// listener is where a configuration has a server listen.
type listener struct {
	port      int
	addresses []string
	sockets   []string // directories; none where only the server's programs know
}

// configured is where the restored server listens; false where its configuration is not
// all in the backup.
func (r *restore) configured(ctx context.Context) (listener, bool, error) {
	files, err := r.read(ctx, mainConf, autoConf)
	if err != nil {
		return listener{}, false, err
	}
	main, is := files[mainConf]
	if !is {
		return listener{}, false, nil
	}
	included := includes.MatchString(main)
	l := listener{port: defaultPort}
	if text, ok := r.value("port", main, files[autoConf], included); ok {
		if l.port, err = strconv.Atoi(text); err != nil {
			return l, false, fmt.Errorf("port = %q: %w", text, err)
		}
	} else if included {
		return l, false, nil
	}
	l.addresses = []string{"localhost"}
	if text, ok := r.value("listen_addresses", main, files[autoConf], included); ok {
		l.addresses = commaList(text)
	} else if included {
		l.addresses = nil
	}
	if text, ok := r.value("unix_socket_directories", main, files[autoConf], included); ok {
		l.sockets = commaList(text)
	}
	return l, true, nil
}

// value of a setting as the restored server will have it. One of postgresql.conf does not
// count where a file that it includes may say otherwise.
func (r *restore) value(name, main, auto string, included bool) (string, bool) {
	if given, is := r.Settings[name]; is {
		return given, true
	}
	if text, is := valueIn(auto, name); is || included {
		return text, is
	}
	return valueIn(main, name)
}

var includes = regexp.MustCompile(`(?im)^[ \t]*include(_dir|_if_exists)?[ \t=]`)

// valueIn is what a configuration says of a setting: its last line counts.
func valueIn(configuration, name string) (string, bool) {
	all := regexp.MustCompile(`(?im)^[ \t]*`+name+`(?:[ \t]*=[ \t]*|[ \t]+)('(?:[^'\n]|\x27\x27)*'|[^ \t\n#]+)`).FindAllStringSubmatch(configuration, -1)
	if len(all) == 0 {
		return "", false
	}
	return strings.ReplaceAll(strings.Trim(all[len(all)-1][1], "'"), "''", "'"), true
}

func commaList(text string) []string {
	var list []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.Trim(strings.TrimSpace(part), `"`); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// taken is where somebody listens already; "" if nobody does.
func (l listener) taken(ctx context.Context) string {
	port := strconv.Itoa(l.port)
	for _, address := range l.addresses {
		at := map[string]string{"tcp4": address, "tcp6": address}
		switch address {
		case "*":
			at = map[string]string{"tcp4": "0.0.0.0", "tcp6": "::"}
		case "0.0.0.0":
			delete(at, "tcp6")
		case "::":
			delete(at, "tcp4")
		}
		for network, host := range at {
			listening, err := (&net.ListenConfig{}).Listen(ctx, network, net.JoinHostPort(host, port))
			if errors.Is(err, syscall.EADDRINUSE) {
				return net.JoinHostPort(address, port)
			}
			if err == nil { // other errors, as of an address that is not this machine's, are the server's to find
				_ = listening.Close()
			}
		}
	}
	for _, dir := range l.sockets {
		socket := filepath.Join(dir, socketName(l.port))
		if filepath.IsAbs(dir) && listening(socket) {
			return socket
		}
	}
	return ""
}

// maxConfiguration bounds what is read of a file of the configuration, in bytes.
const maxConfiguration = 1 << 20

// read reads small files of the base backup; those it does not have are left out.
func (r *restore) read(ctx context.Context, paths ...string) (map[string]string, error) {
	found := map[string]entry{}
	top := r.top()
	err := eachEntry(ctx, top.Point, top.index.Size(), func(e entry) error {
		for _, p := range paths {
			if e.path == p && !e.dir {
				found[p] = e
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for p, e := range found {
		if e.size > maxConfiguration {
			return nil, fmt.Errorf("%w: %s has %d bytes", repo.ErrDamaged, p, e.size)
		}
		if e.size == 0 {
			files[p] = ""
			continue
		}
		stream, err := top.Range(ctx, top.index, e.offset, e.offset+e.size)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(stream)
		_ = stream.Close() // it was read to its end
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		files[p] = string(text)
	}
	return files, nil
}
