//go:build ignore

// Generate reads Unicode's confusables.txt from standard input, and writes the part that this
// package needs:
//
//	go run generate.go < Downloads/confusables.txt > confusables.txt
package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"strings"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		line := strings.TrimPrefix(in.Text(), "\ufeff")
		if strings.HasPrefix(line, "#") {
			if !strings.HasPrefix(line, "# total:") {
				fmt.Fprintln(out, strings.TrimRight(line, " "))
			}
			continue
		}
		fields := strings.Split(line, ";")
		if len(fields) < 3 {
			continue
		}
		from, to := strings.TrimSpace(fields[0]), strings.TrimSpace(fields[1])
		if strings.ContainsRune(from, ' ') || from == "" || to == "" {
			log.Fatalf("not a mapping of one character: %q", line)
		}
		fmt.Fprintln(out, from, to)
	}
	if err := in.Err(); err != nil {
		log.Fatal(err)
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}
