package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Copy is a verified copy of a SQLite database.
type Copy struct {
	File    string    // the path of the copy
	Bytes   int64     // the size of the copy
	Version int64     // the number of the newest migration in the copy
	Newest  time.Time // the time of the newest event in the copy; zero if the copy has no event
}

// ErrNotSQLite is returned by Backup on PostgreSQL, which has its own backup tools.
var ErrNotSQLite = errors.New("the database is not a SQLite file")

// Backup writes a verified copy of a SQLite database to a file, with mode 0600. A server may use
// the database during the backup. The copy has the state of the database at one moment. The file
// gets its name only when it is complete and on disk. If replace is true, Backup may replace an
// existing file.
func (db *DB) Backup(ctx context.Context, file string, replace bool) (Copy, error) {
	s, ok := db.engine.(*sqliteDB)
	if !ok {
		return Copy{}, ErrNotSQLite
	}
	file, err := s.backupTarget(file, replace)
	if err != nil {
		return Copy{}, err
	}
	part, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".partial-*") // CreateTemp gives the file mode 0600
	if err != nil {
		return Copy{}, err
	}
	defer os.Remove(part.Name())
	if err := part.Close(); err != nil {
		return Copy{}, err
	}
	if err := s.copyTo(ctx, part.Name()); err != nil {
		return Copy{}, fmt.Errorf("copy the database: %w", err)
	}
	made, err := s.db.schema.verify(ctx, part.Name())
	if err != nil {
		return Copy{}, err
	}
	if made.File = file; replace {
		err = os.Rename(part.Name(), file)
	} else {
		err = os.Link(part.Name(), file) // unlike os.Rename, os.Link fails if another program has created the file in the meantime
	}
	if err != nil {
		return Copy{}, err
	}
	return made, syncName(file)
}

// backupTarget returns the path of the file that a backup writes. Symbolic links in that path are
// resolved.
func (s *sqliteDB) backupTarget(file string, replace bool) (string, error) {
	file, err := resolveLinks(file)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return file, nil
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a file; name one that a copy can be written to", file)
	case os.SameFile(info, s.file.info):
		return "", fmt.Errorf("%s is the database itself; name another file", file)
	case strings.HasPrefix(file, s.path+"-") || file == s.path+".key":
		return "", fmt.Errorf("%s belongs to the database; name another file", file)
	case !replace:
		return "", fmt.Errorf("%s: %w", file, fs.ErrExist)
	}
	return file, nil
}

// copyTo writes the present content of the database into an empty file. While it runs, the
// write-ahead log cannot be restarted, and grows.
func (s *sqliteDB) copyTo(ctx context.Context, file string) (err error) {
	conn, err := s.openConn(ctx, readerCacheKiB, readerLockWait, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.close()) }()
	conn.interruptible = true
	if _, err := conn.exec(ctx, "vacuum into $1", []any{file}); err != nil {
		return err
	}
	return errors.Join(stampCopy(ctx, file), syncFile(file))
}

// stampCopy gives a copy a stamp of its own, because the copy is another file than the database.
// sqlite_stamp.go explains stamps.
func stampCopy(ctx context.Context, file string) (err error) {
	s := sqliteDB{path: file}
	conn, err := s.openConn(ctx, readerCacheKiB, readerLockWait, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.close()) }()
	return conn.runStatement(stampStatement(newStamp()))
}

// CorruptError says that a copy of a database cannot be used, and why.
type CorruptError struct {
	File string
	Why  string // the reason; the end of the error message
}

func (e *CorruptError) Error() string { return e.File + " cannot be used: " + e.Why }

