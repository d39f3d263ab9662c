package command

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/shared/foreign"
)

const (
	maxImportRows  = 5_000_000
	maxImportLine  = 16 << 10  // bytes
	maxImportInput = 512 << 20 // bytes, of the standard input, which is kept in memory
	maxImportUser  = 128       // bytes
)

// importFile is a file of tokens to import. It is read several times, so that it need not be in
// memory.
type importFile struct {
	name  string
	open  func() (io.ReadCloser, error)
	shape foreign.Shape
}

// importRow is a row of it.
type importRow struct {
	manage.Import
	line int
}

// hash returns the first half of the token's hash.
func (r *importRow) hash() (half [16]byte) {
	b, _ := hex.DecodeString(r.TokenSHA256) // was made by check
	copy(half[:], b)
	return half
}

// openImport opens a file, or the standard input if the name is -.
func openImport(name string, stdin io.Reader) (*importFile, error) {
	info, err := os.Stat(name)
	switch {
	case name == "-":
		return keptImport(name, stdin)
	case err != nil:
		return nil, usageError{err.Error()}
	case info.Mode().IsRegular():
		return &importFile{name: name, open: func() (io.ReadCloser, error) { return os.Open(name) }}, nil
	case info.IsDir():
		return nil, misused("%s is a directory", name)
	}
	pipe, err := os.Open(name) // it can be read once
	if err != nil {
		return nil, usageError{err.Error()}
	}
	defer func() { _ = pipe.Close() }() // it was only read
	return keptImport(name, pipe)
}

// keptImport reads all of an input that cannot be read again.
func keptImport(name string, input io.Reader) (*importFile, error) {
	text, err := io.ReadAll(io.LimitReader(input, maxImportInput+1))
	if err != nil {
		return nil, usageError{err.Error()}
	}
	if len(text) > maxImportInput {
		return nil, misused("%s is longer than %d bytes: import it from a file", name, maxImportInput)
	}
	return &importFile{name: name, open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }}, nil
}

// each calls do for each row, with what is wrong with it. It returns the first error of do, or
// why the file cannot be read.
func (f *importFile) each(do func(importRow, error) error) error {
	file, err := f.open()
	if err != nil {
		return usageError{err.Error()}
	}
	defer func() { _ = file.Close() }() // it was only read
	limited := &lineLimit{r: file}
	in := bufio.NewReader(limited)
	if mark, err := in.Peek(3); err == nil && string(mark) == "\ufeff" { // which spreadsheets write
		_, _ = in.Discard(3)
	}
	first, err := firstByte(in)
	switch {
	case err != nil:
		return misused("%s has no rows", f.name)
	case first == '[':
		return misused("%s is one JSON array, but must have an object on each line", f.name)
	case first == '{':
		return f.eachLine(in, limited, do)
	}
	return f.eachRecord(in, limited, do)
}

// firstByte returns the first byte that is no white space, without taking it.
func firstByte(in *bufio.Reader) (byte, error) {
	for n := 1; ; n++ {
		text, err := in.Peek(n)
		if err != nil {
			return 0, err
		}
		if b := text[n-1]; !strings.ContainsRune(" \t\r\n", rune(b)) {
			return b, nil
		}
	}
}

// lineLimit fails if more is read for one row than a row may have.
type lineLimit struct {
	r   io.Reader
	got int // since the row began
}

var errLongLine = fmt.Errorf("a row has more than %d bytes", maxImportLine)

func (l *lineLimit) Read(p []byte) (int, error) {
	if l.got > maxImportLine {
		return 0, errLongLine
	}
	n, err := l.r.Read(p)
	l.got += n
	return n, err
}

// eachLine reads JSON lines.
func (f *importFile) eachLine(in *bufio.Reader, limited *lineLimit, do func(importRow, error) error) error {
	for line := 1; ; line++ {
		limited.got = 0
		text, err := in.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return misused("%s:%d: %v", f.name, line, err)
		}
		ended := err != nil
		if text = bytes.TrimSpace(text); len(text) > 0 {
			row, err := f.parseLine(text)
			row.line = line
			if err := do(row, err); err != nil {
				return err
			}
		}
		if ended {
			return nil
		}
	}
}

// parseLine reads a row in JSON.
func (f *importFile) parseLine(text []byte) (importRow, error) {
	var l struct {
		manage.Import
		Token string `json:"token"`
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&l); err != nil {
		return importRow{}, jsonFault(err)
	}
	if decoder.More() {
		return importRow{}, errors.New("there is more than one value on the line")
	}
	if !utf8.Valid(text) {
		return importRow{}, errors.New("it is not UTF-8")
	}
	return f.check(l.Import, l.Token)
}

// jsonFault returns what is wrong with a line of JSON, without showing what stands there.
func jsonFault(err error) error {
	var wrongType *json.UnmarshalTypeError
	var moment *time.ParseError
	switch {
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return fmt.Errorf("%s is %s, but must be %s", strings.TrimPrefix(wrongType.Field, "Import."), kind(wrongType.Value), kind(wrongType.Type.String()))
	case errors.As(err, &moment), strings.Contains(err.Error(), "Time.UnmarshalJSON"): // the latter is what is no string
		return errors.New("auth_time or expires_at is no time as in RFC 3339, a string such as \"2027-01-31T10:00:00Z\"")
	case strings.Contains(err.Error(), "unknown field"):
		return fmt.Errorf("there is no member %s", strings.TrimPrefix(err.Error(), "json: unknown field "))
	default:
		return errors.New("it is not a JSON object")
	}
}

