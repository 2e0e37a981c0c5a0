package main

import (
	"encoding/json"
	"slices"
	"time"
)

// A figure is something that is measured of a target under a load. 0 stands
// for what was not measured.
type figure int

const (
	rate         figure = iota // requests a second, closed loop
	cpu                        // of the proxy, per request, closed loop
	redisCPU                   // likewise
	cpuAndRedis                // the sum of both
	redisScript                // time inside the scripts, likewise
	p50                        // open loop
	p99                        //
	addedP50                   // above the upstream alone in the same round
	addedP99                   //
	first50                    // to the first byte of the answer, open loop
	addedFirst                 // above the upstream alone in the same round
	busyP50                    // closed loop
	busyP99                    //
	idleCPU                    // per request of the open loop, when the machine is mostly idle
	memory                     // the most that was resident during the closed loop
	streamMemory               // what of it came with the load, by connection
	allocated                  // objects, per request, closed loop
	redisCalls                 // of scripts, per request
	redisTrips                 // reads of the server from clients, per request
	bodyBytes                  // of an answer
	roundTrip                  // of a script, open loop: there and back on an idle server, and inside it
	firstTrips                 // what the first byte comes later than the bare ReverseProxy's, in such round trips
	figureCount
)

// figureNames are what the JSON file calls them.
var figureNames = [figureCount]string{
	"requests_per_second", "cpu_us", "redis_cpu_us", "cpu_and_redis_us", "redis_script_us",
	"p50_us", "p99_us", "added_p50_us", "added_p99_us", "first_byte_p50_us", "added_first_byte_p50_us", "busy_p50_us", "busy_p99_us", "idle_cpu_us",
	"rss_mib", "kib_per_connection", "allocations", "redis_calls", "redis_roundtrips", "body_bytes", "redis_roundtrip_us", "first_byte_in_redis_roundtrips",
}

// figures are what one target gave under one load in one round, or what such
// rounds come to.
type figures [figureCount]float64

// MarshalJSON writes the figures by name, without those that were not measured.
func (f *figures) MarshalJSON() ([]byte, error) {
	named := make(map[string]float64)
	for i, value := range f {
		if value != 0 {
			named[figureNames[i]] = value
		}
	}
	return json.Marshal(named)
}

// above fills in what lies above the upstream alone.
func (f *figures) above(alone *figures) {
	for total, added := range map[figure]figure{p50: addedP50, p99: addedP99, first50: addedFirst} {
		if f[total] > 0 {
			f[added] = f[total] - alone[total]
		}
	}
}

// over divides each figure by another target's.
func (f *figures) over(unit *figures) *figures {
	var r figures
	for i := range f {
		r[i] = ratio(f[i], unit[i])
	}
	// A proxy that keeps no books has no Redis: its CPU stands for both.
	r[cpuAndRedis] = ratio(f[cpuAndRedis], unit[cpu])
	r[firstTrips] = ratio(f[first50]-unit[first50], f[roundTrip])
	return &r
}

// ratio is a/b, and 0 where that says nothing: latency that was added can
// come out below zero on a noisy machine.
func ratio(a, b float64) float64 {
	if a <= 0 || b <= 0 {
		return 0
	}
	return a / b
}

// medians takes the median of each figure, over the rounds in which it was
// measured or says something.
func medians(rounds []*figures) figures {
	var m figures
	for i := range m {
		m[i] = median(slices.DeleteFunc(each(rounds, figure(i)), func(v float64) bool { return v == 0 }))
	}
	return m
}

// each is one figure in every round.
func each(rounds []*figures, of figure) []float64 {
	values := make([]float64, len(rounds))
	for i, f := range rounds {
		values[i] = f[of]
	}
	return values
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
