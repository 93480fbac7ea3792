package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Task runs the containers of an ECS task definition as processes of this machine,
// in the order that dependsOn gives them, as Fargate would: with the entry point,
// command, variables, user and volumes that are registered, and nothing else.
//
// Volumes are folders: a path in a container that lies in one is rewritten to that
// folder, in every word and variable. Images are not pulled; Programs says where
// the programs are that an image would have. Limits of CPU and memory, read-only
// disks and health checks are not imitated.
type Task struct {
	Definition *types.TaskDefinition
	// Programs gives the folders with the programs of an image, as in PATH.
	Programs func(image string) []string
	// Env is what the platform adds to every container: credentials of the task's
	// role, and endpoints.
	Env []string
}

// TaskEnd is how a task ended.
type TaskEnd struct {
	ExitCode map[string]int    // by container; one that never started is absent
	Output   map[string]string // by container, standard output and error as they came
	Reason   string            // why the task ended, in the manner of ECS
}

// RunTask runs a task to its end. The error is for a definition that ECS or
// Fargate would refuse, and for what could not be started; a container that ends
// badly is no error.
func RunTask(ctx context.Context, task Task) (end TaskEnd, err error) {
	containers := task.Definition.ContainerDefinitions
	if err := checkDependencies(containers); err != nil {
		return TaskEnd{}, err
	}
	dir, err := os.MkdirTemp("", "task")
	if err != nil {
		return TaskEnd{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // other users run containers below it
		return TaskEnd{}, err
	}
	volumes := map[string]string{}
	for _, v := range task.Definition.Volumes {
		if v.Host != nil && aws.ToString(v.Host.SourcePath) != "" {
			return TaskEnd{}, fmt.Errorf("volume %s has a path on a host, which Fargate refuses", aws.ToString(v.Name))
		}
		folder := filepath.Join(dir, aws.ToString(v.Name))
		if err := os.Mkdir(folder, 0o755); err != nil { //nolint:gosec // as Fargate makes them: root's, and readable
			return TaskEnd{}, err
		}
		volumes[aws.ToString(v.Name)] = folder
	}
	end = TaskEnd{ExitCode: map[string]int{}, Output: map[string]string{}}
	for len(end.ExitCode) < len(containers) {
		next, blocked := nextContainer(containers, end.ExitCode)
		if next == nil {
			end.Reason = blocked
			return end, nil
		}
		name := aws.ToString(next.Name)
		end.ExitCode[name], end.Output[name], err = task.run(ctx, *next, dir, volumes)
		if err != nil {
			return end, fmt.Errorf("container %s: %w", name, err)
		}
		if aws.ToBool(next.Essential) {
			end.Reason = "Essential container in task exited"
			return end, nil
		}
	}
	return end, nil
}

// checkDependencies refuses what ECS refuses of dependsOn.
func checkDependencies(containers []types.ContainerDefinition) error {
	essential := map[string]bool{}
	for _, c := range containers {
		essential[aws.ToString(c.Name)] = c.Essential == nil || *c.Essential
	}
	if !slices.Contains(slices.Collect(maps.Values(essential)), true) {
		return errors.New("no container is essential")
	}
	for _, c := range containers {
		for _, d := range c.DependsOn {
			on := aws.ToString(d.ContainerName)
			isEssential, ok := essential[on]
			switch {
			case !ok:
				return fmt.Errorf("container %s depends on %s, which there is not", aws.ToString(c.Name), on)
			case d.Condition != types.ContainerConditionSuccess && d.Condition != types.ContainerConditionComplete:
				return fmt.Errorf("container %s depends on %s %s: only SUCCESS and COMPLETE are known here", aws.ToString(c.Name), d.Condition, on)
			case isEssential:
				return fmt.Errorf("container %s waits for the end of %s, which is essential and ends the task", aws.ToString(c.Name), on)
			}
		}
	}
	return nil
}

// nextContainer is one whose dependencies have ended as it wants; nil with the
// reason when there is none.
func nextContainer(containers []types.ContainerDefinition, ended map[string]int) (*types.ContainerDefinition, string) {
	blocked := "the containers wait for each other"
next:
	for i, c := range containers {
		if _, done := ended[aws.ToString(c.Name)]; done {
			continue
		}
		for _, d := range c.DependsOn {
			code, done := ended[aws.ToString(d.ContainerName)]
			if done && code != 0 && d.Condition == types.ContainerConditionSuccess {
				blocked = fmt.Sprintf("container %s was to succeed and ended with %d", aws.ToString(d.ContainerName), code)
			}
			if !done || code != 0 && d.Condition == types.ContainerConditionSuccess {
				continue next
			}
		}
		return &containers[i], ""
	}
	return nil, blocked
}

func (task Task) run(ctx context.Context, c types.ContainerDefinition, dir string, volumes map[string]string) (code int, output string, err error) {
	words := append(slices.Clone(c.EntryPoint), c.Command...)
	if len(words) == 0 {
		return 0, "", errors.New("neither entryPoint nor command: what the image would run is not known here")
	}
	mapped, tmp, err := mounts(c, volumes)
	if err != nil {
		return 0, "", err
	}
	for i := range words {
		words[i] = mapped(words[i])
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Dir = dir
	path := "PATH=" + strings.Join(task.Programs(aws.ToString(c.Image)), string(os.PathListSeparator))
	cmd.Env = append(slices.Clone(task.Env), path)
	if tmp != "" {
		cmd.Env = append(cmd.Env, "TMPDIR="+tmp) // what a program would find at /tmp
	}
	for _, e := range c.Environment {
		cmd.Env = append(cmd.Env, aws.ToString(e.Name)+"="+mapped(aws.ToString(e.Value)))
	}
	// Fargate asks first, and ends what is still there later.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Duration(aws.ToInt32(c.StopTimeout)) * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	dieWithParent(cmd)
	if owner, err := containerUser(aws.ToString(c.User)); err != nil {
		return 0, "", err
	} else if owner != nil {
		runAs(cmd, owner)
	}
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), out.String(), nil
	}
	return 0, out.String(), err
}

