// The MCP TypeScript SDK v1, which only speaks the handshake era.
import { asked, load, visit } from "./visit.mjs";

const { Client } = load("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = load("@modelcontextprotocol/sdk/client/stdio.js");
const http = load("@modelcontextprotocol/sdk/client/streamableHttp.js");

const client = new Client({ name: "v1", version: "1" });
await client.connect(
  asked.target.url
    ? new http.StreamableHTTPClientTransport(new URL(asked.target.url))
    : new StdioClientTransport(asked.target),
);
await visit(client, (params, options) => client.callTool(params, undefined, options));
