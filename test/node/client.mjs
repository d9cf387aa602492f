// Drives a published server with the TypeScript client 2.x and prints what came of it, one JSON object.
// node client.mjs auto|pinned everything|notes|modern URL KEY
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'

const [mode, what, url, key] = process.argv.slice(2)
const out = {}
const text = (r) => r.content.map((c) => c.text ?? `(${c.type} ${c.mimeType})`).join('\n')

const client = new Client(
  { name: 'client', version: '2' },
  {
    capabilities: { elicitation: {}, sampling: {}, roots: {} },
    versionNegotiation: { mode: mode === 'auto' ? 'auto' : { pin: '2026-07-28' } },
  },
)
client.setRequestHandler('elicitation/create', async (r) => {
  out.asked = Object.keys(r.params.requestedSchema.properties)
  const answers = { everything: { name: 'Ada', check: true, integer: 7 }, notes: { sure: true }, modern: { name: 'Ada' } }
  return { action: 'accept', content: answers[what] }
})
client.setRequestHandler('sampling/createMessage', async (r) => ({
  role: 'assistant', model: 'none', content: { type: 'text', text: `echo of ${[r.params.messages[0].content].flat()[0].text}` },
}))
client.setRequestHandler('roots/list', async () => ({ roots: [{ uri: 'file:///srv/data', name: 'data' }] }))

const sent = new Set()
const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { Authorization: `Bearer ${key}` } },
  fetch: (u, i) => {
    const m = i?.body ? JSON.parse(i.body) : {}
    if (m.params?.inputResponses) sent.add(`${m.method} answered`)
    return fetch(u, i)
  },
})
await client.connect(transport)
out.era = client.getProtocolEra()
out.revision = client.getNegotiatedProtocolVersion()
out.tools = (await client.listTools()).tools.map((t) => t.name).sort()

const call = (name, args = {}, options) => client.callTool({ name, arguments: args }, options)
const steps = []
const options = { onprogress: (p) => steps.push(`${p.progress}/${p.total}`) }

switch (what) {
  case 'everything':
    out.echo = text(await call('echo', { message: 'grüß 🜚 "q" \u0001' }))
    out.structured = (await call('get-structured-content', { location: 'Chicago' })).structuredContent
    out.long = text(await call('trigger-long-running-operation', { duration: 0.4, steps: 4 }, options))
    out.progress = steps
    out.elicited = text(await call('trigger-elicitation-request'))
    out.sampled = text(await call('trigger-sampling-request', { prompt: 'hello', maxTokens: 5 }))
    out.prompt = (await client.getPrompt({ name: 'args-prompt', arguments: { city: 'Oslo', state: 'none' } })).messages[0].content.text
    out.complete = (await client.complete({ ref: { type: 'ref/prompt', name: 'completable-prompt' }, argument: { name: 'name', value: 'A' }, context: { arguments: { department: 'Engineering' } } })).completion.values
    out.resource = (await client.readResource({ uri: 'demo://resource/dynamic/text/3' })).contents[0].text.replace(/ at .*/, '')
    out.unknown = await call('nothing').catch((e) => e.code)
    break
  case 'modern':
    out.elicited = text(await call('test_input_required_result_elicitation'))
    out.rounds = text(await call('test_input_required_result_multi_round'))
    break
  default:
    out.added = text(await call('note_add', { text: 'buy coal' }))
    out.found = text(await call('note_search', { word: 'COAL' }))
    out.counted = text(await call('count_slowly', { to: 3 }, options))
    out.progress = steps
    out.resource = (await client.readResource({ uri: 'note:///1' })).contents[0].text
    out.cleared = text(await call('note_clear'))
}
out.sent = [...sent].sort()
await client.close()
console.log(JSON.stringify(out))
