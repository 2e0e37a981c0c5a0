"""One case of the official Anthropic Python SDK against BASE_URL, as JSON on stdout.

usage: messages.py message|tool|stream|quota|bad_key

The key is in API_KEY. The SDK adds /v1/messages to its base_url, so that of the
proxy is its address alone. An error of the SDK is a result too: its class, status,
body and request id.
"""

import json
import os
import sys

import anthropic


def client():
    return anthropic.Anthropic(base_url=os.environ["BASE_URL"].removesuffix("/v1"), api_key=os.environ["API_KEY"])


def request(directive, **options):
    return {
        "model": "claude-sonnet-4-5",
        "max_tokens": 200,
        "metadata": {"user_id": "mock:" + directive},
        "messages": [{"role": "user", "content": "Hello"}],
        **options,
    }


def told(answer):
    return {
        "text": "".join(block.text for block in answer.content if block.type == "text"),
        "blocks": [block.type for block in answer.content],
        "stop_reason": answer.stop_reason,
        "input_tokens": answer.usage.input_tokens,
        "cache_read": answer.usage.cache_read_input_tokens,
        "output_tokens": answer.usage.output_tokens,
        "request_id": getattr(answer, "_request_id", None),
    }


def message():
    raw = client().messages.with_raw_response.create(**request("usage=100,50;cached=40"))
    return {**told(raw.parse()), "cost": raw.headers.get("x-tollgate-cost")}


def tool():
    tools = [{"name": "weather", "input_schema": {"type": "object", "properties": {"query": {"type": "string"}}}}]
    return told(client().messages.create(**request("usage=100,50;tool-call=weather", tools=tools)))


def stream():
    with client().messages.stream(**request("usage=100,50;chunks=10")) as events:
        text = "".join(events.text_stream)
        return {**told(events.get_final_message()), "streamed": text, "request_id": events.response.headers.get("request-id")}


def quota():
    return told(client().messages.create(**request("usage=1,1")))


def bad_key():
    return told(client().messages.create(**request("usage=1,1")))


def models():
    page = client().models.list()
    return {"models": [model.id for model in page], "one": client().models.retrieve("claude-sonnet-4-5").display_name}


CASES = [models, message, tool, stream, quota, bad_key]


def main():
    case = {case.__name__: case for case in CASES}[sys.argv[1]]
    try:
        result = case()
    except anthropic.AnthropicError as error:
        result = {"error": type(error).__name__}
        for name in ("status_code", "request_id", "body"):
            result[name] = getattr(error, name, None)
    print(json.dumps(result))


main()
