package main

import (
	"testing"
	"testing/fstest"
)

func TestContainerMemory(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  int64
	}{
		"no control groups":    {fstest.MapFS{}, 0},
		"version 2, a service": {fstest.MapFS{"proc/self/cgroup": file("0::/system.slice/rollcall.service\n"), "sys/fs/cgroup/system.slice/rollcall.service/memory.max": file("134217728\n")}, 128 << 20},
		"version 2, no limit":  {fstest.MapFS{"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/a/memory.max": file("max\n")}, 0},
		"version 2, the limit of the group above is less": {fstest.MapFS{
			"proc/self/cgroup": file("0::/pod/box\n"), "sys/fs/cgroup/pod/memory.max": file("67108864\n"), "sys/fs/cgroup/pod/box/memory.max": file("134217728\n"),
		}, 64 << 20},
		"version 2, inside a container":          {fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("100663296\n")}, 96 << 20},
		"version 1, the group's path is outside": {fstest.MapFS{"proc/self/cgroup": file("5:cpu,memory:/docker/abc\n1:name=systemd:/x\n"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("67108864\n")}, 64 << 20},
		"version 1, no limit":                    {fstest.MapFS{"proc/self/cgroup": file("5:memory:/\n"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n")}, 0},
		"nonsense":                               {fstest.MapFS{"proc/self/cgroup": file("nonsense\n0::/\n"), "sys/fs/cgroup/memory.max": file("many\n")}, 0},
	} {
		if got := containerMemory(c.files); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
	for container, want := range map[int64]int64{0: serverMemory, 64 << 20: 64 << 20 * 4 / 10, 1 << 30: serverMemory} {
		if got := memoryLimit(container); got != want {
			t.Errorf("in a container of %d bytes: got %d, want %d", container, got, want)
		}
	}
}
