package repo

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Holder is who holds a lease, told so that a later run on the same host can
// find out whether it still lives.
type Holder struct {
	Host    string `json:"host"`
	Machine string `json:"machine,omitempty"` // /etc/machine-id
	Boot    string `json:"boot,omitempty"`    // kernel's boot id
	PIDs    string `json:"pid_namespace,omitempty"`
	PID     int    `json:"pid"`
	Started string `json:"pid_started,omitempty"` // clock ticks since boot
	Nonce   string `json:"nonce"`                 // this very lease
}

// Self describes the running process.
func Self() Holder {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	ns, _ := os.Readlink("/proc/self/ns/pid")
	return Holder{
		Host: host, Machine: firstLine("/etc/machine-id"), Boot: firstLine("/proc/sys/kernel/random/boot_id"),
		PIDs: ns, PID: os.Getpid(), Started: processStart(os.Getpid()),
	}
}

func (h Holder) String() string { return fmt.Sprintf("pid %d on %s", h.PID, h.Host) }

type holderState int

const (
	unknown holderState = iota // elsewhere: only time tells
	running
	gone
)

// state tells whether h lives, as far as me can see. Process ids mean something
// only within one boot and one pid namespace: containers of one host have
// namespaces of their own.
func (h Holder) state(me Holder) holderState {
	switch {
	case h.Boot == "" || me.Boot == "":
		return unknown
	case h.Boot != me.Boot:
		if h.Machine != "" && h.Machine == me.Machine && h.Host == me.Host {
			return gone // this very machine was restarted since
		}
		return unknown
	case h.PIDs == "" || h.PIDs != me.PIDs:
		return unknown
	case h.Started == "":
		return unknown
	}
	switch started := processStart(h.PID); {
	case started == h.Started:
		return running
	case started == "" && hidden(h.PID):
		return unknown
	}
	return gone
}

// hidden tells whether a process is there although /proc does not show it: with
// hidepid, those of other users are not shown.
func hidden(pid int) bool {
	if _, err := os.Stat("/proc/" + strconv.Itoa(pid)); err == nil {
		return false // seen: a zombie
	}
	p, err := os.FindProcess(pid)
	return err == nil && errors.Is(p.Signal(syscall.Signal(0)), fs.ErrPermission)
}

// processStart returns when a process started, in clock ticks since boot; "" if
// there is none. A pid that was given to another process has another start.
func processStart(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	// The name in parentheses may hold anything; fields count from after it.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" { // a zombie no longer works
		return ""
	}
	return fields[19]
}

func firstLine(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(line)
}
