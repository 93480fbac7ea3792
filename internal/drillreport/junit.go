package drillreport

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"
)

// The form of JUnit's reports that CI systems read: a suite for each drill, in it a
// case for the restore, one for the comparison, and one for each check.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Timestamp string      `xml:"timestamp,attr"`
		Host      string      `xml:"hostname,attr,omitempty"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Errors    int         `xml:"errors,attr"`
		Time      string      `xml:"time,attr"`
		Cases     []junitCase `xml:"testcase"`
		Out       string      `xml:"system-out,omitempty"`
	}
	junitCase struct {
		Class   string       `xml:"classname,attr"`
		Name    string       `xml:"name,attr"`
		Time    string       `xml:"time,attr"`
		Failure *junitResult `xml:"failure"`
		Error   *junitResult `xml:"error"`
	}
	junitResult struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes reports as CI systems read them: a bad backup is a failure, a drill
// that could not run an error.
func JUnit(reports []Report) []byte {
	var all junitSuites
	total := 0.0
	for _, r := range reports {
		s := r.suite()
		all.Suites = append(all.Suites, s)
		all.Tests, all.Failures, all.Errors = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors
		total += r.End.Sub(r.Start).Seconds()
	}
	all.Time = inSeconds(total)
	data, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		// Strings and numbers can not fail to be written.
		panic(fmt.Sprintf("a JUnit report cannot be written: %v", err))
	}
	return append([]byte(xml.Header), append(data, '\n')...)
}

func (r Report) suite() junitSuite {
	class := "drill." + r.Drill + "." + r.Point.Source
	s := junitSuite{
		Name: "drill " + r.Drill + " of " + r.Point.Source, Timestamp: r.Start.UTC().Format(time.RFC3339), Host: r.Host,
		Time: inSeconds(r.End.Sub(r.Start).Seconds()), Out: r.about(),
	}
	add := func(name string, took float64, failure, problem string) {
		c := junitCase{Class: class, Name: name, Time: inSeconds(took)}
		if failure != "" {
			c.Failure = &junitResult{Message: failure, Text: failure}
			s.Failures++
		} else if problem != "" {
			c.Error = &junitResult{Message: problem, Text: problem}
			s.Errors++
		}
		s.Cases, s.Tests = append(s.Cases, c), s.Tests+1
	}
	// What is told by a case of its own is not the fault of the restore.
	switch {
	case r.restored() || r.Outcome == Proven:
		add("restore", r.RTO.Seconds, "", "")
	case r.Outcome == BadBackup:
		add("restore", r.RTO.Seconds, r.Reason, "")
	default:
		add("restore", r.RTO.Seconds, "", r.Reason)
	}
	if r.Contents.Tables > 0 || len(r.Contents.Differences) > 0 {
		add("contents", r.phase(PhaseComparing), differencesText(r.Contents.Differences), "")
	}
	if a := r.AmCheck; a != nil {
		text := strings.Join(a.Problems, "\n")
		if a.CouldNotRun {
			add("pg_amcheck", r.phase(PhaseAmCheck), "", text)
		} else {
			add("pg_amcheck", r.phase(PhaseAmCheck), text, "")
		}
	}
	for _, c := range r.Checks {
		switch {
		case c.Passed:
			add("check "+c.Name, c.Seconds, "", "")
		case c.Failed():
			add("check "+c.Name, c.Seconds, c.told(), "")
		default:
			add("check "+c.Name, c.Seconds, "", c.told())
		}
	}
	if r.RTO.BrokeRTO() {
		add("objective", 0, fmt.Sprintf("the restore took %s, the objective is %s", seconds(r.RTO.Seconds), seconds(r.RTO.Objective)), "")
	}
	if r.RPO.BrokeRPO() {
		add("objective of loss", 0, fmt.Sprintf("%s of changes would have been lost, the objective is %s", seconds(r.RPO.Seconds), seconds(r.RPO.Objective)), "")
	}
	return s
}

// restored tells whether it got as far as looking at what was restored.
func (r Report) restored() bool {
	return r.Recovery != nil && !r.Recovery.Achieved.IsZero() || len(r.Contents.Differences) > 0 || len(r.Checks) > 0 || r.AmCheck != nil
}

func (r Report) phase(name string) float64 {
	for _, p := range r.Phases {
		if p.Name == name {
			return p.Seconds
		}
	}
	return 0
}

func differencesText(list []Difference) string {
	var lines []string
	for _, d := range list {
		lines = append(lines, d.Object+": "+d.Problem)
	}
	return strings.Join(lines, "\n")
}

// about says in a few lines what was drilled.
func (r Report) about() string {
	point := "no recovery point"
	if r.Point.ID != "" {
		point = "recovery point " + r.Point.ID
	}
	lines := []string{fmt.Sprintf("%s: %s of %s, %s", r.Outcome, point, r.Point.Source, r.Point.Chosen)}
	if words := r.Recovery.Words(); words != "" {
		lines = append(lines, "recovered "+words)
	}
	if r.Reason != "" {
		lines = append(lines, r.Reason)
	}
	return strings.Join(append(lines, r.Warnings...), "\n")
}

func inSeconds(s float64) string { return fmt.Sprintf("%.3f", s) }
