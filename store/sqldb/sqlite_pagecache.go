package sqldb

import (
	"fmt"
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// This file is the page cache of SQLite's connections
// (https://sqlite.org/c3ref/pcache_methods2.html). SQLite's own page cache, as modernc.org/sqlite
// is compiled, has one lock for all connections, and every access to a page takes the lock. So
// readers would run no faster on two processors than on one. In this file, each connection has a
// cache of its own, without a lock, because only one goroutine at a time uses a connection.
//
// SQLite owns the memory of a cache, so it comes from SQLite's allocator, and pointers to it are of
// the type uintptr.

// pageCache holds the pages of one database file for one connection. Its address is SQLite's handle
// of the cache. Pages that SQLite does not use at the moment are in a list, and the oldest of them
// is reused first.
type pageCache struct {
	unused      pageSlot // the two ends of the list of unused pages; it must be the first field, because the list refers to it by the address of the cache
	slotBytes   uintptr  // the size of a slot: a pageSlot, SQLite's own data of the page, and the page
	extraBytes  uintptr  // the size of SQLite's own data of a page
	most        int32    // the number of pages that the cache should not exceed
	pages       int32    // how many pages the cache holds
	pagesInUse  int32    // how many pages SQLite uses at the moment
	buckets     uintptr  // an array of lists of slots
	bucketCount uint32   // the number of lists, a power of two
	freeSlots   uintptr  // the list of slots without a page
	dropped     uintptr  // another list of slots without a page, linked by newer; dropUnused makes it
	blocks      uintptr  // the list of blocks of memory that hold the slots
	nextSlots   int32    // the number of slots in the next block
	highest     uint32   // a number that no page in the cache exceeds
	below       uint32   // a number that no page except the page highest exceeds
}

// pageSlot holds one page of the cache. The first two fields are SQLite's struct
// sqlite3_pcache_page.
type pageSlot struct {
	page  uintptr // the bytes of the page
	extra uintptr // SQLite's own data of the page

	next         uintptr // the next slot in the same bucket, or in the list of free slots
	older, newer uintptr // the neighbours in the list of unused pages; 0 while SQLite uses the page
	key          uint32  // the number of the page in the file
}

const (
	firstBuckets = 64 // the number of buckets of a new cache
	firstSlots   = 4  // the number of slots in the first block; temporary tables have caches too, and most need few pages
	mostSlots    = 64 // the largest number of slots in one block
	pointerBytes = unsafe.Sizeof(uintptr(0))
	// overrunBytes is the room behind the last page of a block. SQLite may read some bytes behind a
	// page, and relies on memory being there.
	overrunBytes = 256
	// argumentBytes is the size of one argument of a C function with a variable number of
	// arguments, on every processor. The address of the argument must be a multiple of that size.
	argumentBytes = 8
)

// configurePageCache makes SQLite use pageCache for all connections. It must be called before the
// first connection is opened.
var configurePageCache = sync.OnceValue(func() error {
	tls := libc.NewTLS()
	defer tls.Close()
	size := roundUp(unsafe.Sizeof(sqlite3.Tsqlite3_pcache_methods2{}))
	memory := libc.Xmalloc(tls, libc.Tsize_t(size+argumentBytes))
	if memory == 0 {
		return fmt.Errorf("configure SQLite: out of memory")
	}
	defer libc.Xfree(tls, memory) // SQLite copies the methods
	config := func(option int32) error {
		if code := sqlite3.Xsqlite3_config(tls, option, libc.VaList(memory+size, memory)); code != sqlite3.SQLITE_OK {
			return fmt.Errorf("configure SQLite: error %d", code)
		}
		return nil
	}
	if err := config(sqlite3.SQLITE_CONFIG_GETPCACHE2); err != nil {
		return err
	}
	// xInit and xShutdown stay those of SQLite's own page cache. xInit makes the lock under which
	// SQLite counts the memory that it allocates for single pages outside of a cache.
	m := at[sqlite3.Tsqlite3_pcache_methods2](memory)
	m.FxCreate = functionPointer(createPageCache)
	m.FxCachesize = functionPointer(setCacheSize)
	m.FxPagecount = functionPointer(countPages)
	m.FxFetch = functionPointer(fetchPage)
	m.FxUnpin = functionPointer(unpinPage)
	m.FxRekey = functionPointer(rekeyPage)
	m.FxTruncate = functionPointer(truncatePages)
	m.FxDestroy = functionPointer(destroyPageCache)
	m.FxShrink = functionPointer(shrinkPageCache)
	return config(sqlite3.SQLITE_CONFIG_PCACHE2)
})

// functionPointer returns a function in the form in which translated C code calls it.
func functionPointer[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&struct{ f F }{f})) }

// at returns the value at an address in SQLite's memory, which the garbage collector does not move.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// roundUp rounds a size up to a multiple of eight.
func roundUp(size uintptr) uintptr { return (size + 7) &^ 7 }

