package upstream

import (
	"strings"
	"testing"

	"gatehouse/test/evil"
)

const (
	inTime   = "source.timeout: did not answer in time"
	brokeOff = "source.unavailable: broke off the exchange"
	notHTTP  = "source.protocol: sent an answer that is not acceptable: "
	bad      = "source.protocol: sent a message that is not acceptable: "
	notAsked = "source.protocol: answered a request that was not made"
	done     = `{"content":[{"type":"text","text":"done"}],"resultType":"complete"}`
	first    = `{"content":[{"type":"text","text":"first"}],"resultType":"complete"}`
	refused  = `{"content":[{"type":"text","text":"refused"}],"resultType":"complete"}`
	asGood   = `{"content":[],"structuredContent":{"whose":"a"},"resultType":"complete"}`
	rising   = "progress {\"progressToken\":\"a\",\"progress\":1}\nprogress {\"progressToken\":\"a\",\"progress\":2}\nprogress {\"progressToken\":\"a\",\"progress\":3}"
)

// most says that no more than n of the requests come in.
func most(method string, n int) func(*testing.T, *evil.Server) {
	return func(t *testing.T, srv *evil.Server) {
		if got := len(srv.Seen(method)); got > n {
			t.Errorf("%d times %s came in, want at most %d", got, method, n)
		}
	}
}

// noSession says that no session id is sent back.
func noSession(t *testing.T, srv *evil.Server) {
	for _, x := range srv.Seen("") {
		if id := x.Header.Get("Mcp-Session-Id"); id != "" {
			t.Errorf("%s came in with session id %.40q", x.Method, id)
		}
	}
}

