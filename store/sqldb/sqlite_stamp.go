package sqldb

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// A -wal file is the write-ahead log of one database file and holds its newest pages. Another file
// can take the name of the database, for instance a copy put there by cp after a crash. SQLite then
// adds the pages of the -wal to the wrong file and damages it. SQLite cannot notice this, so a
// server marks the file with a stamp:
//
//	write the note {old, new} ──► write new into the database ──► copy the -wal into the file ──► write the note {new}
//
// The stamp is the user_version on the file's first page. It is copied into the file with the other
// pages of the -wal, before SQLite may restart the -wal. The note lists the stamps that the file
// may have. So the stamp in the file is always in the note or in the -wal, even after a crash. But
// the stamp of an older copy of the file is neither in the note nor in the -wal.
//
// The note is in the file with the name of the database and -stamp at its end. If there is no note,
// or if the note belongs to another -wal, the stamp proves nothing, and the file is accepted.

// mixedFilesError is returned for a database file whose -wal belongs to another database file.
type mixedFilesError struct{ path string }

func (e mixedFilesError) Error() string {
	return fmt.Sprintf("%[1]s was replaced, and %[1]s-wal holds changes of the database that was there before. Nothing was changed. To use the file that is there now, move %[1]s-wal and %[1]s-shm away. If both files were put there together, from one place, remove %[1]s-stamp", e.path)
}

// errOverwritten refuses every use of a file that another program has overwritten while it was
// open.
var errOverwritten = errors.New("another program has overwritten the database file while it was open: end this process, and start it again; it then says what to do")

const (
	// stampInterval is the shortest time between two stamps of a file.
	stampInterval = checkpointInterval / 2
	// maxLogRestarts is more than how many times a -wal can have been restarted since its note was
	// written.
	maxLogRestarts = 1 << 16
	// noteLength is the length of a note in bytes. The -stamp file has room for two notes.
	noteLength = 49
)

// note lists the stamps that the database file may have. Stamps in the -wal are also valid.
type note struct {
	count     uint64   // the number of the note; the newer of two notes has the greater number
	stamps    [2]int32 // the old and the new stamp; both are the same if only one stamp is possible
	logNumber uint32   // the number of the -wal file; 0 means not known
}

// allowsStamp reports whether the note lists the stamp.
func (n note) allowsStamp(stamp int32) bool { return stamp == n.stamps[0] || stamp == n.stamps[1] }

// encode returns the note as a line of fixed length with a checksum, so that an incomplete note is
// recognized.
func (n note) encode() []byte {
	line := fmt.Sprintf("%012x %08x %08x %08x ", n.count, uint32(n.stamps[0]), uint32(n.stamps[1]), n.logNumber)
	return fmt.Appendf(nil, "%s%08x\n", line, crc32.ChecksumIEEE([]byte(line)))
}

// readNote reads the newest note. It returns nil if there is no note.
func readNote(path string) (*note, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var newest *note
	for ; len(text) >= noteLength; text = text[noteLength:] {
		line := text[:noteLength]
		var n note
		var stamps [2]uint32
		if _, err := fmt.Sscanf(string(line), "%012x %08x %08x %08x", &n.count, &stamps[0], &stamps[1], &n.logNumber); err != nil {
			continue
		}
		n.stamps = [2]int32{int32(stamps[0]), int32(stamps[1])}
		if bytes.Equal(n.encode(), line) && (newest == nil || newest.count < n.count) {
			newest = &n
		}
	}
	return newest, nil
}

// writeNote overwrites the older of the two notes in the -stamp file, and waits until the new note
// is on disk.
func writeNote(path string, n note) error {
	_, err := os.Stat(path)
	isNew := errors.Is(err, fs.ErrNotExist)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(n.encode(), int64(n.count%2)*noteLength)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil && isNew {
		err = syncName(path)
	}
	return err
}

// logFile is a -wal as SQLite writes it: https://sqlite.org/fileformat2.html#walformat
type logFile struct {
	number   uint32  // the first salt in the header of the -wal, which grows by one each time the -wal is restarted
	salts    [8]byte // both salts in the header; pages with other salts are older than the header
	pageSize int64   // the page size in bytes
}

