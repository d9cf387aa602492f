package hostile

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/transport/streamable"
)

// serve puts a rig behind a real listener.
func serve(t testing.TB, change func(*config.Limits)) (*rig, *streamable.Server) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := newRigAt(t, ln.Addr().(*net.TCPAddr), 0, change)
	srv := streamable.NewServer(r.h, ln, nil)
	done := make(chan error, 1)
	go func() { done <- srv.Serve() }()
	t.Cleanup(func() {
		select {
		case <-r.release:
		default:
			close(r.release)
		}
		r.g.Drain()
		if err := srv.Drain(t.Context()); err != nil && !errors.Is(err, t.Context().Err()) {
			t.Errorf("Drain: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return r, srv
}

// dial opens a connection that does not live longer than the test may take.
func (r *rig) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// raw sends bytes and returns the answers: status and body. A last request of our own tells whether the connection was
// still open for one.
func (r *rig) raw(t testing.TB, sent string) (answers []string, closed bool) {
	t.Helper()
	c := r.dial(t)
	// What the server does not take, it resets: that is an answer too.
	_, _ = io.WriteString(c, sent+"GET /healthz HTTP/1.1\r\nHost: "+r.addr+"\r\nConnection: close\r\n\r\n")
	br := bufio.NewReader(c)
	for {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			break
		}
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, fmt.Sprintf("%d %s", res.StatusCode, b))
	}
	if n := len(answers); n > 0 && answers[n-1] == "200 ok\n" {
		return answers[:n-1], false
	}
	return answers, true
}

// head is the start of a request as a good client sends it; extra are further header lines.
func (r *rig) head(extra ...string) string {
	return "POST /s/mcp HTTP/1.1\r\nHost: " + r.addr + "\r\nAuthorization: Bearer alice\r\nContent-Type: application/json\r\nAccept: application/json\r\n" + strings.Join(extra, "")
}

// marks are the header lines that mirror a modern body.
func marks(method, name string) string {
	s := "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: " + method + "\r\n"
	if name != "" {
		s += "Mcp-Name: " + name + "\r\n"
	}
	return s
}

func length(body string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body) }

func chunked(body string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body) }

