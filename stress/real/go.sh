# SPDX-License-Identifier: MIT
# A Go program that calls C: goroutines, whose threads come and go, allocate
# and free by cgo what others made.

needs go cc

run()
{
    mkdir -p "$folder/go"
    cat >"$folder/go/main.go" <<'END'
package main

/*
#include <stdlib.h>
#include <string.h>
static char *doubled(const char *text) {
	size_t length = strlen(text);
	char *made = malloc(2 * length + 1);
	memcpy(made, text, length);
	memcpy(made + length, text, length + 1);
	return made;
}
*/
import "C"

import (
	"fmt"
	"sync"
	"unsafe"
)

func main() {
	made := make(chan *C.char, 100)
	var makers, takers sync.WaitGroup
	var lock sync.Mutex
	total := 0
	for maker := 0; maker < 8; maker++ {
		makers.Add(1)
		go func(maker int) {
			defer makers.Done()
			for i := 0; i < 70000; i++ {
				text := C.CString(fmt.Sprintf("%d of %d", i, maker))
				made <- C.doubled(text)
				C.free(unsafe.Pointer(text))
			}
		}(maker)
	}
	for taker := 0; taker < 4; taker++ {
		takers.Add(1)
		go func() {
			defer takers.Done()
			sum := 0
			for text := range made {
				sum += int(C.strlen(text))
				C.free(unsafe.Pointer(text))
			}
			lock.Lock()
			total += sum
			lock.Unlock()
		}()
	}
	makers.Wait()
	close(made)
	takers.Wait()
	fmt.Println(total)
	C.exit(0) // Go's own end runs no atexit handlers
}
END
    [ -x "$folder/go/work" ] || (cd "$folder/go" && HOME=$folder GOCACHE=$folder/cache \
        GO111MODULE=off CGO_ENABLED=1 go build -o work main.go) || return 1
    under "$folder/go/work"
}
