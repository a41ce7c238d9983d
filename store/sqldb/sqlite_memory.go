package sqldb

import (
	"fmt"
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// pageCaches tells SQLite, before its first connection, to allocate the page cache of a connection
// whole, with its first page. Otherwise each page is allocated by itself, which takes twice the
// memory (a page and its header have a little more than 4 KiB, an allocation of that size 8), and a
// reader gives all of it back to the system after each commit of another connection, and asks for
// it again page by page.
//
// https://sqlite.org/c3ref/c_config_covering_index_scan.html#sqliteconfigpagecache
var pageCaches = sync.OnceValue(func() error {
	tls := libc.NewTLS()
	defer tls.Close()
	const (
		none    = uintptr(0)          // no buffer that all connections share
		size    = int32(0)            // of its slots
		largest = -int32(writerCache) // in KiB; a connection with a smaller cache takes less
	)
	args := libc.Xmalloc(tls, libc.Tsize_t(3*unsafe.Sizeof(none)))
	if args == 0 {
		return fmt.Errorf("configure SQLite: out of memory")
	}
	defer libc.Xfree(tls, args)
	if code := sqlite3.Xsqlite3_config(tls, sqlite3.SQLITE_CONFIG_PAGECACHE, libc.VaList(args, none, size, largest)); code != sqlite3.SQLITE_OK {
		return fmt.Errorf("configure SQLite: error %d", code)
	}
	return nil
})