// createPageCache is SQLite's method xCreate.
func createPageCache(tls *libc.TLS, pageBytes, extraBytes, _ int32) uintptr {
	cache := libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(pageCache{})))
	if cache == 0 {
		return 0
	}
	c := at[pageCache](cache)
	c.unused.older, c.unused.newer = cache, cache
	c.extraBytes = roundUp(uintptr(extraBytes))
	c.slotBytes = roundUp(unsafe.Sizeof(pageSlot{})) + c.extraBytes + roundUp(uintptr(pageBytes))
	c.nextSlots = firstSlots
	c.bucketCount = firstBuckets
	if c.buckets = libc.Xcalloc(tls, firstBuckets, libc.Tsize_t(pointerBytes)); c.buckets == 0 {
		libc.Xfree(tls, cache)
		return 0
	}
	return cache
}

// setCacheSize is SQLite's method xCachesize.
func setCacheSize(_ *libc.TLS, cache uintptr, most int32) { at[pageCache](cache).most = most }

// countPages is SQLite's method xPagecount.
func countPages(_ *libc.TLS, cache uintptr) int32 { return at[pageCache](cache).pages }

// fetchPage is SQLite's method xFetch: it returns the slot of a page. create says what to do if the
// cache does not have the page: 0 means to return 0, 1 means to take a slot if the cache is not
// full, and 2 means to take a slot in any case.
func fetchPage(tls *libc.TLS, cache uintptr, key uint32, create int32) uintptr {
	c := at[pageCache](cache)
	for slot := *c.bucket(key); slot != 0; {
		s := at[pageSlot](slot)
		if s.key == key {
			if s.older != 0 {
				c.use(s)
			}
			return slot
		}
		slot = s.next
	}
	// If nearly all pages are in use, SQLite should first write changed pages to the file.
	if create == 0 || create == 1 && c.pagesInUse >= c.most-c.most/10 {
		return 0
	}
	slot := c.takeSlot(tls, cache)
	if slot == 0 {
		return 0
	}
	s := at[pageSlot](slot)
	*at[uintptr](s.extra) = 0 // tells SQLite that the page is new
	s.key = key
	c.noteNumber(key)
	bucket := c.bucket(key)
	s.next, *bucket = *bucket, slot
	c.pages++
	c.pagesInUse++
	return slot
}

// noteNumber keeps the bounds of the numbers of pages.
func (c *pageCache) noteNumber(key uint32) {
	switch {
	case key > c.highest:
		c.below, c.highest = c.highest, key
	case key < c.highest:
		c.below = max(c.below, key)
	}
}

// bucket returns the start of the list that a page is in.
func (c *pageCache) bucket(key uint32) *uintptr {
	return at[uintptr](c.buckets + uintptr(key&(c.bucketCount-1))*pointerBytes)
}

// use takes a page out of the list of unused pages.
func (c *pageCache) use(s *pageSlot) {
	at[pageSlot](s.older).newer, at[pageSlot](s.newer).older = s.newer, s.older
	s.older, s.newer = 0, 0
	c.pagesInUse++
}

// takeSlot returns a slot for a new page, or 0 if there is no memory. If the cache is full, it takes
// the slot of the page that has been unused for longest.
func (c *pageCache) takeSlot(tls *libc.TLS, cache uintptr) uintptr {
	if c.pages >= c.most && c.unused.newer != cache {
		oldest := c.unused.newer
		c.use(at[pageSlot](oldest))
		c.drop(oldest)
	}
	if uint32(c.pages) >= c.bucketCount {
		c.addBuckets(tls)
	}
	if c.dropped != 0 {
		slot := c.dropped
		s := at[pageSlot](slot)
		c.dropped = s.newer
		s.older, s.newer = 0, 0
		return slot
	}
	if c.freeSlots == 0 {
		c.addBlock(tls)
	}
	slot := c.freeSlots
	if slot != 0 {
		c.freeSlots = at[pageSlot](slot).next
	}
	return slot
}

// drop removes a page, which is not in the list of unused pages, from the cache.
func (c *pageCache) drop(slot uintptr) {
	s := at[pageSlot](slot)
	link := c.bucket(s.key)
	for *link != slot {
		link = &at[pageSlot](*link).next
	}
	*link = s.next
	s.next, c.freeSlots = c.freeSlots, slot
	c.pages--
	c.pagesInUse--
}

// addBlock allocates more slots. If there is no memory, it does nothing.
func (c *pageCache) addBlock(tls *libc.TLS) {
	block := libc.Xmalloc(tls, libc.Tsize_t(roundUp(pointerBytes)+uintptr(c.nextSlots)*c.slotBytes+overrunBytes))
	if block == 0 {
		return
	}
	*at[uintptr](block), c.blocks = c.blocks, block
	slot := block + roundUp(pointerBytes)
	for range c.nextSlots {
		s := at[pageSlot](slot)
		*s = pageSlot{extra: slot + roundUp(unsafe.Sizeof(*s)), next: c.freeSlots}
		s.page = s.extra + c.extraBytes
		c.freeSlots = slot
		slot += c.slotBytes
	}
	c.nextSlots = min(2*c.nextSlots, mostSlots)
}