// verify reads a whole copy and checks every page, every index entry and every reference. It
// returns a CorruptError if the copy cannot be used.
func (schema Schema) verify(ctx context.Context, file string) (made Copy, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return Copy{}, err
	}
	made = Copy{File: file, Bytes: info.Size()}
	s := sqliteDB{path: file}
	conn, err := s.openConn(ctx, readerCacheKiB, readerLockWait, false)
	if err != nil {
		return Copy{}, newCorruptError(file, err)
	}
	defer func() { err = errors.Join(err, conn.close()) }()
	conn.interruptible = true
	for _, table := range append([]string{"migration"}, schema.Tables...) {
		var found int
		if err := conn.readRow("select count(*) from sqlite_master where type = 'table' and name = '"+table+"'", &found); err != nil {
			return Copy{}, newCorruptError(file, err)
		}
		if found == 0 {
			return Copy{}, &CorruptError{file, "it is not a database of Rollcall"}
		}
	}
	for _, check := range []string{"pragma integrity_check(5)", "pragma foreign_key_check"} {
		if err := runCheck(ctx, conn, check); err != nil {
			return Copy{}, newCorruptError(file, err)
		}
	}
	var newest int64
	if err := conn.readRow("select coalesce(max(version_id), 0) from migration where is_applied", &made.Version); err != nil {
		return Copy{}, newCorruptError(file, err)
	}
	if schema.Newest != "" {
		if err := conn.readRow(schema.Newest, &newest); err != nil {
			return Copy{}, newCorruptError(file, err)
		}
	}
	if newest > 0 {
		made.Newest = time.UnixMicro(newest).UTC()
	}
	return made, nil
}

// newCorruptError returns a CorruptError for a file that is not a database or is incomplete. Its
// reason is the text of SQLite's error.
func newCorruptError(file string, err error) error {
	if isDamage(err) {
		return &CorruptError{file, err.Error()}
	}
	if c, ok := errors.AsType[*CorruptError](err); ok {
		return &CorruptError{file, c.Why}
	}
	return fmt.Errorf("check %s: %w", file, err)
}

