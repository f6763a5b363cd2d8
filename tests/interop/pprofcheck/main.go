// Pprofcheck reads pprof files with the package that defines them and prints what it understood,
// one JSON object a line. It fails where that package, or Parca's stricter rules, would refuse.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/google/pprof/profile"
)

type function struct {
	File      string           `json:"file"`
	StartLine int64            `json:"start_line"`
	Self      map[string]int64 `json:"self"`
	Total     map[string]int64 `json:"total"`
}

type summary struct {
	File      string               `json:"file"`
	Types     []string             `json:"types"`
	Default   string               `json:"default"`
	Period    string               `json:"period_type"`
	PeriodNs  int64                `json:"period"`
	TimeNs    int64                `json:"time"`
	Duration  int64                `json:"duration"`
	Comments  []string             `json:"comments"`
	Samples   int                  `json:"samples"`
	Depth     int                  `json:"depth"`
	Totals    map[string]int64     `json:"totals"`
	Functions map[string]*function `json:"functions"`
	Labels    map[string][]string  `json:"labels"`
	NumLabels map[string][]int64   `json:"num_labels"`
}

func name(t *profile.ValueType) string { return t.Type + "/" + t.Unit }

// sequential is what Parca asks for: ids 1..N in table order.
func sequential(p *profile.Profile) error {
	for i, m := range p.Mapping {
		if m.ID != uint64(i)+1 {
			return fmt.Errorf("mapping %d has id %d", i, m.ID)
		}
	}
	for i, f := range p.Function {
		if f.ID != uint64(i)+1 {
			return fmt.Errorf("function %d has id %d", i, f.ID)
		}
	}
	for i, l := range p.Location {
		if l.ID != uint64(i)+1 {
			return fmt.Errorf("location %d has id %d", i, l.ID)
		}
	}
	return nil
}

// distinct: identical (stack, labels) are one sample.
func distinct(p *profile.Profile) error {
	seen := map[string]bool{}
	for _, s := range p.Sample {
		key := ""
		for _, l := range s.Location {
			key += fmt.Sprint(l.ID, ",")
		}
		labels, _ := json.Marshal([]any{s.Label, s.NumLabel, s.NumUnit})
		if key += string(labels); seen[key] {
			return fmt.Errorf("two samples of the same stack and labels: %s", key)
		}
		seen[key] = true
	}
	return nil
}

func (out *summary) add(p *profile.Profile, s *profile.Sample) {
	if len(s.Location) > out.Depth {
		out.Depth = len(s.Location)
	}
	seen := map[string]bool{}
	for depth, l := range s.Location {
		for _, line := range l.Line {
			f := out.Functions[line.Function.Name]
			if f == nil {
				f = &function{line.Function.Filename, line.Function.StartLine, map[string]int64{}, map[string]int64{}}
				out.Functions[line.Function.Name] = f
			}
			for i, t := range p.SampleType {
				if depth == 0 {
					f.Self[name(t)] += s.Value[i]
				}
				if !seen[line.Function.Name] {
					f.Total[name(t)] += s.Value[i]
				}
			}
			seen[line.Function.Name] = true
		}
	}
	for i, t := range p.SampleType {
		out.Totals[name(t)] += s.Value[i]
	}
	for key, values := range s.Label {
		out.Labels[key] = append(out.Labels[key], values...)
	}
	for key, values := range s.NumLabel {
		out.NumLabels[key] = append(out.NumLabels[key], values...)
	}
}

func check(path string) (*summary, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p, err := profile.ParseData(data)
	if err != nil {
		return nil, err
	}
	for _, rule := range []func(*profile.Profile) error{(*profile.Profile).CheckValid, sequential, distinct} {
		if err := rule(p); err != nil {
			return nil, err
		}
	}
	if p.PeriodType == nil {
		return nil, fmt.Errorf("no period type")
	}
	out := &summary{
		File: path, Default: p.DefaultSampleType, Period: name(p.PeriodType), PeriodNs: p.Period,
		TimeNs: p.TimeNanos, Duration: p.DurationNanos, Comments: p.Comments, Samples: len(p.Sample),
		Totals: map[string]int64{}, Functions: map[string]*function{}, Labels: map[string][]string{},
		NumLabels: map[string][]int64{},
	}
	for _, t := range p.SampleType {
		out.Types = append(out.Types, name(t))
	}
	for _, s := range p.Sample {
		out.add(p, s)
	}
	return out, nil
}

func main() {
	failed := false
	for _, path := range os.Args[1:] {
		out, err := check(path)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			failed = true
			continue
		}
		if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
			fmt.Fprintln(os.Stderr, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}
