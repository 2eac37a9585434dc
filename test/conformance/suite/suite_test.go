// Package suite is upstream's end-to-end suite with a main of our own: it keeps upstream's tests, flags and set-up, gives every step a
// time limit (a server that lacks a feature would otherwise be waited for, minutes a test), and writes each result as it comes.
package suite

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"

	conformancedata "k8s.io/kubernetes/test/conformance/testdata"
	"k8s.io/kubernetes/test/e2e"
	"k8s.io/kubernetes/test/e2e/framework"
	"k8s.io/kubernetes/test/e2e/framework/config"
	_ "k8s.io/kubernetes/test/e2e/framework/debug/init"
	_ "k8s.io/kubernetes/test/e2e/framework/metrics/init"
	_ "k8s.io/kubernetes/test/e2e/framework/node/init"
	"k8s.io/kubernetes/test/e2e/framework/testfiles"
	manifests "k8s.io/kubernetes/test/e2e/testing-manifests"
	"k8s.io/kubernetes/test/fixtures"
	_ "k8s.io/kubernetes/test/utils/format"
)

var (
	limit   = flag.Duration("limit", 0, "time that a step of a test may take; 0: as long as upstream gives it")
	longer  = flag.String("longer", "", "file of tests that need longer: seconds, a tab, the test's name, one a line")
	results = flag.String("results", "", "directory that gets a file for each process with a line of JSON for each test, and the log of each failure")
)

// result is one line of the results.
type result struct {
	Test    string  `json:"test"`
	State   string  `json:"state"`
	Seconds float64 `json:"seconds"`
	Failure string  `json:"failure,omitempty"`
	Log     string  `json:"log,omitempty"`
}

// longLimits are those of the tests that need longer, by name.
var longLimits = map[string]time.Duration{}

func readLongLimits() error {
	if *longer == "" || *limit == 0 {
		return nil
	}
	text, err := os.ReadFile(*longer)
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(text), "\n") {
		seconds, name, found := strings.Cut(line, "\t")
		if !found {
			continue
		}
		parsed, err := time.ParseDuration(seconds + "s")
		if err != nil {
			return fmt.Errorf("%s: %w", *longer, err)
		}
		longLimits[name] = parsed
	}
	return nil
}

// textOf is the text of a step: upstream's framework hands it over among the arguments, and adds its tags later.
func textOf(text string, args []any) string {
	for _, arg := range args {
		if text != "" {
			break
		}
		switch arg := arg.(type) {
		case string:
			text = arg
		case []any:
			text = textOf("", arg)
		}
	}
	return text
}

// limitOf is the time of a step; a test is known by its part of the name.
func limitOf(kind types.NodeType, text string) time.Duration {
	if kind.Is(types.NodeTypeIt) && text != "" {
		for name, long := range longLimits {
			if strings.Contains(name, " "+text) {
				return long
			}
		}
	}
	return *limit
}

// limited gives every step that can be interrupted its time.
func limited(kind types.NodeType, _ ginkgo.Offset, text string, args []any) (string, []any, []error) {
	if *limit == 0 || !kind.Is(types.NodeTypeIt|types.NodeTypeBeforeEach|types.NodeTypeAfterEach) {
		return text, args, nil
	}
	interruptible := false
	for _, arg := range args {
		switch arg.(type) {
		case ginkgo.NodeTimeout, ginkgo.SpecTimeout:
			return text, args, nil
		}
		if t := reflect.TypeOf(arg); t != nil && t.Kind() == reflect.Func && t.NumIn() > 0 {
			interruptible = interruptible || t.In(0).Implements(reflect.TypeOf((*context.Context)(nil)).Elem())
		}
	}
	if interruptible {
		args = append(args, ginkgo.NodeTimeout(limitOf(kind, textOf(text, args))), ginkgo.GracePeriod(5*time.Second))
	}
	return text, args, nil
}

// record writes the result of one test, and its log when it failed.
func record(report ginkgo.SpecReport) {
	if *results == "" || report.State.Is(types.SpecStateSkipped|types.SpecStatePending) && report.Failure.Message == "" {
		return
	}
	process := ginkgo.GinkgoParallelProcess()
	entry := result{Test: report.FullText(), State: report.State.String(), Seconds: report.RunTime.Seconds(), Failure: report.Failure.Message}
	if report.State.Is(types.SpecStateFailureStates) {
		var steps strings.Builder
		last := ""
		for _, event := range report.SpecEvents.WithType(types.SpecEventByStart) {
			if event.TimelineLocation.Order < report.Failure.TimelineLocation.Order {
				last = event.Message
			}
			fmt.Fprintf(&steps, "%s %s\n", event.TimelineLocation.Time.Format("15:04:05.000"), event.Message)
		}
		if report.State.Is(types.SpecStateTimedout) { // what it was waiting for says more
			entry.Failure = "the time was up, at: " + last
			for _, more := range report.AdditionalFailures {
				entry.Failure += "\n" + more.Failure.Message
			}
			if more := report.Failure.AdditionalFailure; more != nil {
				entry.Failure += "\n" + more.Failure.Message
			}
		}
		entry.Log = fmt.Sprintf("%d-%d.log", process, time.Now().UnixNano())
		text := strings.Join([]string{report.FullText(), entry.Failure, report.Failure.Location.String(), steps.String(),
			report.CapturedGinkgoWriterOutput}, "\n\n")
		if err := os.WriteFile(filepath.Join(*results, entry.Log), []byte(text), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	line, err := json.Marshal(entry)
	if err == nil {
		var file *os.File
		file, err = os.OpenFile(filepath.Join(*results, fmt.Sprintf("%d.jsonl", process)), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err == nil {
			_, err = file.Write(append(line, '\n'))
			file.Close()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "a result could not be written:", err)
	}
}

func TestMain(m *testing.M) {
	config.CopyFlags(config.Flags, flag.CommandLine)
	framework.RegisterCommonFlags(flag.CommandLine)
	framework.RegisterClusterFlags(flag.CommandLine)
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "unknown arguments:", strings.Join(flag.Args(), " "))
		os.Exit(2)
	}
	if err := readLongLimits(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	testfiles.AddFileSource(manifests.GetE2ETestingManifestsFS())
	testfiles.AddFileSource(fixtures.GetTestFixturesFS())
	testfiles.AddFileSource(conformancedata.GetConformanceTestdataFS())
	framework.AfterReadingAllFlags(&framework.TestContext)
	// Not before: the framework has just walked the whole tree once, and what that walk has seen at the top is not run again.
	ginkgo.ReportAfterEach(record)
	ginkgo.AddTreeConstructionNodeArgsTransformer(limited)
	os.Exit(m.Run())
}

func TestE2E(t *testing.T) { e2e.RunE2ETests(t) }
