package simulator

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	vcsim "github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// finish waits until a task is over and returns its result. It looks into vcsim itself:
// a property collector costs six calls, and vcsim ticks only every 20 ms.
func (s *Simulator) finish(ctx context.Context, ref types.ManagedObjectReference) (types.AnyType, error) {
	lock := &vcsim.Context{Map: s.registry}
	for pause := 200 * time.Microsecond; ; pause = min(2*pause, 5*time.Millisecond) {
		task, ok := s.registry.Get(ref).(*vcsim.Task)
		if !ok {
			return nil, fmt.Errorf("%s has gone", ref)
		}
		var info types.TaskInfo
		s.registry.WithLock(lock, task, func() { info = task.Info })
		switch info.State {
		case types.TaskInfoStateSuccess:
			return info.Result, nil
		case types.TaskInfoStateError:
			return nil, fmt.Errorf("%s: %T", info.DescriptionId, info.Error.Fault)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// finishFiles waits until vcsim has no file left to delete. It leaves other tasks alone:
// those that clients make may never end.
func (s *Simulator) finishFiles(ctx context.Context) {
	lock := s.as(vpxd)
	for _, r := range s.registry.AllReference("Task") {
		task := r.(*vcsim.Task)
		var files bool
		s.registry.WithLock(lock, task, func() { files = task.Info.Entity != nil && task.Info.Entity.Type == "FileManager" })
		if files {
			_, _ = s.finish(ctx, task.Self) // whether it could delete them is all the same
		}
	}
}

// keptTasks is how many finished tasks vcsim may remember. A vCenter forgets them after
// some time; vcsim never does.
const keptTasks = 300

// forgetTasks removes the oldest finished tasks.
func (s *Simulator) forgetTasks() {
	tasks := s.registry.AllReference("Task")
	if len(tasks) <= keptTasks {
		return
	}
	number := func(r mo.Reference) int {
		_, digits, _ := strings.Cut(r.(*vcsim.Task).Self.Value, "-")
		n, _ := strconv.Atoi(digits)
		return n
	}
	slices.SortFunc(tasks, func(a, b mo.Reference) int { return cmp.Compare(number(a), number(b)) })
	ctx := s.as(vpxd)
	for _, r := range tasks[:len(tasks)-keptTasks] {
		task := r.(*vcsim.Task)
		var over bool
		s.registry.WithLock(ctx, task, func() {
			over = task.Info.State == types.TaskInfoStateSuccess || task.Info.State == types.TaskInfoStateError
		})
		if over {
			s.registry.Remove(ctx, task.Self)
		}
	}
}
