// SPDX-License-Identifier: Apache-2.0

// Says whether histories of streams are linearizable: whether every append and read can be given one moment between its
// beginning and its end so that, in the order of these moments, each was told what docs/semantics.md says.
//
// usage: streams FILE...    each a history, one JSON object a line; prints a line for each file: its name, then "ok",
// "bad KEY" for a stream that is not, or "undecided KEY" when that took too long. The form is that of ../streams.py.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	none   = -1
	any_   = -2
	exists = -4

	secondsMax = 60
)

type appendOp struct {
	Key      string `json:"key"`
	Expected int64  `json:"expected"`
	Values   []int  `json:"values"`  // one an event
	Ids      bool   `json:"ids"`     // the events' ids are their values
	Outcome  string `json:"outcome"` // ok, duplicate, refused; unknown: no answer
	Version  *int64 `json:"version"` // ok, duplicate: of the first event; refused: that the stream is at; null: not told
}

type readOp struct {
	Key    string `json:"key"`
	Values []int  `json:"values"` // the whole stream
}

type event struct {
	Process string    `json:"process"`
	Began   int64     `json:"began"`
	Ended   int64     `json:"ended"`
	Append  *appendOp `json:"append"`
	Read    *readOp   `json:"read"`
}

// A stream: the values of its events.
type stream []int

func (s stream) find(value int) int {
	for version, v := range s {
		if v == value {
			return version
		}
	}
	return -1
}

func (s stream) holds(expected int64) bool {
	switch expected {
	case any_:
		return true
	case none:
		return len(s) == 0
	case exists:
		return len(s) > 0
	}
	return expected == int64(len(s))-1
}

func told(version *int64, is int) bool {
	return version == nil || *version == int64(is)
}

// May the append have been answered so by a stream in this state, and which state is it in then?
func step(s stream, op *appendOp) (bool, stream) {
	known, first := 0, -1
	for i, value := range op.Values {
		if at := s.find(value); op.Ids && at >= 0 {
			known++
			if i == 0 {
				first = at
			}
		}
	}
	unknown := op.Outcome == "unknown"
	switch {
	case known == len(op.Values): // a retry; its client may not tell it from a first success
		return unknown || (op.Outcome == "duplicate" && told(op.Version, first)) ||
			(op.Outcome == "ok" && op.Version == nil), s
	case known > 0:
		return unknown || op.Outcome == "refused", s
	case !s.holds(op.Expected):
		return unknown || (op.Outcome == "refused" && told(op.Version, len(s)-1)), s
	}
	if !unknown && (op.Outcome != "ok" || !told(op.Version, len(s))) {
		return false, s
	}
	return true, append(s[:len(s):len(s)], op.Values...)
}

func equal(a, b stream) bool {
	if len(a) != len(b) {
		return false
	}
	for i := len(a) - 1; i >= 0; i-- {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

var model = porcupine.Model{
	Init: func() interface{} { return stream(nil) },
	Step: func(state, input, _ interface{}) (bool, interface{}) {
		s, e := state.(stream), input.(*event)
		if e.Read != nil {
			return equal(s, e.Read.Values), s
		}
		return step(s, e.Append)
	},
	Equal: func(a, b interface{}) bool { return equal(a.(stream), b.(stream)) },
}

// The operations of each stream; what was not answered may take effect until the end of time.
func load(path string) (map[string][]porcupine.Operation, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	streams := map[string][]porcupine.Operation{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		e := &event{}
		if err := json.Unmarshal(lines.Bytes(), e); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		var key string
		switch {
		case e.Read != nil:
			key = e.Read.Key
		case e.Append != nil:
			key = e.Append.Key
			if e.Append.Outcome == "unknown" {
				e.Ended = math.MaxInt64
			}
		default:
			return nil, fmt.Errorf("%s: neither append nor read", path)
		}
		streams[key] = append(streams[key], porcupine.Operation{Input: e, Call: e.Began, Return: e.Ended})
	}
	return streams, lines.Err()
}

func verdict(path string) (string, error) {
	streams, err := load(path)
	if err != nil {
		return "", err
	}
	keys := make([]string, 0, len(streams))
	for key := range streams {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		switch porcupine.CheckOperationsTimeout(model, streams[key], secondsMax*time.Second) {
		case porcupine.Illegal:
			return "bad " + key, nil
		case porcupine.Unknown:
			return "undecided " + key, nil
		}
	}
	return "ok", nil
}

func main() {
	for _, path := range os.Args[1:] {
		text, err := verdict(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(path, text)
	}
}
