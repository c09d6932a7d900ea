# The server in a container; it speaks MCP on stdin and stdout:
#   docker build -t ollama-mcp-server .
#   docker run -i --rm ollama-mcp-server

FROM python:3.13-slim-trixie AS build
WORKDIR /src
COPY pyproject.toml requirements-dev.txt README.md LICENSE ./
COPY ollama_mcp_server/ ollama_mcp_server/
# The versions that the tests ran with; only what the server itself needs is installed.
RUN sed -n 's/ *\\$//; /^[a-z]/p' requirements-dev.txt > constraints.txt \
 && python -m venv --without-pip /app \
 && pip --python /app/bin/python install --no-cache-dir --compile --constraint constraints.txt .

FROM python:3.13-slim-trixie
LABEL org.opencontainers.image.title="ollama-mcp-server" \
      org.opencontainers.image.description="MCP server for a local Ollama daemon" \
      org.opencontainers.image.licenses="MIT" \
      io.modelcontextprotocol.server.name="io.github.ollama-mcp-server/ollama-mcp-server"
COPY --from=build /app /app
# In a container 127.0.0.1 is the container; this name is the machine that runs it.
ENV PATH="/app/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OLLAMA_HOST="host.docker.internal:11434"
USER 10001:10001
ENTRYPOINT ["ollama-mcp-server"]