// TestHeaders is T-HDR: what a header says is what the body says, or the call is not made. It goes over TCP, since no
// client library sends most of it.
func TestHeaders(t *testing.T) {
	r, _ := serve(t, nil)
	std, safe := base64.StdEncoding.EncodeToString, base64.URLEncoding.EncodeToString
	read := func(uri string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"` + uri + `",` + meta + `}}`
	}
	deploy := func(args string) string { return call(`"deploy"`, args) }
	on := marks("tools/call", "deploy")
	greet := call(`"greet"`, `{}`)
	const odd = "file:///þÿ?>~"
	if std([]byte(odd)) == safe([]byte(odd)) {
		t.Fatal("the two alphabets agree on this one")
	}
	for name, c := range map[string]struct {
		headers, body string
		status        int
		code          string // of JSON-RPC, or our own, or "" for an answer of the HTTP library
	}{
		"good":                        {marks("tools/call", "greet"), greet, 200, ""},
		"names in lower case":         {strings.ToLower("MCP-Protocol-Version: ") + "2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: greet\r\n", greet, 200, ""},
		"blanks around":               {marks("tools/call", "  \t greet \t "), greet, 200, ""},
		"sentinel":                    {marks("tools/call", "=?base64?Z3JlZXQ=?="), greet, 200, ""},
		"no padding":                  {marks("tools/call", "=?base64?Z3JlZXQ?="), greet, 400, "-32020"},
		"too much padding":            {marks("tools/call", "=?base64?Z3JlZXQ==?="), greet, 400, "-32020"},
		"loose bits":                  {marks("tools/call", "=?base64?Z3JlZXR=?="), greet, 400, "-32020"},
		"blank in it":                 {marks("tools/call", "=?base64?Z3Jl ZXQ=?="), greet, 400, "-32020"},
		"no base64":                   {marks("tools/call", "=?base64?!?="), greet, 400, "-32020"},
		"sentinel of nothing":         {marks("tools/call", "=?base64??="), greet, 400, "-32020"},
		"half a sentinel":             {marks("tools/call", "=?base64?="), greet, 400, "-32020"},
		"not closed":                  {marks("tools/call", "=?base64?Z3JlZXQ="), greet, 400, "-32020"},
		"sentinel in upper case":      {marks("tools/call", "=?BASE64?Z3JlZXQ=?="), greet, 400, "-32020"},
		"encoded word":                {marks("tools/call", "=?utf-8?B?Z3JlZXQ=?="), greet, 400, "-32020"},
		"sentinel of a sentinel":      {marks("tools/call", "=?base64?"+std([]byte("=?base64?Z3JlZXQ=?="))+"?="), greet, 400, "-32020"},
		"name like a sentinel":        {marks("tools/call", "=?base64?Z3JlZXQ=?="), call(`"=?base64?Z3JlZXQ=?="`, `{}`), 400, "-32020"},
		"that, sent right":            {marks("tools/call", "=?base64?"+std([]byte("=?base64?Z3JlZXQ=?="))+"?="), call(`"=?base64?Z3JlZXQ=?="`, `{}`), 400, "-32602"},
		"no UTF-8":                    {marks("tools/call", "=?base64?/w==?="), greet, 400, "-32020"},
		"surrogate":                   {marks("tools/call", "=?base64?7aCA?="), greet, 400, "-32020"},
		"standard alphabet":           {marks("resources/read", "=?base64?"+std([]byte(odd))+"?="), read(odd), 200, ""},
		"URL alphabet":                {marks("resources/read", "=?base64?"+safe([]byte(odd))+"?="), read(odd), 400, "-32020"},
		"URI of a resource":           {marks("resources/read", "file:///a"), read("file:///a"), 200, ""},
		"URI spelled otherwise":       {marks("resources/read", "file:///%61"), read("file:///a"), 400, "-32020"},
		"body spelled otherwise":      {marks("tools/call", "greet"), call(`"\u0067reet"`, `{}`), 200, ""},
		"other name":                  {marks("tools/call", "secret"), greet, 400, "-32020"},
		"other case":                  {marks("tools/call", "GREET"), greet, 400, "-32020"},
		"no name":                     {marks("tools/call", ""), greet, 400, "-32020"},
		"empty name":                  {marks("tools/call", "") + "Mcp-Name:\r\n", greet, 400, "-32020"},
		"joined":                      {marks("tools/call", "greet,greet"), greet, 400, "-32020"},
		"joined with another":         {marks("tools/call", "greet, secret"), greet, 400, "-32020"},
		"quoted":                      {marks("tools/call", `"greet"`), greet, 400, "-32020"},
		"twice the same":              {marks("tools/call", "greet") + "Mcp-Name: greet\r\n", greet, 400, "http.header_twice"},
		"twice, cases":                {marks("tools/call", "greet") + "MCP-NAME: secret\r\n", greet, 400, "http.header_twice"},
		"two methods":                 {marks("tools/call", "greet") + "Mcp-Method: tools/call\r\n", greet, 400, "http.header_twice"},
		"two versions":                {marks("tools/call", "greet") + "MCP-Protocol-Version: 2025-06-18\r\n", greet, 400, "http.header_twice"},
		"two keys":                    {marks("tools/call", "greet") + "Authorization: Bearer bob\r\n", greet, 400, "http.header_twice"},
		"two kinds of key":            {marks("tools/call", "greet") + "api-key: bob\r\n", greet, 401, "auth.conflict"},
		"two content types":           {marks("tools/call", "greet") + "Content-Type: text/plain\r\n", greet, 400, "http.header_twice"},
		"folded":                      {marks("tools/call", "gre\r\n et"), greet, 400, "-32020"},
		"folded with a tab":           {marks("tools/call", "gre\r\n\tet"), greet, 400, "-32020"},
		"fold hides a header":         {"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nX-A: b\r\n Mcp-Name: greet\r\n", greet, 400, "-32020"},
		"blank before the colon":      {"Mcp-Name : greet\r\n" + marks("tools/call", ""), greet, 400, ""},
		"underscores":                 {"Mcp_Name: greet\r\n" + marks("tools/call", ""), greet, 400, "-32020"},
		"NUL":                         {marks("tools/call", "greet\x00"), greet, 400, ""},
		"control":                     {marks("tools/call", "gre\x01et"), greet, 400, ""},
		"delete":                      {marks("tools/call", "greet\x7f"), greet, 400, ""},
		"bare CR":                     {marks("tools/call", "gre\ret"), greet, 400, ""},
		"bare CR and a header":        {marks("tools/call", "greet\rX: y"), greet, 400, ""},
		"Latin-1":                     {marks("tools/call", "gr\xe9et"), greet, 400, "http.header_value"},
		"raw UTF-8":                   {marks("resources/read", "file:///ü"), read("file:///ü"), 400, "http.header_value"},
		"other method":                {marks("tools/list", "greet"), greet, 400, "-32020"},
		"method in upper case":        {marks("TOOLS/CALL", "greet"), greet, 400, "-32020"},
		"sealed method":               {marks("=?base64?dG9vbHMvY2FsbA==?=", "greet"), greet, 400, "-32020"},
		"no version":                  {"Mcp-Method: tools/call\r\nMcp-Name: greet\r\n", greet, 400, "-32020"},
		"older version":               {strings.Replace(marks("tools/call", "greet"), "2026-07-28", "2025-06-18", 1), greet, 400, "-32020"},
		"newer version":               {strings.Replace(marks("tools/call", "greet"), "2026-07-28", "2027-01-01", 1), greet, 400, "-32020"},
		"newer version in both":       {strings.Replace(marks("tools/call", "greet"), "2026-07-28", "2027-01-01", 1), strings.Replace(greet, "2026-07-28", "2027-01-01", 1), 400, "-32022"},
		"version in the header":       {marks("tools/call", "greet"), `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet"}}`, 400, "-32602"},
		"session id is ignored":       {marks("tools/call", "greet") + "Mcp-Session-Id: x\r\nLast-Event-ID: y\r\n", greet, 200, ""},
		"no params":                   {on, deploy(`{}`), 200, ""},
		"params":                      {on + "Mcp-Param-Region: eu\r\nMcp-Param-Dry: true\r\nMcp-Param-Count: 42\r\n", deploy(`{"region":"eu","dry":true,"n":{"count":42}}`), 200, ""},
		"string, sealed":              {on + "Mcp-Param-Region: =?base64?w7w=?=\r\n", deploy(`{"region":"ü"}`), 200, ""},
		"string, other case":          {on + "Mcp-Param-Region: EU\r\n", deploy(`{"region":"eu"}`), 400, "-32020"},
		"string, absent header":       {on, deploy(`{"region":"eu"}`), 400, "-32020"},
		"string, absent argument":     {on + "Mcp-Param-Region: eu\r\n", deploy(`{}`), 400, "-32020"},
		"string, null":                {on, deploy(`{"region":null}`), 200, ""},
		"string, null and header":     {on + "Mcp-Param-Region: null\r\n", deploy(`{"region":null}`), 400, "-32020"},
		"string, empty":               {on + "Mcp-Param-Region:\r\n", deploy(`{"region":""}`), 200, ""},
		"string, a number":            {on + "Mcp-Param-Region: 7\r\n", deploy(`{"region":7}`), 400, "-32020"},
		"string, twice":               {on + "Mcp-Param-Region: eu\r\nmcp-param-region: eu\r\n", deploy(`{"region":"eu"}`), 400, "http.header_twice"},
		"string, joined":              {on + "Mcp-Param-Region: eu, eu\r\n", deploy(`{"region":"eu"}`), 400, "-32020"},
		"boolean, upper case":         {on + "Mcp-Param-Dry: True\r\n", deploy(`{"dry":true}`), 400, "-32020"},
		"boolean, a digit":            {on + "Mcp-Param-Dry: 1\r\n", deploy(`{"dry":true}`), 400, "-32020"},
		"boolean, other":              {on + "Mcp-Param-Dry: false\r\n", deploy(`{"dry":true}`), 400, "-32020"},
		"boolean, a string":           {on + "Mcp-Param-Dry: true\r\n", deploy(`{"dry":"true"}`), 400, "-32020"},
		"integer, fraction":           {on + "Mcp-Param-Count: 42.0\r\n", deploy(`{"n":{"count":42}}`), 200, ""},
		"integer, exponent":           {on + "Mcp-Param-Count: 4.2e1\r\n", deploy(`{"n":{"count":42.00}}`), 200, ""},
		"integer, other":              {on + "Mcp-Param-Count: 43\r\n", deploy(`{"n":{"count":42}}`), 400, "-32020"},
		"integer, close":              {on + "Mcp-Param-Count: 42.0000000000000000001\r\n", deploy(`{"n":{"count":42}}`), 400, "-32020"},
		"integer, largest":            {on + "Mcp-Param-Count: 9007199254740991\r\n", deploy(`{"n":{"count":9007199254740991}}`), 200, ""},
		"integer, too large":          {on + "Mcp-Param-Count: 9007199254740993\r\n", deploy(`{"n":{"count":9007199254740993}}`), 400, "-32020"},
		"integer, no decimal":         {on + "Mcp-Param-Count: 0x2Ap0\r\n", deploy(`{"n":{"count":42}}`), 400, "-32020"},
		"integer, plus":               {on + "Mcp-Param-Count: +42\r\n", deploy(`{"n":{"count":42}}`), 400, "-32020"},
		"integer, zero before":        {on + "Mcp-Param-Count: 042\r\n", deploy(`{"n":{"count":42}}`), 400, "-32020"},
		"integer, underscore":         {on + "Mcp-Param-Count: 4_2\r\n", deploy(`{"n":{"count":42}}`), 400, "-32020"},
		"integer, dot at the end":     {on + "Mcp-Param-Count: 42.\r\n", deploy(`{"n":{"count":42}}`), 400, "-32020"},
		"integer, ratio":              {on + "Mcp-Param-Count: 84/2\r\n", deploy(`{"n":{"count":42}}`), 400, "-32020"},
		"integer, a string":           {on + "Mcp-Param-Count: 42\r\n", deploy(`{"n":{"count":"42"}}`), 400, "-32020"},
		"integer, a real one":         {on + "Mcp-Param-Count: 1.5\r\n", deploy(`{"n":{"count":1.5}}`), 400, "-32020"},
		"integer, exponent bomb down": {on + "Mcp-Param-Count: 1e-999999\r\n", deploy(`{"n":{"count":1e-999999}}`), 400, "-32020"},
		"integer, exponent bomb":      {on + "Mcp-Param-Count: 1e999999999\r\n", deploy(`{"n":{"count":42}}`), 400, "-32020"},
		"unknown parameter":           {on + "Mcp-Param-Other: x\r\n", deploy(`{}`), 200, ""},
		"unknown, twice":              {on + "Mcp-Param-Other: x\r\nMcp-Param-Other: x\r\n", deploy(`{}`), 400, "http.header_twice"},
		"parameter of another":        {marks("tools/call", "greet") + "Mcp-Param-Region: eu\r\n", greet, 200, ""},
		"101 fields":                  {marks("tools/call", "greet") + strings.Repeat("X-A: b\r\n", 101), greet, 431, "http.headers"},
		"33 KiB":                      {marks("tools/call", "greet") + "X-A: " + strings.Repeat("b", 33<<10) + "\r\n", greet, 431, ""},
	} {
		answers, _ := r.raw(t, r.head(c.headers, "Connection: close\r\n", length(c.body)))
		got := r.take()
		if len(answers) != 1 {
			t.Errorf("%s: %d answers: %q", name, len(answers), answers)
			continue
		}
		status, answer, _ := strings.Cut(answers[0], " ")
		rpc, code := fault([]byte(answer))
		if c.status == 200 {
			rpc, code = rpc+code, ""
		}
		if status != fmt.Sprint(c.status) || c.code != "" && rpc != c.code && code != c.code || c.code == "" && rpc+code != "" || (len(got) == 1) != (c.status == 200) {
			t.Errorf("%s: %s\n%d calls recorded; want %d %s", name, answers[0], len(got), c.status, c.code)
		}
	}
}