const (
	logHeaderBytes   = 32 // the size of the header of a -wal
	frameHeaderBytes = 24 // the size of the header in front of each page of a -wal
	// userVersionOffset is the position of the user_version on page 1.
	userVersionOffset = 60
)

// readLog reads the header of a -wal. It returns nil if the -wal contains no pages.
func readLog(f *os.File) (*logFile, error) {
	var header [logHeaderBytes + frameHeaderBytes]byte
	switch _, err := io.ReadFull(f, header[:]); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &logFile{
		number: binary.BigEndian.Uint32(header[16:]), salts: [8]byte(header[16:24]),
		pageSize: int64(binary.BigEndian.Uint32(header[8:])),
	}, nil
}

// hasStamp reports whether a page of the -wal has the stamp.
func (l *logFile) hasStamp(f *os.File, stamp int32) (bool, error) {
	var frame [frameHeaderBytes]byte
	var version [4]byte
	for at := int64(logHeaderBytes); ; at += frameHeaderBytes + l.pageSize {
		_, err := f.ReadAt(frame[:], at)
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if [8]byte(frame[8:16]) != l.salts {
			return false, nil // the frame was written before the -wal was restarted
		}
		if binary.BigEndian.Uint32(frame[:]) != 1 {
			continue
		}
		if _, err := f.ReadAt(version[:], at+frameHeaderBytes+userVersionOffset); err == nil && int32(binary.BigEndian.Uint32(version[:])) == stamp {
			return true, nil
		}
	}
}

// fileStamp reads the stamp in the database file, without regard to its -wal. It reads through
// SQLite: if it opened and closed the file directly, this process would lose SQLite's locks on the
// file. While the -wal is being copied, or after a crash during that, pages that page 1 refers to
// may be missing. The pragma writable_schema makes SQLite tolerate that.
func fileStamp(ctx context.Context, path string) (stamp int32, err error) {
	query := url.Values{"immutable": {"1"}, "mode": {"ro"}}
	uri := (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: query.Encode()}).String()
	conn, err := openSQLiteConn(ctx, uri, []string{"writable_schema(1)"})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.close()) }()
	var n int64
	err = conn.readRow("pragma user_version", &n)
	return int32(n), err
}

// logNumber returns the number in the header of a -wal file. It returns 0 if there is no such file or
// if it is empty.
func logNumber(path string) (uint32, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	l, err := readLog(f)
	if l == nil || err != nil {
		return 0, err
	}
	return l.number, nil
}

// checkMixed returns a mixedFilesError when the -wal next to a database file belongs to another
// database file.
func checkMixed(ctx context.Context, path string) error {
	for {
		known, err := readNote(path + "-stamp")
		if known == nil || err != nil {
			return err
		}
		err = checkStamp(ctx, path, known)
		if _, mixed := errors.AsType[mixedFilesError](err); !mixed {
			return err
		}
		// A server may have stamped the file while this function read it. If so, check again.
		if now, e := readNote(path + "-stamp"); e != nil || now == nil || *now == *known {
			return errors.Join(err, e)
		}
	}
}

// checkStamp returns a mixedFilesError if the file's stamp is neither in the note known nor in the
// -wal.
func checkStamp(ctx context.Context, path string, known *note) error {
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return err
	}
	f, err := os.Open(path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	log, err := readLog(f)
	if log == nil || err != nil || known.logNumber == 0 || log.number-known.logNumber >= maxLogRestarts {
		return err
	}
	stamp, err := fileStamp(ctx, path)
	if err != nil || known.allowsStamp(stamp) {
		return err
	}
	if held, err := log.hasStamp(f, stamp); held || err != nil {
		return err
	}
	return mixedFilesError{path}
}

// stamper stamps the database file that a server has open. It also notices when another program has
// written to the file.
type stamper struct {
	path string

	noteMutex sync.Mutex // held while a note is written

	mu             sync.Mutex
	enabled        bool        // whether this process stamps the file
	savedNote      note        // the note that is on disk
	lastStamp      time.Time   // when the file was last stamped, on the machine's clock
	lastSeen       os.FileInfo // the size and times of the file when checkStamp last read its stamp
	overwriteError error       // errOverwritten after the file was overwritten, otherwise nil
}

// start makes the stamper stamp the file from now on.
func (s *stamper) start() error {
	known, err := readNote(s.path + "-stamp")
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enabled = true
	if known != nil {
		s.savedNote.count = known.count
	}
	return nil
}

