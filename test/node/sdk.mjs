// Drives a published server with the TypeScript SDK 1.x and prints what came of it, one JSON object.
// node sdk.mjs everything|modern|subscribe|notes|sse URL KEY
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema, ResourceListChangedNotificationSchema, ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'

const [what, url, key] = process.argv.slice(2)
const requestInit = { headers: { Authorization: `Bearer ${key}` } }
const out = {}
const text = (r) => r.content.map((c) => c.text ?? `(${c.type} ${c.mimeType})`).join('\n')

const client = new Client(
  { name: 'sdk', version: '1' },
  { capabilities: { elicitation: {}, sampling: {}, roots: { listChanged: true } } },
)
client.setRequestHandler(ElicitRequestSchema, async (r) => {
  out.asked = Object.keys(r.params.requestedSchema.properties)
  const answers = { everything: { name: 'Ada', check: true, integer: 7 }, modern: { name: 'Ada' } }
  return { action: 'accept', content: answers[what] ?? { sure: true } }
})
client.setRequestHandler(CreateMessageRequestSchema, async (r) => ({
  role: 'assistant', model: 'none', content: { type: 'text', text: `echo of ${r.params.messages[0].content.text}` },
}))
client.setRequestHandler(ListRootsRequestSchema, async () => ({ roots: [{ uri: 'file:///srv/data', name: 'data' }] }))

const transport = what === 'sse'
  ? new SSEClientTransport(new URL(url), { requestInit, eventSourceInit: { fetch: (u, i) => fetch(u, { ...i, headers: { ...i.headers, ...requestInit.headers } }) } })
  : new StreamableHTTPClientTransport(new URL(url), { requestInit })
await client.connect(transport)
out.tools = (await client.listTools()).tools.map((t) => t.name).sort()

const call = (name, args = {}, options) => client.callTool({ name, arguments: args }, undefined, options)
const steps = []
const options = { onprogress: (p) => steps.push(`${p.progress}/${p.total}`) }

switch (what) {
  case 'everything':
    out.echo = text(await call('echo', { message: 'grüß 🜚 "q" \u0001' }))
    out.sum = text(await call('get-sum', { a: 9007199254740991, b: -0.5 }))
    out.structured = (await call('get-structured-content', { location: 'Chicago' })).structuredContent
    out.image = text(await call('get-tiny-image'))
    out.long = text(await call('trigger-long-running-operation', { duration: 0.4, steps: 4 }, options))
    out.progress = steps
    out.elicited = text(await call('trigger-elicitation-request'))
    out.sampled = text(await call('trigger-sampling-request', { prompt: 'hello', maxTokens: 5 }))
    out.roots = text(await call('get-roots-list')).includes('file:///srv/data')
    out.prompts = (await client.listPrompts()).prompts.map((p) => p.name).sort()
    out.prompt = (await client.getPrompt({ name: 'args-prompt', arguments: { city: 'Oslo', state: 'none' } })).messages[0].content.text
    out.complete = (await client.complete({ ref: { type: 'ref/prompt', name: 'completable-prompt' }, argument: { name: 'name', value: 'A' }, context: { arguments: { department: 'Engineering' } } })).completion.values
    out.resource = (await client.readResource({ uri: 'demo://resource/dynamic/text/3' })).contents[0].text.replace(/ at .*/, '')
    out.templates = (await client.listResourceTemplates()).resourceTemplates.map((t) => t.uriTemplate).sort()
    out.unknown = await call('nothing').catch((e) => e.code)
    break
  case 'modern':
    out.elicited = text(await call('test_input_required_result_elicitation'))
    out.sampled = text(await call('test_input_required_result_sampling'))
    out.roots = text(await call('test_input_required_result_list_roots'))
    break
  case 'subscribe': {
    const updated = new Promise((resolve) => client.setNotificationHandler(ResourceUpdatedNotificationSchema, (n) => resolve(n.params.uri)))
    await client.subscribeResource({ uri: 'test://watched-resource' })
    out.updated = await updated
    await client.unsubscribeResource({ uri: 'test://watched-resource' })
    break
  }
  default: {
    const changed = new Promise((resolve) => client.setNotificationHandler(ResourceListChangedNotificationSchema, () => resolve(true)))
    out.added = text(await call('note_add', { text: 'buy coal' }))
    out.changed = await changed
    out.found = text(await call('note_search', { word: 'COAL' }))
    out.converted = (await call('convert_units', { value: 100, from: 'C', to: 'F' })).structuredContent
    out.counted = text(await call('count_slowly', { to: 3 }, options))
    out.progress = steps
    out.resource = (await client.readResource({ uri: 'note:///1' })).contents[0].text
    out.listed = (await client.listResources()).resources.map((r) => r.uri)
    out.cleared = text(await call('note_clear'))
  }
}
out.revision = transport.protocolVersion
await client.close()
console.log(JSON.stringify(out))