// TestTrailer sends the mirrored headers behind the body, where no proxy looks for them.
func TestTrailer(t *testing.T) {
	r, _ := serve(t, nil)
	body := call(`"greet"`, `{}`)
	part := fmt.Sprintf("%x\r\n%s\r\n0\r\n", len(body), body)
	for name, c := range map[string]struct{ headers, trailer, want string }{
		"declared":        {marks("tools/call", "") + "Trailer: Mcp-Name\r\n", "Mcp-Name: greet\r\n", `"http.trailer"`},
		"not declared":    {marks("tools/call", ""), "Mcp-Name: greet\r\n", `"http.trailer"`},
		"beside the head": {marks("tools/call", "greet") + "Trailer: Mcp-Name\r\n", "Mcp-Name: secret\r\n", `"http.trailer"`},
	} {
		answers, closed := r.raw(t, r.head(c.headers, "Transfer-Encoding: chunked\r\n\r\n", part, c.trailer, "\r\n"))
		if len(answers) != 1 || !strings.HasPrefix(answers[0], "400 ") || !strings.Contains(answers[0], c.want) || !closed || len(r.take()) > 0 {
			t.Errorf("%s: %q, closed %v; want 400 with %s", name, answers, closed, c.want)
		}
	}
}

// TestRequestSmuggling is what two readers of a connection may part in different places. One answer, and nothing of what
// the attacker hid is ever served.
func TestRequestSmuggling(t *testing.T) {
	r, _ := serve(t, nil)
	body := call(`"greet"`, `{}`)
	hidden := r.head(marks("tools/call", "secret"), length(call(`"secret"`, `{}`)))
	m := marks("tools/call", "greet")
	type conn struct {
		sent   string
		status []string // of the answers, in order
		calls  int
		open   bool
	}
	one := func(status string) conn { return conn{status: []string{status}} }
	with := func(c conn, sent string) conn { c.sent = sent; return c }
	ok := conn{status: []string{"200"}, calls: 1}
	for name, c := range map[string]conn{
		"two requests":            {sent: r.head(m, length(body)) + r.head(m, length(body)), status: []string{"200", "200"}, calls: 2, open: true},
		"two lengths":             with(one("400"), r.head(m, "Content-Length: 5\r\n", length(body))+hidden),
		"two lengths, joined":     with(one("400"), r.head(m, "Content-Length: 5, 6\r\n\r\n")+hidden),
		"signed length":           with(one("400"), r.head(m, fmt.Sprintf("Content-Length: +%d\r\n\r\n%s", len(body), body))+hidden),
		"negative length":         with(one("400"), r.head(m, "Content-Length: -1\r\n\r\n")+hidden),
		"hex length":              with(one("400"), r.head(m, "Content-Length: 0x10\r\n\r\n")+hidden),
		"huge length":             with(one("400"), r.head(m, "Content-Length: 99999999999999999999\r\n\r\n")+hidden),
		"length over the limit":   with(one("413"), r.head(m, "Content-Length: 4194305\r\n\r\n")),
		"length and chunks":       with(ok, r.head(m, fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n", len(chunked(body))+len(hidden)), chunked(body))+hidden),
		"chunks and a length":     with(ok, r.head(m, "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", chunked(body))+hidden),
		"chunks":                  with(ok, r.head(m, "Transfer-Encoding: chunked\r\n\r\n", chunked(body))+hidden),
		"folded chunks":           with(ok, r.head(m, "Transfer-Encoding:\r\n chunked\r\n\r\n", chunked(body))+hidden),
		"two encodings":           with(one("501"), r.head(m, "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", chunked(body))+hidden),
		"odd encoding":            with(one("501"), r.head(m, "Transfer-Encoding: xchunked\r\n\r\n", chunked(body))+hidden),
		"joined encodings":        with(one("501"), r.head(m, "Transfer-Encoding: identity, chunked\r\n\r\n", chunked(body))+hidden),
		"encoding with a tab":     with(one("400"), r.head(m, "Transfer-Encoding\t: chunked\r\n\r\n", chunked(body))+hidden),
		"encoding of HTTP/1.0":    with(one("400"), strings.Replace(r.head(m, "Transfer-Encoding: chunked\r\n\r\n", chunked(body)), "HTTP/1.1", "HTTP/1.0", 1)+hidden),
		"chunk extension":         with(ok, r.head(m, "Transfer-Encoding: chunked\r\n\r\n", fmt.Sprintf("%x;a=b\r\n%s\r\n0;c\r\n\r\n", len(body), body))+hidden),
		"chunk of no size":        with(one("408"), r.head(m, "Transfer-Encoding: chunked\r\n\r\n\r\n", body)+hidden),
		"chunk of a bad size":     with(one("408"), r.head(m, "Transfer-Encoding: chunked\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n")+hidden),
		"chunk of a negative":     with(one("408"), r.head(m, "Transfer-Encoding: chunked\r\n\r\n", "-5\r\nhello\r\n0\r\n\r\n")+hidden),
		"chunk of a huge size":    with(one("408"), r.head(m, "Transfer-Encoding: chunked\r\n\r\n", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n")+hidden),
		"chunk without its end":   with(one("408"), r.head(m, "Transfer-Encoding: chunked\r\n\r\n", fmt.Sprintf("%x\r\n%sXX0\r\n\r\n", len(body), body))+hidden),
		"chunk lines of LF alone": with(one("408"), r.head(m, "Transfer-Encoding: chunked\r\n\r\n", fmt.Sprintf("%x\n%s\r\n0\r\n\r\n", len(body), body))+hidden),
		"no host":                 with(one("400"), strings.Replace(r.head(m, length(body)), "Host: "+r.addr+"\r\n", "", 1)+hidden),
		"two hosts":               with(one("400"), r.head("Host: "+r.addr+"\r\n", m, length(body))+hidden),
		"two hosts, one foreign":  with(one("400"), r.head("Host: evil.example\r\n", m, length(body))+hidden),
		"foreign host":            {sent: strings.Replace(r.head(m, length(body)), r.addr, "evil.example", 1), status: []string{"403"}, open: true},
		"absolute form":           {sent: strings.Replace(r.head(m, length(body)), "/s/mcp", "http://"+r.addr+"/s/mcp", 1), status: []string{"400"}, open: true},
		"absolute, other host":    {sent: strings.Replace(strings.Replace(r.head(m, length(body)), r.addr, "evil.example", 1), "/s/mcp", "http://"+r.addr+"/s/mcp", 1), status: []string{"400"}, open: true},
		"absolute, foreign":       {sent: strings.Replace(r.head(m, length(body)), "/s/mcp", "http://evil.example/s/mcp", 1), status: []string{"403"}, open: true},
		"HTTP/1.0":                with(ok, strings.Replace(r.head(m, length(body)), "HTTP/1.1", "HTTP/1.0", 1)),
		"HTTP/1.0 without host":   with(one("403"), "POST /s/mcp HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"),
		"HTTP/2 preface":          with(one("403"), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		"HTTP/3":                  with(one("505"), strings.Replace(r.head(m, length(body)), "HTTP/1.1", "HTTP/3.0", 1)),
		"upgrade to h2c":          {sent: r.head(m, "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", length(body)), status: []string{"200"}, calls: 1, open: true},
		"OPTIONS *":               {sent: "OPTIONS * HTTP/1.1\r\nHost: " + r.addr + "\r\n\r\n", status: []string{"404"}, open: true},
		"OPTIONS *, foreign":      {sent: "OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n", status: []string{"403"}, open: true},
		"CONNECT":                 {sent: "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", status: []string{"403"}, open: true},
		"no request at all":       with(one("400"), "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n"),
		"escaped path":            {sent: strings.Replace(r.head(m, length(body)), "/s/mcp", "/%73/mcp", 1), status: []string{"404"}, open: true},
		"escaped slash":           {sent: strings.Replace(r.head(m, length(body)), "/s/mcp", "/s%2fmcp", 1), status: []string{"404"}, open: true},
		"dots":                    {sent: strings.Replace(r.head(m, length(body)), "/s/mcp", "/x/../s/mcp", 1), status: []string{"404"}, open: true},
		"two slashes":             {sent: strings.Replace(r.head(m, length(body)), "/s/mcp", "//s/mcp", 1), status: []string{"404"}, open: true},
		"slash at the end":        {sent: strings.Replace(r.head(m, length(body)), "/s/mcp", "/s/mcp/", 1), status: []string{"404"}, open: true},
		"parameter of the path":   {sent: strings.Replace(r.head(m, length(body)), "/s/mcp", "/s/mcp;a=b", 1), status: []string{"404"}, open: true},
	} {
		answers, closed := r.raw(t, c.sent)
		got := r.take()
		var status []string
		for _, a := range answers {
			s, _, _ := strings.Cut(a, " ")
			status = append(status, s)
		}
		secret := false
		for _, g := range got {
			secret = secret || g.Name == "secret"
		}
		if strings.Join(status, " ") != strings.Join(c.status, " ") || len(got) != c.calls || closed == c.open || secret {
			t.Errorf("%s: %.200q, %d calls, closed %v, secret called %v; want %v, %d calls, open %v", name, answers, len(got), closed, secret, c.status, c.calls, c.open)
		}
	}
}
