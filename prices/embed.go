// Package prices holds the price tables that come with Tollgate. They are
// data, not promises: each file says where its numbers come from and of when
// they are, and an operator who bills by them checks them first, or brings
// tables of their own.
package prices

import (
	"embed"
	"fmt"
	"path"

	"github.com/tollgate/tollgate/meter"
)

//go:embed *.yaml
var files embed.FS

// Files returns all tables, sorted by name. They are in several currencies.
func Files() []meter.PriceFile {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // an embedded directory is always there
	}
	tables := make([]meter.PriceFile, 0, len(entries))
	for _, e := range entries {
		table, err := Read(e.Name())
		if err != nil {
			panic(err) // it was listed just now
		}
		tables = append(tables, table)
	}
	return tables
}

// Read returns one table by its file name, such as "bigmodel.yaml"; a folder
// before it is ignored, so that "prices/bigmodel.yaml" works too.
func Read(name string) (meter.PriceFile, error) {
	data, err := files.ReadFile(path.Base(name))
	if err != nil {
		return meter.PriceFile{}, fmt.Errorf("no built-in price table %q", name)
	}
	return meter.PriceFile{Name: path.Base(name), Data: data}, nil
}
