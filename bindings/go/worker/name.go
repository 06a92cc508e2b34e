package worker

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
)

// workerName is one that no other worker has.
func workerName() string {
	random := make([]byte, 3)
	rand.Read(random)
	return fmt.Sprintf("%s-%d-%s", cleanHost(), os.Getpid(), hex.EncodeToString(random))
}

// cleanHost is the host's name with the characters that a subject may have.
func cleanHost() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "host"
	}
	host, _, _ = strings.Cut(host, ".")
	clean := strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '-'
	}, host)
	return clean[:min(len(clean), 64)]
}
