"""Takes its time, and tells how far it is; a cancelled call it stops, others it goes on with."""

import sys
import threading
import time
from pathlib import Path

from _lines import initialized, messages, notify, reader, send, text

stopped = set()


def work(number, token, steps):
    for step in range(1, steps + 1):
        time.sleep(0.05)
        if number in stopped:
            return
        if token is not None:
            words = {"message": f"step {step}"} if step > 1 else {}
            notify(
                "notifications/progress", progressToken=token, progress=step, total=steps, **words
            )
    send({"id": number, "result": text(f"{steps} steps")})


for message in messages():
    method, number = message.get("method"), message.get("id")
    params = message.get("params") or {}
    if method == "initialize":
        send({"id": number, "result": initialized()})
    elif method == "tools/list":
        send({"id": number, "result": {"tools": [reader("work")]}})
    elif method == "tools/call":
        token = params.get("_meta", {}).get("progressToken")
        steps = params["arguments"]["steps"]
        threading.Thread(target=work, args=(number, token, steps), daemon=True).start()
    elif method == "notifications/cancelled":
        stopped.add(params["requestId"])
        with Path(sys.argv[1]).open("a") as notes:
            notes.write(f"{params['requestId']}\n")
    elif number is not None:
        send({"id": number, "error": {"code": -32601, "message": "Method not found"}})
