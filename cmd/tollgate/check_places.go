package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tollgate/tollgate/config"
	"github.com/tollgate/tollgate/ledger"
)

// checkPlaces looks at what `tollgate serve` needs beside Redis: the archive
// and the directory of the settlement logs. l is nil where there is no ledger.
func (r *checked) checkPlaces(ctx context.Context, cfg *config.Config, l *ledger.Ledger) {
	if cfg.Archive.URL != "" {
		r.checkArchive(ctx, cfg, l)
	}
	if cfg.File == "" || cfg.Ledger.Log == "" {
		return // nobody serves without a file, and verbs have no log
	}
	if err := tryDirectory(cfg.Ledger.Log); err != nil {
		r.problem(cfg, "ledger.log", err)
	}
}

func (r *checked) checkArchive(ctx context.Context, cfg *config.Config, l *ledger.Ledger) {
	var err error
	if path, isFile := strings.CutPrefix(cfg.Archive.URL, "sqlite:"); isFile {
		err = tryDirectory(filepath.Dir(path)) // says more than SQLite does
	}
	if err == nil {
		err = ledger.CheckArchive(ctx, cfg.Archive.URL, l)
	}
	if errors.Is(err, ledger.ErrNotFound) {
		text := strings.TrimPrefix(err.Error(), ledger.ErrNotFound.Error()+": ")
		r.Warnings = append(r.Warnings, text+" yet: the first `tollgate serve` makes it")
		return
	}
	if err != nil {
		r.problem(cfg, "archive.url", err)
	}
}

func (r *checked) problem(cfg *config.Config, path string, err error) {
	r.Problems = append(r.Problems, config.Problem{File: cfg.File, Path: path, Message: err.Error()})
}

// tryDirectory tells whether files can be written in a directory, or it can be
// made, and leaves nothing there.
func tryDirectory(dir string) error {
	whole, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	there, err := nearest(whole)
	if err != nil {
		return err
	}
	trial, err := os.MkdirTemp(there, ".tollgate-check-")
	if err != nil {
		return fmt.Errorf("%s: %s cannot be written: %w", whole, there, cause(err))
	}
	return os.Remove(trial)
}

// nearest is the directory itself, or the deepest above it that is there.
func nearest(dir string) (string, error) {
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch {
		case err == nil && !info.IsDir():
			return "", fmt.Errorf("%s: %s is no directory", dir, at)
		case err == nil:
			return at, nil
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
			return "", fmt.Errorf("%s cannot be looked at: %w", dir, cause(err))
		}
	}
}

// cause is an error of a file without its path: that of a trial tells nobody anything.
func cause(err error) error {
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
