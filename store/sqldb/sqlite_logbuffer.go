package sqldb

import (
	"errors"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// This file gathers the writes of the writer to the write-ahead log, so that they need fewer system
// calls. SQLite writes each page of a commit with two system calls, one for the header of the page
// and one for the page. These parts follow each other in the file. So the code in this file keeps
// them in memory and writes them together: before SQLite waits until they are on disk, and before
// it reads the log or its size.
//
// Only the writer's connection may do this. It commits with "synchronous = full", so SQLite waits
// for the disk at the end of each commit, and only then tells other connections of the commit.

// logBufferBytes is the largest number of bytes that are gathered. SQLite's own method for writing
// accepts less than 128 KiB at once.
const logBufferBytes = 64 << 10

// logBuffer is the memory, owned by SQLite's allocator, that gathers writes to one file. SQLite calls
// the methods of the file through the first field.
type logBuffer struct {
	methods sqlite3.Tsqlite3_io_methods
	own     *sqlite3.Tsqlite3_io_methods // SQLite's own methods, which write to the file
	offset  int64                        // the position in the file of the first gathered byte
	used    int                          // how many bytes are gathered
	bytes   [logBufferBytes]byte
}

// gatherLogWrites makes SQLite gather its writes to the write-ahead log.
func (c *sqliteConn) gatherLogWrites() error {
	if err := c.openLog(); err != nil {
		return err
	}
	name, err := libc.CString("main")
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, name)
	out := libc.Xcalloc(c.tls, 1, libc.Tsize_t(pointerBytes))
	if out == 0 {
		return errOutOfMemory
	}
	defer libc.Xfree(c.tls, out)
	if err := c.errorOf(sqlite3.Xsqlite3_file_control(c.tls, c.handle, name, sqlite3.SQLITE_FCNTL_JOURNAL_POINTER, out)); err != nil {
		return err
	}
	file := at[sqlite3.Tsqlite3_file](*at[uintptr](out))
	if file == nil || file.FpMethods == 0 {
		return errors.New("the write-ahead log is not open")
	}
	buffer := libc.Xmalloc(c.tls, libc.Tsize_t(unsafe.Sizeof(logBuffer{})))
	if buffer == 0 {
		return errOutOfMemory
	}
	c.logBuffer = buffer
	b := at[logBuffer](buffer)
	b.own = at[sqlite3.Tsqlite3_io_methods](file.FpMethods)
	b.methods, b.offset, b.used = *b.own, 0, 0
	b.methods.FxClose = functionPointer(logClose)
	b.methods.FxRead = functionPointer(logRead)
	b.methods.FxWrite = functionPointer(logWrite)
	b.methods.FxTruncate = functionPointer(logTruncate)
	b.methods.FxSync = functionPointer(logSync)
	b.methods.FxFileSize = functionPointer(logFileSize)
	file.FpMethods = buffer
	return nil
}

// bufferOf returns the buffer of a file on which gatherLogWrites was called.
func bufferOf(file uintptr) *logBuffer {
	return at[logBuffer](at[sqlite3.Tsqlite3_file](file).FpMethods)
}

// functionAt returns the Go function for a pointer that functionPointer returned, or for a function
// of SQLite.
func functionAt[F any](pointer uintptr) F {
	return *(*F)(unsafe.Pointer(&struct{ f uintptr }{pointer}))
}

// The types of SQLite's file methods.
type (
	moveFunction = func(tls *libc.TLS, file, bytes uintptr, size int32, offset int64) int32 // xRead and xWrite
	syncFunction = func(tls *libc.TLS, file uintptr, flags int32) int32
)

// writeGathered writes the gathered bytes to the file. If it fails, the bytes are dropped: SQLite ends
// the transaction that they belong to.
func (b *logBuffer) writeGathered(tls *libc.TLS, file uintptr) int32 {
	if b.used == 0 {
		return sqlite3.SQLITE_OK
	}
	size := b.used
	b.used = 0
	return functionAt[moveFunction](b.own.FxWrite)(tls, file, uintptr(unsafe.Pointer(&b.bytes)), int32(size), b.offset)
}

// logWrite is the method xWrite: it gathers the bytes, or writes the gathered bytes first if the
// new ones do not follow them or do not fit.
func logWrite(tls *libc.TLS, file, bytes uintptr, size int32, offset int64) int32 {
	b := bufferOf(file)
	if offset != b.offset+int64(b.used) || b.used+int(size) > logBufferBytes {
		if code := b.writeGathered(tls, file); code != sqlite3.SQLITE_OK {
			return code
		}
		b.offset = offset
	}
	if size > logBufferBytes {
		return functionAt[moveFunction](b.own.FxWrite)(tls, file, bytes, size, offset)
	}
	copy(b.bytes[b.used:], bytesAt(bytes, int(size)))
	b.used += int(size)
	return sqlite3.SQLITE_OK
}

// logRead is the method xRead.
func logRead(tls *libc.TLS, file, bytes uintptr, size int32, offset int64) int32 {
	b := bufferOf(file)
	if code := b.writeGathered(tls, file); code != sqlite3.SQLITE_OK {
		return code
	}
	return functionAt[moveFunction](b.own.FxRead)(tls, file, bytes, size, offset)
}

// logSync is the method xSync.
func logSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	b := bufferOf(file)
	if code := b.writeGathered(tls, file); code != sqlite3.SQLITE_OK {
		return code
	}
	return functionAt[syncFunction](b.own.FxSync)(tls, file, flags)
}

// logTruncate is the method xTruncate.
func logTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	b := bufferOf(file)
	if code := b.writeGathered(tls, file); code != sqlite3.SQLITE_OK {
		return code
	}
	return functionAt[func(*libc.TLS, uintptr, int64) int32](b.own.FxTruncate)(tls, file, size)
}

// logFileSize is the method xFileSize.
func logFileSize(tls *libc.TLS, file, size uintptr) int32 {
	b := bufferOf(file)
	if code := b.writeGathered(tls, file); code != sqlite3.SQLITE_OK {
		return code
	}
	return functionAt[func(*libc.TLS, uintptr, uintptr) int32](b.own.FxFileSize)(tls, file, size)
}

// logClose is the method xClose. It drops gathered bytes, because they belong to a transaction that
// was not committed.
func logClose(tls *libc.TLS, file uintptr) int32 {
	b := bufferOf(file)
	b.used = 0
	return functionAt[func(*libc.TLS, uintptr) int32](b.own.FxClose)(tls, file)
}
