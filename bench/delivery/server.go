// net/http with http.MaxBytesReader, for bench/delivery.mjs. It prints its port, then, for each line on stdin, how many
// bytes it has read from all its connections so far.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
)

var bytesRead int64

type countingListener struct{ *net.TCPListener }

// countingConn embeds the TCP connection, so that net/http still finds its CloseWrite.
type countingConn struct{ *net.TCPConn }

func (listener countingListener) Accept() (net.Conn, error) {
	conn, err := listener.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return countingConn{conn}, nil
}

func (conn countingConn) Read(buffer []byte) (int, error) {
	n, err := conn.TCPConn.Read(buffer)
	atomic.AddInt64(&bytesRead, int64(n))
	return n, err
}

func main() {
	limit, err := strconv.ParseInt(os.Args[1], 10, 64)
	if err != nil {
		panic(err)
	}
	handler := func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, limit))
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		io.WriteString(w, "taken")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go http.Serve(countingListener{listener.(*net.TCPListener)}, http.HandlerFunc(handler))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(atomic.LoadInt64(&bytesRead))
	}
}
