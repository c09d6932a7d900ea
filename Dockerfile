# The server in a container; it speaks MCP on stdin and stdout:
#   docker build -t ollama-mcp-server .
#   docker run -i --rm ollama-mcp-server
# or over HTTP, which needs a token, as anyone who reaches the port could use it otherwise:
#   docker run --rm -p 127.0.0.1:8000:8000 -e OLLAMA_MCP_TRANSPORT=http \
#     -e OLLAMA_MCP_AUTH_TOKEN="$(openssl rand -hex 32)" ollama-mcp-server

FROM python:3.13-slim-trixie AS build
WORKDIR /src
COPY pyproject.toml requirements-dev.txt README.md LICENSE ./
COPY ollama_mcp_server/ ollama_mcp_server/
# The versions that the tests ran with; only what the server itself needs is installed.
RUN sed -n 's/ *\\$//; s/\[[^]]*\]//; /^[a-z]/p' requirements-dev.txt > constraints.txt \
 && python -m venv --without-pip /app \
 && pip --python /app/bin/python install --no-cache-dir --compile --constraint constraints.txt \
    '.[all]'

FROM python:3.13-slim-trixie
LABEL org.opencontainers.image.title="ollama-mcp-server" \
      org.opencontainers.image.description="MCP server for a local Ollama daemon" \
      org.opencontainers.image.licenses="MIT" \
      io.modelcontextprotocol.server.name="io.github.ollama-mcp-server/ollama-mcp-server"
COPY --from=build /app /app
# In a container 127.0.0.1 is the container: the daemon is on the machine that runs it, and HTTP is
# reached through its network. The server stops at SIGTERM and SIGINT by itself, as process 1 too.
ENV PATH="/app/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OLLAMA_HOST="host.docker.internal:11434" \
    OLLAMA_MCP_HOST="0.0.0.0"
USER 10001:10001
# A server on stdin and stdout is healthy while it runs.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 CMD ["python", "-c", \
    "import os, urllib.request as web; os.environ.get('OLLAMA_MCP_TRANSPORT') == 'http' and web.urlopen('http://127.0.0.1:' + (os.environ.get('OLLAMA_MCP_PORT') or '8000') + '/health')"]
ENTRYPOINT ["ollama-mcp-server"]
