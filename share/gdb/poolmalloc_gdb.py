# SPDX-License-Identifier: MIT
"""poolmalloc's heap in gdb: of a live process that is stopped, and of a core file.

    (gdb) source poolmalloc_gdb.py
    (gdb) help pm

docs/debugger.md describes the commands. Nothing is called in the process, and
nothing written. What is read are the tables beside the windows (lib/arena/window.h,
lib/pool/pool.h) and, where the question is which block is free, the lists in the
blocks. The constants of the build are those of its debug information.
"""

import struct

import gdb

# lib/base/config.h, lib/arena/window.h
DIRECT_MAX, SMALL_CLASSES, GC_CLASSES, ARENA_UNITS = 1024, 64, 32, 64
PLACE_BYTES = 8  # of the places in remote words
ADDRESS_BITS = 56
ROUTE_ALIGN, ROUTE_STEP = 128, 8  # an owner's alignment, and a unit's distance in a route
VOID, SPAN, USER, FLOATING = 0, 1, 2, 3  # routes without a thread heap, in alignments
FREE_STATE, OWNED_STATE, FLOATING_STATE, PUBLISHED_STATE = range(4)
PLACES = ("none", "current", "parked", "kept")


def read(address, size):
    """Memory, or None: it cannot be read, or a core file does not have it."""
    try:
        return bytes(gdb.selected_inferior().read_memory(address, size))
    except gdb.MemoryError:
        return None


