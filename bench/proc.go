package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is the unit in which Linux reports CPU time to everybody (USER_HZ).
const ticksPerSecond = 100

// cpuTime is the user and system time that the processes have used so far.
func cpuTime(pids []int) (total time.Duration, err error) {
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		// The command's name, in brackets, may hold blanks; the rest may not.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		const utime, stime = 11, 12 // fields 14 and 15 of proc(5), after the first two
		if len(fields) <= stime {
			return 0, errors.New("/proc: cannot read the CPU time")
		}
		for _, field := range fields[utime : stime+1] {
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, err
			}
			total += time.Duration(ticks) * time.Second / ticksPerSecond
		}
	}
	return total, nil
}

// residentMemory is what the processes hold in memory now, in bytes.
func residentMemory(pids []int) (total int64, err error) {
	for _, pid := range pids {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		_, rest, ok := strings.Cut(string(status), "VmRSS:")
		var kib int64
		if !ok {
			return 0, errors.New("/proc: cannot read the memory")
		}
		if _, err := fmt.Sscanf(rest, "%d kB", &kib); err != nil {
			return 0, err
		}
		total += kib << 10
	}
	return total, nil
}

// children are the processes that a process has started, as nginx its workers.
func children(pid int) (pids []int, err error) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil, err
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			return nil, err
		}
		for field := range strings.FieldsSeq(string(text)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				return nil, err
			}
			pids = append(pids, child)
		}
	}
	return pids, nil
}

// allocations asks a Go process for the number of objects that it has
// allocated so far, by the name that the Prometheus client gives it.
func allocations(ctx context.Context, metricsURL string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, metricsURL, http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), allocationsMetric+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, errors.Join(lines.Err(), errors.New(metricsURL+" does not tell "+allocationsMetric))
}

// A memoryWatch keeps the most memory that was resident.
type memoryWatch struct {
	end  chan struct{}
	most chan int64
}

func watchMemory(pids []int) *memoryWatch {
	w := &memoryWatch{make(chan struct{}), make(chan int64)}
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		var most int64
		for {
			// A process that ended is noticed by whoever speaks to it.
			if now, err := residentMemory(pids); err == nil {
				most = max(most, now)
			}
			select {
			case <-tick.C:
			case <-w.end:
				w.most <- most
				return
			}
		}
	}()
	return w
}

func (w *memoryWatch) stop() int64 {
	close(w.end)
	return <-w.most
}
