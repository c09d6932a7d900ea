// One visit to the server with a TypeScript SDK: the calls of visit.py, reported as JSON.
import { createRequire } from "node:module";
import { join } from "node:path";

/** {modules, plan, era, target}: where the packages are, and what to do. */
export const asked = JSON.parse(process.argv[2]);

/** Load a package from the cache folder, where this file is not. */
export const load = createRequire(join(asked.modules, "here.js"));

/** Make the calls; `call(params, options)` is the SDK's callTool. */
export async function visit(client, call) {
  const make = (name, options) => {
    const [tool, args] = asked.plan[name];
    return call({ name: tool, arguments: args }, options);
  };
  // Listing first: from then on the client validates results against the output schemas.
  const report = { tools: (await client.listTools()).tools.map((tool) => tool.name), progress: [] };
  report.list = await make("list");
  report.chat = await make("chat", { onprogress: (note) => report.progress.push(note) });
  report.unknown_model = await make("unknown_model");
  report.bad_arguments = await make("bad_arguments");
  report.unknown_tool = await make("unknown_tool").catch(({ code, message }) => ({ code, message }));

  const stop = new AbortController();
  const working = ({ progress }) => progress >= 1 && stop.abort(); // the model has begun to answer
  report.stopped = await make("long", { signal: stop.signal, onprogress: working }).then(
    () => false,
    (error) => String(error),
  );
  const start = performance.now();
  report.after = await make("after");
  report.after_ms = Math.round(performance.now() - start);

  await client.close();
  console.log(JSON.stringify(report));
}