class Line:
    """Names the integers of a structure in raw memory: faster than gdb's values."""

    def __init__(self, name):
        self.fields = {}
        for field in gdb.lookup_type("struct " + name).fields():
            if field.type.strip_typedefs().sizeof <= 8:
                self.fields[field.name] = (field.bitpos // 8, field.type.sizeof)

    def get(self, raw, start, name):
        offset, size = self.fields[name]
        return int.from_bytes(raw[start + offset:start + offset + size], "little")


def range_of(kind, name):
    """How many elements a structure's array has."""
    low, high = kind[name].type.range()
    return high - low + 1


class Build:
    """The constants of the build that is looked at."""

    def __init__(self):
        try:
            heap = gdb.lookup_type("struct pm_heap")
            self.pool, self.remote = Line("pm_pool"), Line("pm_remote")
            self.span, self.arena = Line("pm_span"), Line("pm_arena")
        except gdb.error:
            raise gdb.GdbError("pm: there are no types of poolmalloc here (struct pm_heap): the "
                               "library is not loaded, or its debug information is missing")
        self.heap_pointer = heap.pointer()
        self.line = gdb.lookup_type("struct pm_pool").sizeof
        self.classes = range_of(heap, "current")
        self.kept_slots = range_of(heap, "kept")
        self.batch_slots = range_of(heap, "batch")
        self.granule = DIRECT_MAX // (range_of(heap, "direct") - 1)
        # Of gc classes: amid those of malloc, or behind them.
        self.plain_classes = self.classes - (0 if self.granule == 16 else GC_CLASSES)
        self.unit_shift = (self.plain_classes - SMALL_CLASSES) // 8 + 9 - 1
        self.unit = 1 << self.unit_shift
        self.arena_bytes = self.unit * ARENA_UNITS
        self.link_offset = next(field.bitpos // 8 for field in
                                gdb.lookup_type("struct pm_pool").fields()
                                if field.name == "link")

    def class_is_gc(self, number):
        if self.granule == 16:
            return number < SMALL_CLASSES and number % 2 == 0
        return number >= self.plain_classes

    def class_bytes(self, number):
        if self.class_is_gc(number):
            number = number // 2 if self.granule == 16 else number - self.plain_classes
            if number <= 8:
                return 16 + number * 8
            return (number - 3) * 16 if number < 28 else (number - 15) * 32
        if number < SMALL_CLASSES:
            return (number + 1) * 8
        step = number - SMALL_CLASSES
        return (8 + step % 8 + 1) << (step // 8 + 6)


def variable(name, file=None):
    """A variable of the library; of a static one the file is named, too."""
    if file is None:
        symbols = [gdb.lookup_global_symbol(name)]
    else:
        symbols = [symbol for symbol in gdb.lookup_static_symbols(name)
                   if symbol.symtab.filename.endswith(file)]
    symbols = [symbol for symbol in symbols if symbol is not None]
    if not symbols:
        raise gdb.GdbError("pm: there is no variable %s: the debug information of poolmalloc is "
                           "missing" % name)
    return symbols[0].value()


class Window:
    """A window's tables, of the arenas that were ever added."""

    def __init__(self, build, value):
        self.build = build
        self.number, self.base = int(value["number"]), int(value["base"])
        self.units_all, tables = int(value["units"]), int(value["tables"])
        self.first = int(value["first_arena"]) * ARENA_UNITS
        self.end = int(value["next_arena"]) * ARENA_UNITS
        count, line = self.end, build.line
        # Tables are apart from memory that the program gave; what is before its first arena is not
        # its own (lib/arena/piece.h).
        self.low = self.base if tables == self.base else self.address(self.first)
        self.routes = self.table(tables, 8 * count)
        self.routes = struct.unpack("<%dQ" % count, self.routes)
        self.remotes = self.table(int(value["remote_lines"]), line * count)
        self.lines_start = tables - line * (count - 1)
        self.lines = self.table(self.lines_start, line * count)
        self.arenas = self.table(int(value["arenas"]), line * (count // ARENA_UNITS))

    @staticmethod
    def table(address, size):
        raw = read(address, size)
        if raw is None:
            raise gdb.GdbError("pm: the tables at %#x cannot be read (a core file without them?)"
                               % address)
        return raw

    def address(self, unit):
        return self.base + (unit << self.build.unit_shift)

    def line(self, unit):
        """Where the unit's descriptor starts in `lines`."""
        return self.build.line * (self.end - 1 - unit)

    def holds(self, address):
        return self.low <= address < self.base + (self.units_all << self.build.unit_shift)

    def unit_is_free(self, unit):
        raw = self.build.arena.get(self.arenas, unit // ARENA_UNITS * self.build.line, "free")
        return raw >> unit % ARENA_UNITS & 1


class Pool:
    """A pool, as its two lines have it."""

    def __init__(self, window, unit):
        build, self.window, self.unit = window.build, window, unit
        self.base, self.owner = window.address(unit), window.routes[unit]
        remote, line = unit * build.line, window.line(unit)
        self.word = build.remote.get(window.remotes, remote, "word")
        self.state, self.remote_count = self.word & 3, self.word >> 18 & 0xffff
        for name in ("block_bytes", "capacity", "first", "user"):
            setattr(self, name, build.remote.get(window.remotes, remote, name))
        self.number = build.remote.get(window.remotes, remote, "class")
        for name in ("free", "count", "carved", "live_base", "units", "place"):
            setattr(self, name, build.pool.get(window.lines, line, name))
        self.line_class = build.pool.get(window.lines, line, "class")
        self.line_base = build.pool.get(window.lines, line, "base")
        head = self.word >> 2 & 0xffff
        self.remote_head = self.base + (head - 1) * PLACE_BYTES if head else 0
        self.lists = None

    def index(self, address):
        """The number of the block that holds the address, and how far in it lies; or None."""
        offset = address - self.base - self.first
        if offset < 0 or self.block_bytes == 0 or offset // self.block_bytes >= self.capacity:
            return None
        return divmod(offset, self.block_bytes)

    def follow(self, block, memory):
        """Block numbers on a list; the problem with it, or None."""
        numbers = []
        while block:
            found = self.index(block)
            if found is None or found[1] != 0 or found[0] >= self.carved:
                return numbers, "leads to %#x, which is no block that was handed out" % block
            if len(numbers) > self.carved:
                return numbers, "is circular"
            numbers.append(found[0])
            block = struct.unpack_from("<Q", memory, block - self.base)[0]
        return numbers, None

    def free_lists(self):
        """(local, remote, problem) as lists of block numbers; None: the blocks cannot be read.
        What others freed ends where its count does: a list that was taken goes on there."""
        if self.lists is None:
            memory = read(self.base, self.units << self.window.build.unit_shift)
            if memory is None:
                self.lists = (None, None, None)
                return self.lists
            local, problem = ([], None)
            if self.state == OWNED_STATE:
                local, problem = self.follow(self.free, memory)
                problem = problem and "its list " + problem
            remote, other = self.follow(self.remote_head, memory)
            problem = problem or other and "the list of what others freed " + other
            self.lists = (local, remote, problem)
        return self.lists

    def live(self):
        """Live blocks, and whether that is exact."""
        if self.state in (FLOATING_STATE, PUBLISHED_STATE):
            return self.remote_count, True
        if self.owner // ROUTE_ALIGN == USER:
            return self.count, True
        local = self.free_lists()[0]
        if local is not None:
            return self.carved - len(local) - self.remote_count, True
        if PLACES[self.place] == "parked":
            return self.count - self.remote_count, True
        return max(self.live_base - self.remote_count, 0), False

    def kind(self):
        if self.state == FLOATING_STATE:
            return "floating"
        if self.state == PUBLISHED_STATE:
            return "published"
        if self.owner // ROUTE_ALIGN == USER:
            return "user heap %#x" % self.user
        return "%s of heap %#x" % (PLACES[self.place & 3], self.owner)


class Span:
    """A large block."""

    def __init__(self, window, unit):
        build, line = window.build, window.line(unit)
        self.window, self.unit, self.address = window, unit, window.address(unit)
        self.units = build.span.get(window.lines, line, "units")
        self.arenas = build.span.get(window.lines, line, "arenas")
        self.bytes = self.units << build.unit_shift
        self.user = build.remote.get(window.remotes, unit * build.line, "user")


class Heap:
    """A thread's heap, or the cold one."""

    def __init__(self, build, address, cold=False):
        value = gdb.Value(address).cast(build.heap_pointer).dereference()
        self.build, self.address, self.value, self.cold = build, address, value, cold
        self.in_use = cold or bool(value["in_use"])
        self.thread = int(value["thread"])
        self.current = {}
        none = int(variable("pm_pool_none").address)
        for number in range(build.classes):
            pool = int(value["current"][number])
            if pool != none:
                self.current[number] = pool

    def parked(self, number):
        """Descriptors of the parked pools of a class; the problem with the list, or None."""
        head = self.value["parked"][number]
        start, found, before = int(head.address), [], int(head.address)
        link = int(head["next"])
        while link not in (0, start):
            raw = read(link, 16)
            if raw is None or len(found) > 1 << 20:
                return found, "leads to %#x" % link
            after, back = struct.unpack("<QQ", raw)
            if back != before:
                return found, "is not linked both ways at %#x" % link
            found.append(link - self.build.link_offset)
            before, link = link, after
        return found, None

    def kept(self):
        """(pools, bytes) that it keeps unused."""
        slots = [int(self.value["kept"][i]) for i in range(self.build.kept_slots)]
        slots = [slot for slot in slots if slot]
        units = sum(slot & (self.build.line - 1) for slot in slots)
        return len(slots), units << self.build.unit_shift

    def stash_units(self):
        return bin(int(self.value["stash"]) >> 8 & 0xff).count("1")

    def batches(self):
        """Blocks freed into other owners' pools, and not yet pushed."""
        blocks, slots = [], int(self.value["batch_slots"])
        for slot in range(self.build.batch_slots):
            if not slots >> slot & 1:
                continue
            batch = self.value["batch"][slot]
            block = int(batch["head"])
            for _ in range(int(batch["count"])):
                blocks.append(block)
                raw = read(block, 8)
                if raw is None:
                    break
                block = struct.unpack("<Q", raw)[0]
        return blocks


class View:
    """All of it, read once for each command."""

    def __init__(self):
        self.build = build = Build()
        self.windows = []
        values = [variable("pm_window")]
        added = variable("added", "arena/window.c")
        values += [added[i] for i in range(int(variable("added_count", "arena/window.c")))]
        places = variable("places", "arena/piece.c").type.range()[1] + 1
        first_piece = added.type.range()[1] + 1 - places
        values += [added[first_piece + i]
                   for i in range(int(variable("pieces_count", "arena/piece.c")))]
        for value in values:
            if int(value["units"]) != 0:
                self.windows.append(Window(build, value))
        if not self.windows:
            raise gdb.GdbError("pm: nothing was allocated yet")
        self.pools, self.spans = [], []
        for window in self.windows:
            self.add_heads(window)
        self.by_base = {pool.base: pool for pool in self.pools}
        self.heaps = self.all_heaps()
        self.in_batches = {block: heap for heap in self.heaps for block in heap.batches()}

    def add_heads(self, window):
        for unit in range(window.first, window.end):
            route = window.routes[unit]
            if route == 0 or route % ROUTE_ALIGN:
                continue
            if route // ROUTE_ALIGN == SPAN:
                self.spans.append(Span(window, unit))
            else:
                pool = Pool(window, unit)
                if pool.state != FREE_STATE:
                    self.pools.append(pool)

    def all_heaps(self):
        heaps, address = [], int(variable("pm_registry")["heaps"])
        while address:
            heaps.append(Heap(self.build, address))
            address = int(heaps[-1].value["next"])
        heaps.reverse()
        colds = [int(variable(name).address) for name in ("pm_cold_heap", "pm_cold_spare")]
        others = variable("pm_colds_behind")
        found = [variable("pm_cold_first")] + [others[i] for i in range(others.type.range()[1] + 1)]
        for heap in (int(cold["heap"]) for cold in found):
            if heap != 0 and heap not in colds: # of many threads, or a child of a fork
                colds.append(heap)
        return [heap for heap in heaps if heap.address not in colds] + [
            Heap(self.build, cold, True) for cold in colds]

    def window_of(self, address):
        return next((window for window in self.windows if window.holds(address)), None)

    def large_at(self, address):
        return next((span for span in self.spans
                     if span.address <= address < span.address + span.bytes), None)

    def pool_at(self, address):
        window = self.window_of(address)
        return window and self.pool_of(window, (address - window.base) >> self.build.unit_shift)

    def pool_of(self, window, unit):
        route = window.routes[unit]
        distance = route % ROUTE_ALIGN // ROUTE_STEP
        return self.by_base.get(window.address(unit - distance))


def number_and_bytes(view, number):
    return "class %d (%d bytes%s)" % (number, view.build.class_bytes(number),
                                      ", gc" if view.build.class_is_gc(number) else "")


def threads_by_storage():
    """gdb's number of the thread whose storage lies there; empty: it cannot be told."""
    threads, chosen = {}, gdb.selected_thread()
    for thread in gdb.selected_inferior().threads():
        try:
            thread.switch()
            threads[int(gdb.parse_and_eval("&pm_heap_self"))] = thread.num
        except gdb.error:
            continue
    if chosen is not None and chosen.is_valid():
        chosen.switch()
    return threads


class Command(gdb.Command):
    """What the commands share: arguments, and one look at the heap."""

    usage = ""
    most_arguments = 0

    def __init__(self):
        super().__init__(self.name, gdb.COMMAND_DATA)

    def invoke(self, text, from_tty):
        arguments = gdb.string_to_argv(text)
        if len(arguments) > self.most_arguments:
            raise gdb.GdbError("usage: %s %s" % (self.name, self.usage))
        self.run(View(), arguments)


class Pm(gdb.Command):
    """poolmalloc's heap: pm summary, heaps, pools, block, find, check."""

    def __init__(self):
        super().__init__("pm", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


class Summary(Command):
    """pm summary: pools and blocks of each class, large blocks, what is kept and what is free."""

    name = "pm summary"

    def run(self, view, arguments):
        print("%6s %8s %7s %10s %12s %12s" % ("class", "bytes", "pools", "live", "live bytes",
                                              "free bytes"))
        held = {}
        for block in view.in_batches:
            pool = view.pool_at(block)
            if pool is not None:
                held[pool.number] = held.get(pool.number, 0) + 1
        all_live = all_free = 0
        exact = True
        for number in sorted({pool.number for pool in view.pools}):
            pools = [pool for pool in view.pools if pool.number == number]
            counts = [pool.live() for pool in pools]
            live = sum(count for count, _ in counts)
            exact = exact and all(sure for _, sure in counts)
            live -= held.get(number, 0)
            size = view.build.class_bytes(number)
            free = sum(pool.capacity for pool in pools) - live
            kind = "  gc" if view.build.class_is_gc(number) else ""
            print("%6d %8d %7d %10d %12d %12d%s" % (number, size, len(pools), live, live * size,
                                                    free * size, kind))
            all_live += live * size
            all_free += free * size
        if not exact:
            print("The blocks cannot be read: of current pools, live is what it was at the last "
                  "slow path.")
        self.rest(view, all_live, all_free)

    @staticmethod
    def rest(view, live, free):
        large = sum(span.bytes for span in view.spans)
        print("in pools: %d bytes live, %d free" % (live, free))
        print("large blocks: %d, %d bytes" % (len(view.spans), large))
        for span in sorted(view.spans, key=lambda span: -span.bytes)[:10]:
            print("    %#x %d bytes" % (span.address, span.bytes))
        kept = [heap.kept()[1] for heap in view.heaps]
        stash = [heap.stash_units() << view.build.unit_shift for heap in view.heaps]
        print("kept by heaps: %d bytes; cut into nothing yet: %d bytes" % (sum(kept), sum(stash)))
        arenas, units = 0, {"free": 0, "dirty": 0}
        for window in view.windows:
            for start in range(window.first // ARENA_UNITS, window.end // ARENA_UNITS):
                arenas += 1
                for name in units:
                    word = view.build.arena.get(window.arenas, start * view.build.line, name)
                    units[name] += bin(word).count("1")
        print("arenas: %d of %d bytes; free in them: %d bytes, of which %d may be resident" % (
            arenas, view.build.arena_bytes, units["free"] << view.build.unit_shift,
            units["dirty"] << view.build.unit_shift))


class Heaps(Command):
    """pm heaps: each thread's heap, with its pools."""

    name = "pm heaps"

    def run(self, view, arguments):
        threads = threads_by_storage()
        for heap in view.heaps:
            whose = "cold heap" if heap.cold else "free for a new thread"
            if not heap.cold and heap.in_use:
                number = threads.get(heap.thread)
                whose = "thread %d" % number if number else "a thread"
            print("heap %#x: %s" % (heap.address, whose))
            for number in range(view.build.classes):
                parked = heap.parked(number)[0]
                if number not in heap.current and not parked:
                    continue
                current = heap.current.get(number)
                print("    %s: current %s, %d parked" % (
                    number_and_bytes(view, number),
                    "%#x" % self.base_of(view, current) if current else "none", len(parked)))
            print("    kept: %d pools, %d bytes; stash: %d units; in batches: %d blocks" % (
                *heap.kept(), heap.stash_units(), len(heap.batches())))

    @staticmethod
    def base_of(view, descriptor):
        raw = read(descriptor, view.build.line)
        return view.build.pool.get(raw, 0, "base") if raw else 0


class Pools(Command):
    """pm pools [CLASS]: each pool, or those of one class: address, state, live blocks."""

    name, usage, most_arguments = "pm pools", "[CLASS]", 1

    def run(self, view, arguments):
        wanted = int(gdb.parse_and_eval(arguments[0])) if arguments else None
        for pool in view.pools:
            if wanted not in (None, pool.number):
                continue
            live, exact = pool.live()
            print("%#x: %s, %s, %s%d of %d blocks live" % (
                pool.base, number_and_bytes(view, pool.number), pool.kind(),
                "" if exact else "about ", live, pool.capacity))


def state_of(view, pool, number):
    """What a block of a pool is."""
    address = pool.base + pool.first + number * pool.block_bytes
    if number >= pool.carved:
        return "free, never handed out"
    if address in view.in_batches:
        return "freed, held in a batch of heap %#x" % view.in_batches[address].address
    local, remote, _ = pool.free_lists()
    if local is None:
        return "live or free: the blocks cannot be read"
    if number in local:
        return "free"
    if number in remote:
        return "free, by another thread" if pool.state == OWNED_STATE else "free"
    return "live"


def describe(view, address):
    """Lines about what the address lies in."""
    window = view.window_of(address)
    if window is None:
        return ["%#x: not of poolmalloc" % address]
    unit = (address - window.base) >> view.build.unit_shift
    if unit < window.first:
        return ["%#x: tables of window %d" % (address, window.number)]
    if unit >= window.end:
        return ["%#x: reserved, never used" % address]
    where = "    arena %#x, unit %d, window %d" % (
        window.address(unit - unit % ARENA_UNITS), unit % ARENA_UNITS, window.number)
    span = view.large_at(address)
    if span is not None:
        lines = ["%#x: large block, live, %d bytes" % (span.address, span.bytes), where]
        if span.user:
            lines.append("    of user heap %#x" % span.user)
        if address != span.address:
            lines.append("    %#x is %d bytes inside it" % (address, address - span.address))
        return lines
    pool = view.pool_of(window, unit) if window.routes[unit] else None
    if pool is None:
        state = "free unit" if window.unit_is_free(unit) else \
            "no block: kept or held back by a heap, or the rest of a large block's arena"
        return ["%#x: %s" % (address, state), where]
    found = pool.index(address)
    if found is None:
        return ["%#x: unused part of a pool" % address, where]
    start = pool.base + pool.first + found[0] * pool.block_bytes
    lines = ["%#x: block, %s, %d bytes" % (start, state_of(view, pool, found[0]),
                                           pool.block_bytes),
             "    pool %#x, %s, %s" % (pool.base, number_and_bytes(view, pool.number),
                                       pool.kind()), where]
    if found[1]:
        lines.append("    %#x is %d bytes inside it" % (address, found[1]))
    return lines


class Block(Command):
    """pm block ADDRESS: what an address lies in, and whether that is live."""

    name, usage, most_arguments = "pm block", "ADDRESS", 1

    def run(self, view, arguments):
        if not arguments:
            raise gdb.GdbError("usage: %s %s" % (self.name, self.usage))
        print("\n".join(describe(view, int(gdb.parse_and_eval(arguments[0])))))


class Find(Command):
    """pm find VALUE: live blocks that hold the 8-byte word VALUE, an address for instance."""

    name, usage, most_arguments = "pm find", "VALUE", 1

    def run(self, view, arguments):
        if not arguments:
            raise gdb.GdbError("usage: %s %s" % (self.name, self.usage))
        value = int(gdb.parse_and_eval(arguments[0])) & (1 << 64) - 1
        pattern, found = struct.pack("<Q", value), 0
        ranges = [(pool.base, pool.units << view.build.unit_shift) for pool in view.pools]
        ranges += [(span.address, span.bytes) for span in view.spans]
        for start, size in ranges:
            memory = read(start, size) or b""
            at = memory.find(pattern)
            while at >= 0:
                lines = describe(view, start + at) if at % 8 == 0 else [""]
                if " live," in lines[0]:
                    found += 1
                    print("%#x in %s" % (start + at, lines[0]))
                at = memory.find(pattern, at + 1)
        print("pm find: %d words" % found)


class Check(Command):
    """pm check: whether lists, routes and counts of the heap agree."""

    name = "pm check"

    def run(self, view, arguments):
        problems = list(self.of_pools(view)) + list(self.of_heaps(view))
        problems += self.of_units(view)
        for problem in problems:
            print("pm check: " + problem)
        print("pm check: %d pools, %d large blocks, %d heaps: %s" % (
            len(view.pools), len(view.spans), len(view.heaps),
            "%d problems" % len(problems) if problems else "ok"))

    @staticmethod
    def of_pools(view):
        heaps = {heap.address for heap in view.heaps}
        for pool in view.pools:
            where = "pool %#x: " % pool.base
            if pool.number >= view.build.classes or pool.line_class != pool.number or \
                    pool.line_base != pool.base or pool.carved > pool.capacity or \
                    pool.block_bytes != view.build.class_bytes(pool.number):
                yield where + "its descriptor does not fit it"
                continue
            for i in range(pool.units):
                if pool.window.routes[pool.unit + i] != pool.owner + i * ROUTE_STEP:
                    yield where + "unit %d has another route" % i
            if pool.owner // ROUTE_ALIGN > FLOATING and pool.owner not in heaps:
                yield where + "its owner %#x is no heap" % pool.owner
            local, remote, problem = pool.free_lists()
            if problem:
                yield where + problem
            elif local is not None and len(set(local + remote)) != len(local) + len(remote):
                yield where + "a block is free twice"
            elif remote is not None and pool.state == OWNED_STATE and \
                    len(remote) != pool.remote_count:
                yield where + "others freed %d blocks, %d are counted" % (len(remote),
                                                                         pool.remote_count)
            elif remote is not None and pool.state != OWNED_STATE and \
                    len(remote) + pool.remote_count != pool.carved:
                yield where + "%d blocks are free and %d live, of %d" % (
                    len(remote), pool.remote_count, pool.carved)

    @staticmethod
    def of_heaps(view):
        by_line = {pool.window.lines_start + pool.window.line(pool.unit): pool
                   for pool in view.pools}
        for heap in view.heaps:
            where = "heap %#x: " % heap.address
            for number in range(view.build.classes):
                parked, problem = heap.parked(number)
                if problem:
                    yield where + "the list of parked pools of class %d %s" % (number, problem)
                current = [heap.current[number]] if number in heap.current else []
                for line in parked + current:
                    pool = by_line.get(line)
                    if pool is None or pool.owner != heap.address or pool.number != number:
                        yield where + "the pool with the descriptor %#x is not its own" % line

    @staticmethod
    def of_units(view):
        for window in view.windows:
            for unit in range(window.first, window.end):
                if window.routes[unit] and window.unit_is_free(unit):
                    yield "unit %#x is free, and in use" % window.address(unit)
        for span in view.spans:
            if any(span.window.routes[unit] for unit in
                   range(span.unit + 1, min(span.unit + span.units, span.window.end))):
                yield "large block %#x has something else inside" % span.address


Pm()
for command in (Summary, Heaps, Pools, Block, Find, Check):
    command()