// isDue reports whether this process stamps the file at all (on), and whether it is time for a new
// stamp (now).
func (s *stamper) isDue() (on, now bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.enabled, s.enabled && time.Since(s.lastStamp) >= stampInterval
}

// newestNote returns the note that is on disk.
func (s *stamper) newestNote() note {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.savedNote
}

// saveNote writes a note with these stamps to disk.
func (s *stamper) saveNote(stamps [2]int32) error {
	s.noteMutex.Lock()
	defer s.noteMutex.Unlock()
	log, err := logNumber(s.path + "-wal")
	if err != nil {
		return err
	}
	n := note{count: s.newestNote().count + 1, stamps: stamps, logNumber: log}
	if err := writeNote(s.path+"-stamp", n); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.savedNote, s.lastStamp = n, time.Now()
	return nil
}

// beginStamp writes a note with the old and a new stamp. Then it calls write to put the new stamp
// into the database.
func (s *stamper) beginStamp(ctx context.Context, write func(stamp int32) error) error {
	old, err := fileStamp(ctx, s.path)
	if err != nil {
		return err
	}
	// A stamp that is not in the note comes from another program. That program has either set the
	// stamp by a regular write, or overwritten the file. In the second case, adoptForeignStamp
	// returns an error.
	if known := s.newestNote(); known.stamps != [2]int32{} && !known.allowsStamp(old) {
		if err := s.adoptForeignStamp(old); err != nil {
			return err
		}
	}
	next := newStamp()
	if err := s.saveNote([2]int32{old, next}); err != nil {
		return err
	}
	return write(next)
}

// endStamp writes a note with only the new stamp, if that stamp has been copied into the file.
func (s *stamper) endStamp(ctx context.Context) error {
	now, err := fileStamp(ctx, s.path)
	if err != nil || now != s.newestNote().stamps[1] {
		return err
	}
	return s.saveNote([2]int32{now, now})
}

// overwrittenError returns errOverwritten if the file was overwritten.
func (s *stamper) overwrittenError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.overwriteError
}

// checkStamp returns errOverwritten if the file has a stamp that this process did not give it. It
// reads the stamp only if the file was written to since the last check.
func (s *stamper) checkStamp(ctx context.Context) error {
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	s.mu.Lock()
	known, done := s.savedNote, s.lastSeen != nil && s.lastSeen.ModTime().Equal(info.ModTime()) && s.lastSeen.Size() == info.Size()
	foreign := s.overwriteError
	s.mu.Unlock()
	if done || foreign != nil || known.stamps == [2]int32{} {
		return foreign
	}
	stamp, err := fileStamp(ctx, s.path)
	if err == nil && !s.newestNote().allowsStamp(stamp) {
		err = s.adoptForeignStamp(stamp)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.lastSeen = info
	case errors.Is(err, errOverwritten):
		s.overwriteError = err
	case !isDamage(err):
		return nil // the file could not be read, for example because too many files are open; the next write checks again
	}
	return err
}

// isDamage reports whether an error of SQLite means that the file is damaged or is not a database.
func isDamage(err error) bool {
	return hasCode(err, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
}

// adoptForeignStamp writes a note with a stamp that another program has put into the database by a
// regular write. It returns errOverwritten if the -wal does not have the stamp, because the program
// has then overwritten the file.
func (s *stamper) adoptForeignStamp(stamp int32) error {
	f, err := os.Open(s.path + "-wal")
	if err != nil {
		return errOverwritten
	}
	defer f.Close()
	log, err := readLog(f)
	if err != nil {
		return err
	}
	if log == nil {
		return errOverwritten
	}
	held, err := log.hasStamp(f, stamp)
	if err != nil {
		return err
	}
	if !held {
		return errOverwritten
	}
	return s.saveNote([2]int32{stamp, s.newestNote().stamps[1]})
}

// newStamp returns a random stamp. It is never 0, which means that a file has no stamp.
func newStamp() int32 { return rand.Int32N(1<<31-1) + 1 }

// stampStatement returns the statement that writes a stamp into a database.
func stampStatement(stamp int32) string { return "pragma user_version = " + strconv.Itoa(int(stamp)) }