// addBuckets doubles the number of buckets. If there is no memory, it does nothing.
func (c *pageCache) addBuckets(tls *libc.TLS) {
	old, count := c.buckets, c.bucketCount
	more := libc.Xcalloc(tls, libc.Tsize_t(2*count), libc.Tsize_t(pointerBytes))
	if more == 0 {
		return
	}
	c.buckets, c.bucketCount = more, 2*count
	for i := range count {
		for slot := *at[uintptr](old + uintptr(i)*pointerBytes); slot != 0; {
			s := at[pageSlot](slot)
			next, bucket := s.next, c.bucket(s.key)
			s.next, *bucket = *bucket, slot
			slot = next
		}
	}
	libc.Xfree(tls, old)
}

// unpinPage is SQLite's method xUnpin: SQLite no longer uses the page. If discard is not 0, the
// cache should not keep the page.
func unpinPage(_ *libc.TLS, cache, slot uintptr, discard int32) {
	c := at[pageCache](cache)
	if discard != 0 || c.pages > c.most {
		c.drop(slot)
		return
	}
	s := at[pageSlot](slot)
	s.older, s.newer = c.unused.older, cache
	at[pageSlot](s.older).newer, c.unused.older = slot, slot
	c.pagesInUse--
}

// rekeyPage is SQLite's method xRekey: it gives a page another number. A page that already has that
// number is dropped.
func rekeyPage(_ *libc.TLS, cache, slot uintptr, _, key uint32) {
	c := at[pageCache](cache)
	for other := *c.bucket(key); other != 0; {
		s := at[pageSlot](other)
		next := s.next
		if s.key == key && other != slot {
			c.dropAny(other)
		}
		other = next
	}
	s := at[pageSlot](slot)
	link := c.bucket(s.key)
	for *link != slot {
		link = &at[pageSlot](*link).next
	}
	*link = s.next
	s.key = key
	c.noteNumber(key)
	bucket := c.bucket(key)
	s.next, *bucket = *bucket, slot
}

// dropAny removes a page from the cache, whether SQLite uses it or not.
func (c *pageCache) dropAny(slot uintptr) {
	if s := at[pageSlot](slot); s.older != 0 {
		c.use(s)
	}
	c.drop(slot)
}

// truncatePages is SQLite's method xTruncate: it drops all pages whose number is first or higher.
func truncatePages(_ *libc.TLS, cache uintptr, first uint32) {
	c := at[pageCache](cache)
	if first > c.highest {
		return
	}
	if first > c.below {
		// As after nearly each commit, when SQLite drops what is behind the end of the file. In a file of
		// less than 1 GiB, that is the page of the lock (https://sqlite.org/fileformat.html#the_lock_byte_page).
		c.dropNumber(c.highest)
		c.highest = c.below
		return
	}
	c.highest = max(first, 1) - 1
	c.below = c.highest
	if first <= 1 && c.pagesInUse == 0 && c.pages > 0 {
		c.dropUnused(cache)
		return
	}
	for i := uint32(0); i < c.bucketCount && c.pages > 0; i++ {
		for slot := *at[uintptr](c.buckets + uintptr(i)*pointerBytes); slot != 0; {
			s := at[pageSlot](slot)
			next := s.next
			if s.key >= first {
				c.dropAny(slot)
			}
			slot = next
		}
	}
}

// dropNumber drops the page with this number, if the cache has it.
func (c *pageCache) dropNumber(key uint32) {
	for slot := *c.bucket(key); slot != 0; slot = at[pageSlot](slot).next {
		if at[pageSlot](slot).key == key {
			c.dropAny(slot)
			return
		}
	}
}

// dropUnused drops all pages. It is called only if SQLite uses none of them. A reader needs this
// after each commit of the writer. To be fast, dropUnused does not touch the slots, which are
// spread over the memory.
func (c *pageCache) dropUnused(cache uintptr) {
	clear(unsafe.Slice(at[uintptr](c.buckets), c.bucketCount))
	at[pageSlot](c.unused.older).newer, c.dropped = c.dropped, c.unused.newer
	c.unused.older, c.unused.newer = cache, cache
	c.pages = 0
}

// shrinkPageCache is SQLite's method xShrink: it drops all pages that SQLite does not use.
func shrinkPageCache(_ *libc.TLS, cache uintptr) {
	c := at[pageCache](cache)
	for c.unused.newer != cache {
		c.dropAny(c.unused.newer)
	}
}

// destroyPageCache is SQLite's method xDestroy.
func destroyPageCache(tls *libc.TLS, cache uintptr) {
	c := at[pageCache](cache)
	for block := c.blocks; block != 0; {
		next := *at[uintptr](block)
		libc.Xfree(tls, block)
		block = next
	}
	libc.Xfree(tls, c.buckets)
	libc.Xfree(tls, cache)
}
