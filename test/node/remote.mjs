// Drives a published server through mcp-remote, as a client that only knows standard input and output does.
// node remote.mjs URL KEY
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'

const [url, key] = process.argv.slice(2)
const out = {}
const text = (r) => r.content.map((c) => c.text).join('\n')
const client = new Client({ name: 'remote', version: '1' }, { capabilities: { elicitation: {} } })
client.setRequestHandler(ElicitRequestSchema, async (r) => {
  out.asked = r.params.message
  return { action: 'accept', content: { sure: true } }
})
await client.connect(new StdioClientTransport({
  command: process.execPath,
  args: [new URL('node_modules/mcp-remote/dist/proxy.js', import.meta.url).pathname, url, '--allow-http', '--transport', 'http-only', '--header', 'Authorization:${AUTH}'],
  env: { ...process.env, AUTH: `Bearer ${key}` },
}))
out.tools = (await client.listTools()).tools.map((t) => t.name).sort()
out.added = text(await client.callTool({ name: 'note_add', arguments: { text: 'buy coal' } }))
out.found = text(await client.callTool({ name: 'note_search', arguments: { word: 'coal' } }))
out.cleared = text(await client.callTool({ name: 'note_clear', arguments: {} }))
await client.close()
console.log(JSON.stringify(out))
