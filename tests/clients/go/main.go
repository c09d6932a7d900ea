// One visit to the server with the Go SDK: the calls of visit.py, reported as JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// asked says what to do: which calls, in which era, and where.
var asked struct {
	Era    string
	Plan   map[string][2]json.RawMessage
	Target struct {
		URL, Command string
		Args         []string
		Env          map[string]string
	}
}

func main() {
	must(json.Unmarshal([]byte(os.Args[1]), &asked))
	ctx, report := context.Background(), map[string]any{}

	var mutex sync.Mutex
	notes := []any{}
	begun := make(chan struct{}, 1) // the long call's model has begun to answer
	told := func(_ context.Context, request *mcp.ProgressNotificationClientRequest) {
		mutex.Lock()
		defer mutex.Unlock()
		if request.Params.ProgressToken == "chat" {
			notes = append(notes, request.Params)
		} else if request.Params.Progress >= 1 {
			select {
			case begun <- struct{}{}:
			default:
			}
		}
	}
	options := &mcp.ClientOptions{ProgressNotificationHandler: told}
	client := mcp.NewClient(&mcp.Implementation{Name: "go", Version: "1"}, options)
	session, err := client.Connect(ctx, transport(), &mcp.ClientSessionOptions{ProtocolVersion: asked.Era})
	must(err)
	if got := session.InitializeResult().ProtocolVersion; got != asked.Era {
		log.Fatalf("negotiated %s, not %s", got, asked.Era)
	}

	list, err := session.ListTools(ctx, nil)
	must(err)
	names := []string{}
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	report["tools"] = names

	call := func(ctx context.Context, name, token string) (*mcp.CallToolResult, error) {
		params := &mcp.CallToolParams{Arguments: asked.Plan[name][1]}
		must(json.Unmarshal(asked.Plan[name][0], &params.Name))
		if token != "" {
			params.SetProgressToken(token)
		}
		return session.CallTool(ctx, params)
	}
	for _, name := range []string{"list", "chat", "unknown_model", "bad_arguments"} {
		report[name], err = call(ctx, name, name)
		must(err)
	}
	_, err = call(ctx, "unknown_tool", "")
	var refused *jsonrpc.Error
	if !errors.As(err, &refused) {
		log.Fatalf("an unknown tool is no error of the protocol: %v", err)
	}
	report["unknown_tool"] = refused

	stopping, stop := context.WithCancel(ctx)
	go func() { <-begun; stop() }()
	_, err = call(stopping, "long", "long")
	report["stopped"] = errors.Is(err, context.Canceled)
	start := time.Now()
	report["after"], err = call(ctx, "after", "")
	must(err)
	report["after_ms"] = time.Since(start).Milliseconds()
	must(session.Close())

	mutex.Lock()
	defer mutex.Unlock()
	report["progress"] = notes
	said, err := json.Marshal(report)
	must(err)
	fmt.Println(string(said))
}

func transport() mcp.Transport {
	target := asked.Target
	if target.URL != "" {
		return &mcp.StreamableClientTransport{Endpoint: target.URL}
	}
	command := exec.Command(target.Command, target.Args...)
	for name, value := range target.Env {
		command.Env = append(command.Env, name+"="+value)
	}
	return &mcp.CommandTransport{Command: command}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
