// Prometheus' own relabelling as an oracle: one JSON object a line in, one a line out.
//
//	{"rules": "YAML of a list of relabel_config", "labels": {"a": "b"}}
//	{"refused": "why"} | {"kept": true, "labels": {...}} | {"kept": false}
package main

import (
	"bufio"
	"encoding/json"
	"os"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"gopkg.in/yaml.v2"
)

type question struct {
	Rules  string            `json:"rules"`
	Labels map[string]string `json:"labels"`
}

type answer struct {
	Refused string            `json:"refused,omitempty"`
	Kept    bool              `json:"kept"`
	Labels  map[string]string `json:"labels,omitempty"`
}

func answerOf(line []byte) answer {
	var asked question
	if err := json.Unmarshal(line, &asked); err != nil {
		panic(err)
	}
	var rules []*relabel.Config
	// Names in rules may hold $1, which only this scheme's check lets pass.
	model.NameValidationScheme = model.UTF8Validation //nolint:staticcheck
	if err := yaml.UnmarshalStrict([]byte(asked.Rules), &rules); err != nil {
		return answer{Refused: err.Error()}
	}
	// Names that result are such as Pyroscope takes.
	model.NameValidationScheme = model.LegacyValidation //nolint:staticcheck
	left, kept := relabel.Process(labels.FromMap(asked.Labels), rules...)
	if !kept {
		return answer{}
	}
	return answer{Kept: true, Labels: left.Map()}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := out.Encode(answerOf(lines.Bytes())); err != nil {
			panic(err)
		}
	}
}
