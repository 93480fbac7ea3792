package testenv

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func taskOf(containers ...types.ContainerDefinition) Task {
	return Task{
		Definition: &types.TaskDefinition{Volumes: []types.Volume{{Name: aws.String("data")}, {Name: aws.String("temporary")}}, ContainerDefinitions: containers},
		Programs:   func(string) []string { return []string{"/usr/bin", "/bin"} },
		Env:        []string{"GIVEN=by the platform"},
	}
}

func container(name, script string, essential bool, after ...types.ContainerDependency) types.ContainerDefinition {
	return types.ContainerDefinition{
		Name: &name, Essential: &essential, EntryPoint: []string{"/bin/sh", "-c"}, Command: []string{script}, DependsOn: after,
		Environment: []types.KeyValuePair{{Name: aws.String("WHERE"), Value: aws.String("/data/file")}},
		MountPoints: []types.MountPoint{{SourceVolume: aws.String("data"), ContainerPath: aws.String("/data")}, {SourceVolume: aws.String("temporary"), ContainerPath: aws.String("/tmp")}},
	}
}

func after(name string) types.ContainerDependency {
	return types.ContainerDependency{ContainerName: &name, Condition: types.ContainerConditionSuccess}
}

func TestContainersRunInOrderAndShareVolumesUnderTheirOwnPaths(t *testing.T) {
	t.Parallel()
	end, err := RunTask(t.Context(), taskOf(
		container("main", `cat /data/file; echo "$GIVEN; s3://bucket/data/x; ${HOME-no home}"; exit 3`, true, after("first")),
		container("first", `echo from first > "$WHERE"; test -d "$TMPDIR"`, false),
	))
	if err != nil {
		t.Fatal(err)
	}
	if end.ExitCode["first"] != 0 || end.ExitCode["main"] != 3 {
		t.Errorf("%+v", end)
	}
	if want := "from first\nby the platform; s3://bucket/data/x; no home\n"; end.Output["main"] != want {
		t.Errorf("%q, want %q", end.Output["main"], want)
	}
}

func TestAContainerThatFailsKeepsThoseThatNeedItFromStarting(t *testing.T) {
	t.Parallel()
	end, err := RunTask(t.Context(), taskOf(container("main", "true", true, after("first")), container("first", "exit 2", false)))
	if _, started := end.ExitCode["main"]; err != nil || started || !strings.Contains(end.Reason, "first was to succeed and ended with 2") {
		t.Errorf("%+v, %v", end, err)
	}
}

func TestDefinitionsThatECSRefusesAreRefused(t *testing.T) {
	t.Parallel()
	for want, containers := range map[string][]types.ContainerDefinition{
		"no container is essential":    {container("a", "true", false)},
		"which there is not":           {container("a", "true", true, after("b"))},
		"is essential and ends the ta": {container("a", "true", true, after("b")), container("b", "true", true)},
	} {
		if _, err := RunTask(t.Context(), taskOf(containers...)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
