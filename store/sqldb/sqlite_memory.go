package sqldb

import (
	"fmt"
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// configurePageCaches tells SQLite, before the first connection is opened, to allocate the page
// cache of a connection in one piece. Otherwise SQLite allocates each page separately. That takes
// twice the memory, because a page with its header is a little larger than 4 KiB and the allocator
// then uses 8 KiB. Separate allocation also makes a reader free all its pages after each commit of
// another connection, and allocate them again one by one.
//
// https://sqlite.org/c3ref/c_config_covering_index_scan.html#sqliteconfigpagecache
var configurePageCaches = sync.OnceValue(func() error {
	tls := libc.NewTLS()
	defer tls.Close()
	const (
		none    = uintptr(0)             // a null pointer: there is no buffer that all connections share
		size    = int32(0)               // the size of a slot in the shared buffer, which does not exist
		largest = -int32(writerCacheKiB) // the limit for the page cache of each connection, in KiB (negative)
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
