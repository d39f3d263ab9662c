package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// suites lists, for each package, the packages whose tests may notice what is wrong in it, the quickest first.
var suites = map[string][]string{
	"family":       {"family", "sweep", "server"},
	"origin":       {"origin", "server"},
	"token":        {"token", "server"},
	"proof":        {"proof", "server"},
	"signing":      {"signing", "server"},
	"keyring":      {"keyring", "boot", "server"},
	"problem":      {"problem", "server"},
	"assertion":    {"assertion", "server"},
	"outbound":     {"assertion", "foreign", "server"},
	"foreign":      {"foreign", "server"},
	"audit":        {"audit", "server"},
	"store":        {"store", "storetest", "sweep", "counts", "server"},
	"embedded":     {"embedded", "storetest", "server"},
	"storetest":    {"storetest", "sweep", "server"},
	"sweep":        {"sweep", "boot", "server"},
	"session":      {"session", "server"},
	"oauth":        {"server"},
	"manage":       {"server"},
	"web":          {"server"},
	"openapi":      {"openapi", "server"},
	"openapitest":  {"openapitest", "server"},
	"server":       {"server"},
	"tokensource":  {"tokensource"},
	"manageclient": {"manageclient"},
	"gateway":      {"gateway"},
	"boot":         {"boot", "gateway"},
	"local":        {"local"},
	"loopback":     {"local", "console"},
	"console":      {"console", "local"},
	"timeline":     {"timeline", "console"},
	"demo":         {"local"},
	"rotor":        {"rotor"},
	"command":      {"command", "rotor"},
	"terminal":     {"terminal", "command", "rotor"},
	"counts":       {"counts"},
}

// folders has the folders of the packages that are not in shared/.
var folders = map[string]string{
	"gateway": "functions/internal/gateway", "boot": "functions/internal/boot", "web": "shared/internal/web", "local": "cmd/rotor/local", "rotor": "cmd/rotor",
	"command": "cmd/rotor/command", "terminal": "cmd/rotor/terminal", "console": "cmd/rotor/console", "loopback": "cmd/rotor/loopback",
	"timeline": "cmd/rotor/console/timeline", "demo": "cmd/rotor/demo",
	"storetest": "shared/store/storetest", "embedded": "shared/store/embedded", "openapitest": "shared/openapi/openapitest", "tokensource": "clients/tokensource",
	"manageclient": "clients/manage", "counts": "lab/counts",
}

// folder returns a package's folder, relative to the root of the repository.
func folder(pkg string) string {
	if f, ok := folders[pkg]; ok {
		return f
	}
	return "shared/" + pkg
}

// sources reads the files of packages, without tests. It reads each package once.
type sources struct {
	root string
	read map[string]map[string]string
}

// of returns the contents of a package's files, by their paths relative to the root of the repository.
func (s *sources) of(pkg string) (map[string]string, error) {
	if files, ok := s.read[pkg]; ok {
		return files, nil
	}
	if suites[pkg] == nil {
		return nil, fmt.Errorf("no suites are listed for the package %s", pkg)
	}
	names, err := filepath.Glob(filepath.Join(s.root, folder(pkg), "*.go"))
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files[folder(pkg)+"/"+filepath.Base(name)] = string(b)
	}
	if s.read == nil {
		s.read = map[string]map[string]string{}
	}
	s.read[pkg] = files
	return files, nil
}

// elsewhere returns a note about the other packages in which a text occurs, since it may have moved there.
func (s *sources) elsewhere(pkg, text string) string {
	var found []string
	for _, other := range slices.Sorted(maps.Keys(suites)) {
		files, err := s.of(other)
		if err != nil || other == pkg {
			continue
		}
		for file, source := range files {
			if strings.Contains(source, text) {
				found = append(found, file)
			}
		}
	}
	if found == nil {
		return ""
	}
	slices.Sort(found)
	return "\nbut it occurs in " + strings.Join(found, ", ")
}