// overHTTP are the answers to calls of servers over HTTP.
var overHTTP = map[string]hostile{
	"silent":                                   {want: inTime, short: true},
	"slow head":                                {want: inTime, short: true},
	"slow body":                                {want: inTime, short: true},
	"promises much":                            {want: inTime, short: true},
	"dies before the answer":                   {want: brokeOff},
	"dies in the head":                         {want: brokeOff},
	"dies in the body":                         {want: brokeOff},
	"dies in a chunk":                          {want: brokeOff},
	"body too large":                           {want: bad + "the answer is over 5242880 bytes"},
	"endless body":                             {want: bad + "the answer is over 5242880 bytes"},
	"gzip bomb":                                {want: notHTTP + "its compression is damaged, too strong or of another kind than gzip"},
	"gzip twice":                               {want: notHTTP + "its compression is damaged, too strong or of another kind than gzip"},
	"another compression":                      {want: notHTTP + "its compression is damaged, too strong or of another kind than gzip"},
	"damaged gzip":                             {want: notHTTP + "its compression is damaged, too strong or of another kind than gzip"},
	"HTML":                                     {want: `source.protocol: answered with content type "text/html"`},
	"no content type":                          {want: `source.protocol: answered with content type ""`},
	"redirect here":                            {want: "source.protocol: answered with a redirect (HTTP status 307), which is not followed"},
	"redirect elsewhere":                       {want: "source.protocol: answered with a redirect (HTTP status 302), which is not followed"},
	"202":                                      {want: "source.protocol: answered a call with HTTP status 202"},
	"204":                                      {want: "source.protocol: answered a call with HTTP status 204"},
	"401":                                      {want: "source.unauthorized: refuses the credentials of Gatehouse (HTTP status 401)"},
	"403":                                      {want: "source.unauthorized: refuses the credentials of Gatehouse (HTTP status 403)"},
	"404":                                      {want: "source.unavailable: answered with HTTP status 404"},
	"429":                                      {want: "source.busy: wants fewer calls (HTTP status 429)"},
	"500":                                      {want: "source.unavailable: answered with HTTP status 500"},
	"503":                                      {want: "source.unavailable: answered with HTTP status 503"},
	"not HTTP":                                 {want: notHTTP + "its head is malformed"},
	"switches protocols":                       {want: notHTTP + "its head is malformed"},
	"flood of 1xx":                             {want: notHTTP + "its head is malformed"},
	"header of 1 MB":                           {want: notHTTP + "its head is too long"},
	"10,000 headers":                           {want: notHTTP + "its head is too long"},
	"folded header":                            {want: notHTTP + "its head is malformed"},
	"header split by LF":                       {want: notHTTP + "its head is malformed"},
	"NUL in a header":                          {want: notHTTP + "its head is malformed"},
	"two lengths":                              {want: notHTTP + "the length or the chunks of its body are malformed"},
	"length and chunks":                        {want: notHTTP + "the length or the chunks of its body are malformed"},
	"negative length":                          {want: notHTTP + "the length or the chunks of its body are malformed"},
	"chunk size with 0x":                       {want: notHTTP + "the length or the chunks of its body are malformed"},
	"chunk size that overflows":                {want: notHTTP + "the length or the chunks of its body are malformed"},
	"chunk with LF":                            {want: notHTTP + "the length or the chunks of its body are malformed"},
	"endless chunk extension":                  {want: notHTTP + "the length or the chunks of its body are malformed"},
	"two HTTP answers":                         {want: first},
	"id of another call":                       {want: notAsked},
	"id as text":                               {want: notAsked},
	"id null":                                  {want: bad + `"id" must be a string or an integer within ±(2^53-1), written without fraction or exponent`},
	"id with a fraction":                       {want: bad + `"id" must be a string or an integer within ±(2^53-1), written without fraction or exponent`},
	"no id":                                    {want: bad + `neither "method" nor "id"`},
	"error without an id":                      {want: "-32700 Parse error"},
	"a request for an answer":                  {want: "source.protocol: answered a call with a message that is no answer"},
	"a notification for an answer":             {want: "source.protocol: answered a call with a message that is no answer"},
	"a batch":                                  {want: bad + "a message is a JSON object"},
	"member twice in the envelope":             {want: bad + "an object has the same member twice"},
	"member twice by escape":                   {want: bad + "an object has the same member twice"},
	"member twice but for case":                {want: bad + `member "Result" differs from "result" in case only`},
	"result and error":                         {want: bad + `"result" together with "error"`},
	"neither result nor error":                 {want: bad + `neither "method", "result" nor "error"`},
	"error without a code":                     {want: bad + `"error.code" must be an integer`},
	"error with a code of 1e99":                {want: bad + `"error.code" must be an integer`},
	"another JSON-RPC":                         {want: bad + `member "jsonrpc" must be "2.0"`},
	"bad UTF-8":                                {want: bad + "not valid JSON: invalid UTF-8"},
	"lone surrogate":                           {want: bad + "not valid JSON: invalid surrogate pair `\\ud800\"}}` in string"},
	"NUL":                                      {want: bad + "the character U+0000 is not accepted"},
	"raw NUL":                                  {want: bad + "not valid JSON: invalid character '\\x00' in string (expecting non-control character)"},
	"byte order mark":                          {want: bad + "not valid JSON: invalid character '\\ufeff' at start of value"},
	"something behind it":                      {want: bad + "bytes after the JSON value"},
	"half of it":                               {want: bad + "not valid JSON: unexpected EOF"},
	"nothing":                                  {want: bad + "not valid JSON: it ends too early"},
	"depth of 70":                              {want: bad + "nested deeper than 64"},
	"depth of 100,000":                         {want: bad + "nested deeper than 64"},
	"a million elements":                       {want: bad + "more than 1000000 members"},
	"a number of 1,000 digits":                 {want: bad + "a number of more than 64 characters"},
	"comment":                                  {want: bad + `not valid JSON: invalid character '/' at start of string (expecting '"')`},
	"NaN":                                      {want: bad + "not valid JSON: invalid character 'N' at start of value"},
	"an array for a result":                    {want: "source.protocol: answered with a result that is no object"},
	"null for a result":                        {want: "source.protocol: answered with a result that is no object"},
	"a kind of result nobody knows":            {want: "source.protocol: answered with a kind of result that was not agreed on: eval"},
	"a task nobody asked for":                  {want: "source.protocol: answered with a kind of result that was not agreed on: task"},
	"a kind of result that is a number":        {want: "source.protocol: answered with a kind of result that was not agreed on: "},
	"error that the protocol reserves":         {want: "-32603 open this"},
	"error of its own":                         {want: "-31999 no <script>"},
	"stream without an answer":                 {want: brokeOff},
	"stream that stays silent":                 {want: inTime, short: true},
	"flood of comments":                        {want: bad + "more than 10 comment lines a second"},
	"endless line":                             {want: bad + "line over 5242880 bytes"},
	"endless event":                            {want: bad + "server-sent event over 5242880 bytes"},
	"endless field name":                       {want: bad + "line over 5242880 bytes"},
	"flood of log messages":                    {want: inTime, short: true, told: "…"},
	"flood of empty lines":                     {want: bad + "more than 1000 lines that bring nothing a second"},
	"flood of fields nobody knows":             {want: bad + "more than 1000 lines that bring nothing a second"},
	"flood of empty events":                    {want: inTime, short: true},
	"flood of lists that change":               {want: inTime, short: true},
	"flood of progress":                        {want: inTime, short: true, told: "…"},
	"drips log messages":                       {want: inTime, short: true, told: "…"},
	"progress of somebody else":                {want: done},
	"progress that does not rise":              {want: done, told: rising},
	"bad UTF-8 in an event":                    {want: bad + "server-sent event is not valid UTF-8"},
	"no JSON in an event":                      {want: bad + "not valid JSON: invalid character 'D' at start of value"},
	"answer to another call on the stream":     {want: notAsked},
	"request on a modern stream":               {want: "source.protocol: sent a request, which servers of this revision must not"},
	"answers twice on the stream":              {want: first},
	"does not end the stream":                  {want: done},
	"events of another name":                   {want: done},
	"stream that is taken up for ever":         {want: inTime, short: true, told: "…", check: most("GET", 60)},
	"asks to wait for a year":                  {want: inTime, short: true},
	"flood on the stream outside of calls":     {want: done},
	"silent when discovered":                   {want: inTime, short: true},
	"discovered as nonsense":                   {want: asGood},
	"discovered as HTML":                       {want: asGood},
	"discovered as another version":            {want: asGood},
	"speaks only of the future":                {want: "source.protocol: speaks no revision that Gatehouse speaks"},
	"broken when discovered":                   {want: "source.unavailable: answered with HTTP status 500"},
	"silent when initialised":                  {want: inTime, short: true},
	"refuses to be initialised":                {want: "source.protocol: refuses to be initialised: " + strings.Repeat("no ", 66) + "no…"},
	"chooses a version of its own":             {want: `source.protocol: chose protocol revision "1999-01-01999999999999999999999999999999", which Gatehouse does not speak`},
	"initialised as nonsense":                  {want: `source.protocol: chose protocol revision "", which Gatehouse does not speak`},
	"session id of 1 MB":                       {want: notHTTP + "its head is too long"},
	"session id of 2 KB":                       {want: asGood, check: noSession},
	"session id with CR":                       {want: notHTTP + "its head is malformed"},
	"session id with LF":                       {want: notHTTP + "its head is malformed"},
	"session id with spaces":                   {want: asGood, check: noSession},
	"session id that is not ASCII":             {want: asGood, check: noSession},
	"never takes notifications":                {want: inTime, short: true},
	"forgets the session once":                 {want: asGood, calls: 2},
	"forgets every session":                    {want: brokeOff, calls: 2},
	"speaks no protocol at all":                {want: "source.protocol: speaks neither streamable HTTP nor HTTP+SSE"},
	"names an endpoint of another host":        {want: "source.protocol: names no endpoint of its own origin to post to"},
	"names an endpoint with a password":        {want: "source.protocol: names no endpoint of its own origin to post to"},
	"names no endpoint":                        {want: "source.protocol: names no endpoint of its own origin to post to"},
	"silent stream":                            {want: inTime, short: true},
	"accepts a stream and says nothing":        {want: inTime, short: true},
	"asks for what nobody declared":            {want: done, check: most("answer", 3000)},
	"asks for a method of its own":             {want: done},
	"pings without end":                        {want: done},
	"asks without end":                         {want: inTime, short: true},
	"asks with a bomb of a schema":             {want: refused, caps: everything},
	"asks too much at once":                    {want: "source.protocol: asks too many questions at once"},
	"asks for nothing":                         {want: "source.protocol: wants input without saying which"},
	"asks with a list":                         {want: "source.protocol: wants input without saying which"},
	"asks with no method":                      {want: "source.protocol: asks a question that is not acceptable"},
	"asks with params that are no object":      {want: "source.protocol: asks a question that is not acceptable"},
	"asks for a method that does not exist":    {want: `-32603 the server asked for "secrets/list", which no client can be asked`},
	"asks for what the caller did not declare": {want: `-32021 this call needs the client capability {"sampling":{}}`},
	"asks with a bomb":                         {want: "source.protocol: asks a question that is not acceptable: the schema of the question: #/$defs/a: it applies to the same value again, without end"},
	"state of 1 MB":                            {want: "source.protocol: sent a requestState that is no string or over 8192 bytes"},
	"state that is an object":                  {want: "source.protocol: sent a requestState that is no string or over 8192 bytes"},
	"asks for ever":                            {want: `-32021 this call needs the client capability {"elicitation":{"form":{}}}`},
	"cursor that comes back":                   {want: "source.quarantined: is quarantined: tools/list has a cursor that is malformed or comes back"},
	"cursors without end":                      {want: "source.quarantined: is quarantined: tools/list has more than 5 pages"},
	"cursor that is an object":                 {want: "source.quarantined: is quarantined: tools/list has a cursor that is malformed or comes back"},
	"cursor of 100 KB":                         {want: "source.quarantined: is quarantined: tools/list has a cursor that is malformed or comes back"},
	"100,000 tools":                            {want: "source.quarantined: is quarantined: tools/list has more than 100 entries"},
	"silent when listed":                       {want: inTime, short: true},
	"list of something else":                   {want: `source.protocol: answered tools/list without "tools"`},
	"list that is an object":                   {want: `source.protocol: answered tools/list without "tools"`},
	"lists die":                                {want: brokeOff},
	"lives for minus a second":                 {want: asGood},
	"lives for a million years":                {want: asGood},
	"no objects for tools":                     {want: asGood},
	"bad names":                                {want: asGood},
	"the same name twice":                      {want: asGood},
	"two names that differ in case only":       {want: asGood},
	"description of 300 KB":                    {want: asGood},
	"schema of 100 KB":                         {want: asGood},
	"schema that is none":                      {want: asGood},
	"schema that refers to itself":             {want: asGood},
	"schema that refers elsewhere":             {want: asGood},
	"schema that refers nowhere":               {want: asGood},
	"schema of 5,000 parts":                    {want: asGood},
	"schema 50 deep":                           {want: asGood},
	"pattern of 2 KB":                          {want: asGood},
	"mirrored headers that are illegal":        {want: asGood},
	"output schema that is a bomb":             {want: asGood},
}