// mounts gives what rewrites the paths of a container, and the folder that is its
// /tmp, "" when none is mounted there.
func mounts(c types.ContainerDefinition, volumes map[string]string) (mapped func(string) string, tmp string, err error) {
	folders := map[string]string{}
	var paths []string
	for _, m := range c.MountPoints {
		folder, ok := volumes[aws.ToString(m.SourceVolume)]
		if !ok {
			return nil, "", fmt.Errorf("volume %s is mounted and not declared", aws.ToString(m.SourceVolume))
		}
		at := aws.ToString(m.ContainerPath)
		folders[at] = folder
		paths = append(paths, regexp.QuoteMeta(at))
	}
	if len(paths) == 0 {
		return func(s string) string { return s }, "", nil
	}
	// A path begins where no other path goes on, and ends with a whole name.
	pattern := regexp.MustCompile(`(^|[\s'"=<>])(` + strings.Join(paths, "|") + `)($|[/\s'";])`)
	mapped = func(s string) string {
		return pattern.ReplaceAllStringFunc(s, func(found string) string {
			m := pattern.FindStringSubmatch(found)
			return m[1] + folders[m[2]] + m[3]
		})
	}
	return mapped, folders["/tmp"], nil
}

// containerUser is the user of a container, by number; nil is that of the image,
// or of this process where it may be no other.
func containerUser(user string) (*syscall.Credential, error) {
	if user == "" || os.Getuid() != 0 {
		return nil, nil
	}
	uid, gid, _ := strings.Cut(user, ":")
	u, err1 := strconv.ParseUint(uid, 10, 32)
	g, err2 := strconv.ParseUint(gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("user %q: only numbers are known here: %w", user, err)
	}
	return &syscall.Credential{Uid: uint32(u), Gid: uint32(g)}, nil
}
