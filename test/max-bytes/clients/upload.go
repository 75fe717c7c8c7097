// Uploads with Go's own client: `upload <url> <length> <times>` prints a line an upload, its status or what went wrong.
// Every other one has no announced length.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
)

func main() {
	length, _ := strconv.Atoi(os.Args[2])
	times, _ := strconv.Atoi(os.Args[3])
	body := bytes.Repeat([]byte("a"), length)
	for time := 0; time < times; time++ {
		fmt.Println(upload(os.Args[1], body, time%2 == 1))
	}
}

func upload(url string, body []byte, chunked bool) string {
	var reader io.Reader = bytes.NewReader(body)
	if chunked {
		// A reader of a kind that net/http does not know the length of.
		reader = io.MultiReader(reader)
	}
	answer, err := http.Post(url, "text/plain", reader)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || len(text) == 0 {
		return fmt.Sprint("no whole answer: ", err)
	}
	return strconv.Itoa(answer.StatusCode)
}
