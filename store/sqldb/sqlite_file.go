package sqldb

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

// resolveLinks returns the path of a file with symbolic links resolved. The names of the other
// files of a database (log, lock, key) are made from this path. With unresolved links, a database
// with two names would have two lock files, and so two servers.
func resolveLinks(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	// The file does not exist yet, but its folder may be a link.
	folder, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return "", fmt.Errorf("%s is a link to a file that does not exist", path)
	}
	return filepath.Join(folder, filepath.Base(path)), nil
}

// Resolve returns the path of the file that the url of a SQLite database names, with symbolic links
// resolved.
func Resolve(url string) (string, error) { return resolveLinks(Path(url)) }

// databaseFiles returns the files that hold parts of a SQLite database.
func databaseFiles(path string) []string { return []string{path, path + "-wal", path + "-shm"} }

// makePrivate removes the access of all users except the owner, because the files hold names,
// addresses and hashes of credentials. Copies that other programs make, and restored backups, are
// often readable by everyone.
func makePrivate(path string, log *slog.Logger) error {
	for _, file := range databaseFiles(path) {
		info, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		mode := info.Mode().Perm()
		if mode&0o077 == 0 {
			continue
		}
		if err := os.Chmod(file, mode&^0o077); err != nil {
			return fmt.Errorf("others can read %s (mode %04o); make it private: chmod 600 %s: %w", file, mode, file, err)
		}
		log.Warn("the database file could be read by others; it is private now", "file", file, "mode", fmt.Sprintf("%04o", mode))
	}
	return nil
}