// runCheck runs a pragma that checks a database. Such a pragma returns "ok", nothing, or one row
// for each fault. runCheck returns the faults as an error.
func runCheck(ctx context.Context, conn *sqliteConn, check string) (err error) {
	rows, err := conn.query(ctx, check, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var faults []string
	for rows.Next() && len(faults) < 5 {
		if check == "pragma foreign_key_check" {
			var table, parent string
			var row, key any
			if err := rows.Scan(&table, &anyColumn{&row}, &parent, &anyColumn{&key}); err != nil {
				return err
			}
			faults = append(faults, fmt.Sprintf("a row of %s refers to a row of %s that is not there", table, parent))
			continue
		}
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		if text != "ok" {
			faults = append(faults, text)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if len(faults) > 0 {
		return &CorruptError{Why: strings.Join(faults, "; ")}
	}
	return nil
}

// anyColumn is a destination for Scan that accepts a column of any type.
type anyColumn struct{ v *any }

// Scan implements sql.Scanner.
func (a *anyColumn) Scan(v any) error {
	*a.v = v
	return nil
}

// Restored describes what Restore has done.
type Restored struct {
	Copy
	KeptAs string // the file that holds the replaced database; "" if no database was replaced
}

// ErrInUse is returned by Restore while another process has the database open.
var ErrInUse = errors.New("another process has the database open; wait until it has ended, or end it")

// Restore puts a copy in the place of the SQLite database at path. It returns an error while a
// server or another command has the database open. The argument from is the path of the copy.
// Restore first copies that file to a temporary file, checks the temporary file, and calls prepare
// with its name. If one of these steps fails, the database stays unchanged. Restore keeps the old
// database under a name that begins with its old name and stamp.
func (schema Schema) Restore(ctx context.Context, path, from, stamp string, prepare func(file string, c Copy) error) (done Restored, err error) {
	if path, err = resolveLinks(path); err != nil {
		return Restored{}, err
	}
	if err := CheckCopy(path, from); err != nil {
		return Restored{}, err
	}
	lock, err := lockServer(ctx, path)
	if err != nil {
		return Restored{}, err
	}
	defer func() { err = errors.Join(err, lock.runStatement("rollback"), lock.close()) }()
	// While this process holds the lock, no other process restores the database. Remove the files
	// of a restore that was killed.
	part := path + ".restoring"
	if err := removeDatabase(part); err != nil {
		return Restored{}, err
	}
	defer func() { err = errors.Join(err, removeDatabase(part)) }()
	if err := copyFile(ctx, part, from); err != nil {
		return Restored{}, fmt.Errorf("copy %s: %w", from, err)
	}
	done.Copy, err = schema.verify(ctx, part)
	if c, is := errors.AsType[*CorruptError](err); is {
		return Restored{}, &CorruptError{from, c.Why}
	}
	if err != nil {
		return Restored{}, err
	}
	if err := prepare(part, done.Copy); err != nil {
		return Restored{}, err
	}
	if err := mergeLog(ctx, part); err != nil {
		return Restored{}, err
	}
	if err := syncFile(part); err != nil {
		return Restored{}, err
	}
	done.KeptAs, err = replaceDatabase(ctx, path, part, path+".replaced-"+stamp)
	done.File = path
	return done, err
}

// CheckCopy returns an error if the file from cannot replace the database at path: it does not
// exist, is not a regular file, is the database itself, or is an incomplete copy. It does not read
// the file.
func CheckCopy(path, from string) error {
	info, err := os.Stat(from)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no file %s; name a copy that rollcall backup has made", from)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a file", from)
	}
	if now, err := os.Stat(path); err == nil && os.SameFile(now, info) {
		return fmt.Errorf("%s is the database itself, under this or another name", from)
	}
	real, err := resolveLinks(from)
	if err != nil {
		return err
	}
	if log, err := os.Stat(real + "-wal"); err == nil && log.Size() > 0 {
		return fmt.Errorf("%s-wal stands beside the copy and holds a part of it; make one whole file first: rollcall backup --database %s OTHER-FILE", from, from)
	}
	return nil
}

// replaceDatabase puts the file at part in the place of the database at path. It keeps the old
// database under the name in kept, or under a similar name if a file has that name. It returns the
// name under which it keeps the old database.
func replaceDatabase(ctx context.Context, path, part, kept string) (string, error) {
	_, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kept = ""
	case err != nil:
		return "", err
	default:
		// Copy the log into the database. If that fails because the database is damaged, keep the
		// log. Do not copy a log that belongs to another file.
		if err := checkMixed(ctx, path); err == nil {
			if err := mergeLog(ctx, path); isBusy(err) {
				return "", ErrInUse
			}
		}
		if kept, err = unusedName(kept); err != nil {
			return "", err
		}
		// First give the old database its second name, and do not remove the first name. The
		// database must never be missing, not even for a moment, because serve would create a new
		// one.
		if err := os.Link(path, kept); err != nil {
			return "", fmt.Errorf("keep the database that is there: %w", err)
		}
	}
	for _, beside := range []string{"-wal", "-shm", "-stamp"} {
		err := os.Remove(path + beside)
		if kept != "" && beside == "-wal" {
			err = os.Rename(path+beside, kept+beside)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	if err := os.Rename(part, path); err != nil {
		return "", err
	}
	return kept, syncName(path)
}

// unusedName returns name if no file has it, otherwise the first unused name of name-2, name-3 and
// so on. Two restores within one second would otherwise use the same name.
func unusedName(name string) (string, error) {
	const most = 1000
	for i := 1; i <= most; i++ {
		free := name
		if i > 1 {
			free = fmt.Sprintf("%s-%d", name, i)
		}
		if _, err := os.Lstat(free); errors.Is(err, fs.ErrNotExist) {
			return free, nil
		} else if err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("%s and %d more names are taken; move those files away", name, most-1)
}

// mergeLog copies the write-ahead log into the database and removes the log. No other process may
// have the database open.
func mergeLog(ctx context.Context, path string) (err error) {
	s := sqliteDB{path: path}
	conn, err := s.openConn(ctx, readerCacheKiB, time.Second, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.close()) }()
	var mode string
	return conn.readRow("pragma journal_mode = delete", &mode)
}

// removeDatabase removes the files of a database, if they exist.
func removeDatabase(path string) error {
	for _, file := range databaseFiles(path) {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// copyFile copies a file into a new file with mode 0600.
func copyFile(ctx context.Context, to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, contextReader{ctx, in})
	return err
}

// contextReader reads from r until the context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}

// syncFile waits until the content of a file is on disk.
func syncFile(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncName makes sure that a file's entry in its folder is on disk.
func syncName(file string) error {
	d, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
