// The MCP TypeScript SDK v2, in the era that is asked for.
import { asked, load, visit } from "./visit.mjs";

const { Client, StreamableHTTPClientTransport } = load("@modelcontextprotocol/client");
const { StdioClientTransport } = load("@modelcontextprotocol/client/stdio");

const mode = asked.era === "2026-07-28" ? { pin: asked.era } : "legacy";
const client = new Client({ name: "v2", version: "1" }, { versionNegotiation: { mode } });
await client.connect(
  asked.target.url
    ? new StreamableHTTPClientTransport(new URL(asked.target.url))
    : new StdioClientTransport(asked.target),
);
if (client.getNegotiatedProtocolVersion() !== asked.era)
  throw new Error(`negotiated ${client.getNegotiatedProtocolVersion()}, not ${asked.era}`);
await visit(client, (params, options) => client.callTool(params, options));
