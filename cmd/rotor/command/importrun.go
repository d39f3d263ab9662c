package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/terminal"
)

const (
	// maxImportCall limits what the rows of one call are long, in bytes. The service takes 512 KiB.
	maxImportCall = 384 << 10
	// maxBusy is for how long an import goes on asking a service that is busy.
	maxBusy = 5 * time.Minute
	// busyPause is how long it waits then, after the four attempts of each call.
	busyPause = 5 * time.Second
	// maxImportFaults limits the lines that are kept to be told, of which maxFaults are.
	maxImportFaults = 10_000
)

// importer imports a file.
type importer struct {
	e       *env
	service *manage.Client
	file    *importFile

	client          string
	dryRun, skipBad bool
	parallel        int

	mu sync.Mutex // protects the totals and the faults while calls are made
	importTotals
	faults []importFault
	more   int // faults that were not kept
	bad    map[int]bool
}

// importFault is what is wrong with a line.
type importFault struct {
	line int
	text string
}

// fault keeps what is wrong with a line.
func (i *importer) fault(line int, text string) {
	if len(i.faults) == maxImportFaults {
		i.more++
		return
	}
	i.faults = append(i.faults, importFault{line, text})
}

// told returns what is told of the faults: those of the first lines, and how many there are besides.
func (i *importer) told() []string {
	slices.SortStableFunc(i.faults, func(a, b importFault) int { return cmp.Compare(a.line, b.line) })
	var all []string
	for n, f := range i.faults {
		if n == maxFaults {
			break
		}
		all = append(all, terminal.Inert(fmt.Sprintf("%s:%d: %s", i.file.name, f.line, f.text)))
	}
	if n := len(i.faults) + i.more - len(all); n > 0 {
		all = append(all, "and "+plural(n, "line", "lines")+" more")
	}
	return all
}

// faulty returns the error about the lines that are wrong, nil if none is.
func (i *importer) faulty() error {
	if len(i.faults) == 0 {
		return nil
	}
	return usageError{strings.Join(i.told(), "\n")}
}

// scan reads the whole file, counts its rows and finds those that are wrong in themselves.
func (i *importer) scan(ctx context.Context) error {
	i.bad = map[int]bool{}
	seen := map[[16]byte]int{} // the line of each token; half of a hash tells them apart
	progress := i.e.io.Progress("rows read", 0)
	defer progress.Stop()
	return i.file.each(func(r importRow, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if i.Rows++; i.Rows > maxImportRows {
			return misused("%s has more than %d rows: import it in parts", i.file.name, maxImportRows)
		}
		progress.Add(1)
		if err == nil {
			first, again := seen[r.hash()]
			if !again {
				seen[r.hash()] = r.line
				return nil
			}
			err = fmt.Errorf("its token stands in line %d, too", first)
		}
		i.bad[r.line] = true
		i.Refused++
		i.fault(r.line, err.Error())
		return nil
	})
}

// send makes the calls for all rows that are not wrong, some at a time.
func (i *importer) send(ctx context.Context, dryRun bool) error {
	what := "rows imported"
	if dryRun {
		what = "rows checked"
	}
	refused := i.Refused
	i.importTotals = importTotals{Rows: i.Rows, Refused: refused}
	progress := i.e.io.Progress(what, i.Rows-refused)
	defer progress.Stop()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(i.parallel)
	var rows []importRow
	size := 0
	flush := func() {
		batch := rows
		rows, size = nil, 0
		group.Go(func() error {
			defer progress.Add(len(batch))
			return i.sendBatch(ctx, batch, dryRun)
		})
	}
	err := i.file.each(func(r importRow, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case i.bad[r.line]:
			return nil
		case err != nil:
			return fmt.Errorf("%s:%d: it has changed since it was checked: %w", i.file.name, r.line, err)
		}
		text, err := json.Marshal(r.Import)
		if err != nil {
			return err
		}
		if len(rows) == manage.MaxImports || size+len(text) > maxImportCall {
			flush()
		}
		rows, size = append(rows, r), size+len(text)+1
		return nil
	})
	if err == nil && len(rows) > 0 {
		flush()
	}
	if waited := group.Wait(); waited != nil {
		return waited // it is why the reading was given up
	}
	return err
}

// sendBatch makes the call for some rows, and others without those that are refused.
func (i *importer) sendBatch(ctx context.Context, batch []importRow, dryRun bool) error {
	for len(batch) > 0 {
		tokens := make([]manage.Import, len(batch))
		for n, r := range batch {
			tokens[n] = r.Import
		}
		results, err := i.patiently(ctx, tokens, dryRun)
		wrong := wrongRows(err, len(batch))
		i.mu.Lock()
		if len(wrong) == 0 {
			defer i.mu.Unlock()
			for n, r := range results {
				i.count(batch[n].line, r)
			}
			return err
		}
		var good []importRow
		for n, r := range batch {
			if text, ok := wrong[n]; ok {
				i.Refused++
				i.fault(r.line, text)
			} else {
				good = append(good, r)
			}
		}
		told := i.told()
		i.mu.Unlock()
		if !dryRun && !i.skipBad {
			return errors.New(strings.Join(told, "\n"))
		}
		batch = good
	}
	return nil
}

// count counts the result of a row.
func (i *importer) count(line int, r manage.Imported) {
	switch r.Result {
	case "imported":
		i.Imported++
	case "already":
		i.Already++
	case "expired":
		i.Expired++
	default:
		i.Conflict++
		i.fault(line, "its token belongs to another user or client, by family "+r.Family)
	}
}

// rowField matches the name of a field in the service's answer.
var rowField = regexp.MustCompile(`^tokens\[(\d+)\]`)

// wrongRows returns what the service says of rows that are wrong, by their numbers. It is empty
// if the error is about something else.
func wrongRows(err error, rows int) map[int]string {
	var refused *manage.Error
	if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest {
		return nil
	}
	wrong := map[int]string{}
	for _, f := range refused.Fields {
		m := rowField.FindStringSubmatch(f.Field)
		if m == nil {
			return nil
		}
		n, err := strconv.Atoi(m[1])
		if err != nil || n >= rows {
			return nil
		}
		text := strings.TrimPrefix(strings.TrimPrefix(f.Detail, m[0]), ".")
		if wrong[n] != "" {
			text = wrong[n] + "; " + text
		}
		wrong[n] = text
	}
	return wrong
}

// patiently makes a call, and again after a pause if the service is too busy, or does not answer,
// for longer than one call is repeated.
func (i *importer) patiently(ctx context.Context, tokens []manage.Import, dryRun bool) ([]manage.Imported, error) {
	for waited := time.Duration(0); ; {
		results, err := i.service.Import(ctx, i.client, tokens, dryRun)
		pause := busyPause
		var refused *manage.Error
		var silent *manage.UnreachableError
		switch {
		case errors.As(err, &refused) && (refused.Status == http.StatusTooManyRequests || refused.Status == http.StatusServiceUnavailable):
			pause = max(pause, refused.RetryAfter)
			waited += pause
		case errors.As(err, &silent):
			waited += maxBusy / 3 // as long as it may take to find that out
		default:
			return results, err
		}
		if waited > maxBusy {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}
