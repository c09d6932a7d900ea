"""Gets a tool more with every call of `grow`, and says so; lists its tools in pages."""

from _lines import initialized, messages, notify, reader, send, text

tools = [reader("grow")]

for message in messages():
    method, number = message.get("method"), message.get("id")
    if method == "initialize":
        send({"id": number, "result": initialized({"listChanged": True})})
    elif method == "tools/list":
        page = int((message.get("params") or {}).get("cursor", 0))
        result = {"tools": tools[page : page + 1]}
        if page + 1 < len(tools):
            result["nextCursor"] = str(page + 1)
        send({"id": number, "result": result})
    elif method == "tools/call":
        tools.append(reader(f"tool{len(tools)}"))
        for _ in range(50):
            notify("notifications/tools/list_changed")
        send({"id": number, "result": text("grown")})
    elif number is not None:
        send({"id": number, "error": {"code": -32601, "message": "Method not found"}})
