// main.go PORT: net/http as a server, with the answers that other servers do not give.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
	"strings"
	"time"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", echo)
	mux.HandleFunc("/trailers", trailers)
	mux.HandleFunc("/late-trailers", lateTrailers)
	mux.HandleFunc("/hints", hints)
	mux.HandleFunc("/stream", stream)
	mux.HandleFunc("/abort", abort)
	mux.HandleFunc("/limited", limited)
	mux.HandleFunc("/unread", unread)
	mux.HandleFunc("/file", file)
	mux.HandleFunc("/upgrade", upgrade)
	mux.HandleFunc("/duplex", duplex)
	server := &http.Server{Addr: "127.0.0.1:" + os.Args[1], Handler: mux, IdleTimeout: time.Second}
	fmt.Fprintln(os.Stderr, server.ListenAndServe())
}

// echo answers with what has arrived.
func echo(w http.ResponseWriter, r *http.Request) {
	hash := sha256.New()
	length, _ := io.Copy(hash, r.Body)
	lines := []string{}
	for name, values := range r.Header {
		if name != "Connection" && name != "Expect" && name != "Sluiceway-Loop" {
			lines = append(lines, name+": "+strings.Join(values, "|"))
		}
	}
	sort.Strings(lines)
	json.NewEncoder(w).Encode(map[string]any{
		"method": r.Method, "uri": r.RequestURI, "lines": lines, "length": length,
		"digest": hex.EncodeToString(hash.Sum(nil)), "announced": r.ContentLength,
		"coding": r.TransferEncoding, "trailers": r.Trailer,
	})
}

func trailers(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", "X-Sum, X-Status")
	io.WriteString(w, "a body with trailers")
	w.Header().Set("X-Sum", "20")
	w.Header().Set("X-Status", "0")
}

// lateTrailers sends some that it has not announced, as gRPC does.
func lateTrailers(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, "a body")
	w.(http.Flusher).Flush()
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
}

func hints(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Link", "</a.css>; rel=preload")
	w.WriteHeader(103)
	w.WriteHeader(102)
	w.WriteHeader(200)
	io.WriteString(w, "after hints")
}

func stream(w http.ResponseWriter, r *http.Request) {
	for i := 0; i < 200; i++ {
		fmt.Fprintf(w, "part %d\n", i)
		w.(http.Flusher).Flush()
	}
}

// abort ends the connection within the body.
func abort(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, "half")
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func limited(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 1000)); err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	}
}

// unread answers before it has read the body: the server reads 256 KB of it, and closes the connection over more.
func unread(w http.ResponseWriter, r *http.Request) {
	http.Error(w, "not read", http.StatusForbidden)
}

func file(w http.ResponseWriter, r *http.Request) {
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	w.Header().Set("ETag", `"tag"`)
	http.ServeContent(w, r, "file.txt", at, strings.NewReader(strings.Repeat("a line\n", 10000)))
}

// upgrade sends its first bytes in one write with the head, and echoes. "end" ends its half; it reads on.
func upgrade(w http.ResponseWriter, r *http.Request) {
	connection, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	protocol := r.Header.Get("Upgrade")
	fmt.Fprintf(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\nearly\n", protocol)
	lines := bufio.NewScanner(buffered.Reader)
	for lines.Scan() {
		if lines.Text() == "end" {
			fmt.Fprint(connection, "ended\n")
			connection.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, connection)
			return
		}
		fmt.Fprintf(connection, "%s\n", lines.Text())
	}
	// The client has ended its half: the other one still works.
	fmt.Fprint(connection, "goodbye\n")
}

// duplex answers while it still reads: each part of the body comes back at once.
func duplex(w http.ResponseWriter, r *http.Request) {
	connection, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	fmt.Fprint(connection, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n")
	body := r.ContentLength
	buffer := make([]byte, 4096)
	for body > 0 {
		read, err := buffered.Read(buffer)
		if err != nil {
			return
		}
		connection.Write(buffer[:read])
		body -= int64(read)
	}
}