// importColumns are the columns of a file in CSV.
var importColumns = []string{"user_id", "token", "token_sha256", "scope", "audience", "claims", "auth_time", "acr", "amr", "device", "expires_at"}

// mayBeColumn reports whether what stands in a header is a word, and not the token of a file without a header.
func mayBeColumn(name string) bool {
	return len(name) <= 24 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// eachRecord reads CSV.
func (f *importFile) eachRecord(in *bufio.Reader, limited *lineLimit, do func(importRow, error) error) error {
	records := csv.NewReader(in)
	records.ReuseRecord = true
	header, err := records.Read()
	if err != nil {
		return misused("%s: the header: %v", f.name, err)
	}
	header = slices.Clone(header)
	for n, name := range header {
		switch {
		case !slices.Contains(importColumns, name) && !mayBeColumn(name):
			return misused("%s: column %d of the header is none of %s; what stands there is not shown, since it may be a token", f.name, n+1, strings.Join(importColumns, ", "))
		case !slices.Contains(importColumns, name):
			return misused("%s: the header has %q, but the columns are %s", f.name, name, strings.Join(importColumns, ", "))
		case slices.Contains(header[:n], name):
			return misused("%s: the header has %s twice", f.name, name)
		}
	}
	for {
		limited.got = 0
		record, err := records.Read()
		var fault *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &fault):
			err = do(importRow{line: fault.StartLine}, fault.Err)
		case err != nil:
			return misused("%s: %v", f.name, err)
		default:
			line, _ := records.FieldPos(0)
			row, faulty := f.parseRecord(header, record)
			row.line = line
			err = do(row, faulty)
		}
		if err != nil {
			return err
		}
	}
}

// parseRecord reads a row in CSV. An empty cell counts as left out.
func (f *importFile) parseRecord(header, record []string) (importRow, error) {
	var row manage.Import
	var token string
	var err error
	for n, name := range header {
		cell := record[n]
		if !utf8.ValidString(cell) {
			return importRow{}, fmt.Errorf("%s is not UTF-8", name)
		}
		if cell == "" {
			continue
		}
		switch name {
		case "user_id":
			row.UserID = cell
		case "token":
			token = cell
		case "token_sha256":
			row.TokenSHA256 = cell
		case "scope":
			scope := cell
			row.Scope = &scope
		case "audience":
			row.Audience = strings.Fields(cell)
		case "claims":
			row.Claims = json.RawMessage(cell)
		case "auth_time":
			row.AuthTime, err = parseMoment(name, cell)
		case "acr":
			row.ACR = cell
		case "amr":
			row.AMR = strings.Fields(cell)
		case "device":
			row.Device = cell
		case "expires_at":
			row.ExpiresAt, err = parseMoment(name, cell)
		}
		if err != nil {
			return importRow{}, err
		}
	}
	return f.check(row, token)
}

// parseMoment reads a time as in RFC 3339, or in seconds since 1970.
func parseMoment(name, cell string) (time.Time, error) {
	if seconds, err := strconv.ParseInt(cell, 10, 64); err == nil && seconds > 0 && seconds < 1e11 {
		return time.Unix(seconds, 0).UTC(), nil
	}
	t, err := time.Parse(time.RFC3339, cell)
	if err != nil {
		return t, fmt.Errorf("%s is no time as in RFC 3339, such as 2027-01-31T10:00:00Z, nor in seconds since 1970", name)
	}
	return t, nil
}

// check checks a row as far as this is possible here, and returns it with the hash of its token.
// The service checks the rest.
func (f *importFile) check(row manage.Import, token string) (importRow, error) {
	var claims map[string]any
	switch {
	case row.UserID == "":
		return importRow{}, errors.New("user_id is missing")
	case len(row.UserID) > maxImportUser:
		return importRow{}, fmt.Errorf("user_id is %d bytes long, but must be at most %d bytes", len(row.UserID), maxImportUser)
	case strings.ContainsFunc(row.UserID, unicode.IsControl):
		return importRow{}, errors.New("user_id has control characters")
	case (token == "") == (row.TokenSHA256 == ""):
		return importRow{}, errors.New("it must have either token or token_sha256")
	case token != "" && !f.shape.Fits(token):
		return importRow{}, errors.New("token does not look as accepts_imported of the client says")
	case len(row.Claims) > 0 && json.Unmarshal(row.Claims, &claims) != nil:
		return importRow{}, errors.New("claims is not a JSON object")
	}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		row.TokenSHA256 = hex.EncodeToString(sum[:])
		return importRow{Import: row}, nil
	}
	hash, err := hex.DecodeString(row.TokenSHA256)
	if err != nil {
		hash, err = base64.RawURLEncoding.Strict().DecodeString(row.TokenSHA256)
	}
	if err != nil || len(hash) != sha256.Size || strings.ContainsAny(row.TokenSHA256, "\r\n") {
		return importRow{}, errors.New("token_sha256 is not a SHA-256 in hexadecimal or base64url: 64 or 43 characters, with nothing before or after them")
	}
	row.TokenSHA256 = hex.EncodeToString(hash)
	return importRow{Import: row}, nil
}
